"""`engines build-llm`: TensorRT-LLM engines for as many ranks as run, each built by its own rank on its own GPU."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from checkpoints.progress import Reporter
from checkpoints.recipes import TENSORRT_LLM_ENGINES
from checkpoints.tensorrt_llm.calibration import calibration_texts, check_calibration, write_calibration
from checkpoints.tensorrt_llm.convert import TOKENS_PER_BLOCK, build_engine, check_gpu, mapping_of, smooth_quantize
from checkpoints.tensorrt_llm.library import BuilderLibrary, builder_library
from checkpoints.tensorrt_llm.source import check_divisible, link_source
from checkpoints.writer import tool_versions, write_artifact
from commentary_llm.artifacts.llama import TOKENIZER_FILES, read_config, shape_of
from commentary_llm.artifacts.machine import Gpu, gpu_of_rank, library_versions, visible_gpus
from commentary_llm.artifacts.manifest import Upstream, load_manifest
from commentary_llm.artifacts.tensorrt_llm import ENGINE_KIND, TOKENIZER_FOLDER, EngineOptions
from commentary_llm.generation.peers import Peers, RankTimeouts
from commentary_llm.ground.errors import CommentaryError, ConfigError, EngineError
from commentary_llm.ground.home import LLM_MODEL, llm_engines_dir, models_dir

if TYPE_CHECKING:
    from mpi4py import MPI

_TEXT_BYTES = 4096
_PLACE_TAG, _HOST_TAG, _STEP_TAG = 21, 22, 23
_BUILD_S = 2 * 3600.0  # a 70B model on one GPU takes about an hour
Result = TypeVar("Result")


class _Team:
    """The ranks that build together; every step is done by all or ends for all."""

    def __init__(self, comm: MPI.Comm | None) -> None:
        several = comm is not None and comm.Get_size() > 1
        self.rank = comm.Get_rank() if comm is not None else 0
        self.ranks = comm.Get_size() if comm is not None else 1
        self._peers = Peers(comm, RankTimeouts(start_s=_BUILD_S)) if comm is not None and several else None

    def step(self, run: Callable[[], Result]) -> Result:
        """Runs `run` on this rank and waits for the others; raises its error, or EngineError with another rank's."""
        own: Exception | None = None
        result: Result | None = None
        try:
            result = run()
        except Exception as error:
            own = error
        if self._peers is not None:
            fault = self._peers.agree("" if own is None else f"{type(own).__name__}: {own}")
            if own is None and fault:
                raise EngineError(fault)
        if own is not None:
            if isinstance(own, CommentaryError):
                raise own
            raise EngineError(f"rank {self.rank}: building failed: {type(own).__name__}: {own}") from own
        return result  # type: ignore[return-value]

    def texts(self, text: str, tag: int) -> list[str]:
        """One text of every rank, in rank order."""
        return [text] if self._peers is None else self._peers.exchange_text(text, tag, _TEXT_BYTES)

    def close(self) -> None:
        if self._peers is not None:
            self._peers.free()


def build_llm_engines(model: str, options: EngineOptions, comm: MPI.Comm | None, reporter: Reporter) -> Path:
    """Builds engines of an imported model for the ranks of `comm` (None: one); returns their folder, on every rank.

    The folder is replaced only when all engines are whole; all ranks have to see the same COMMENTARY_HOME. Raises
    ConfigError (library, GPU or model unfit), ArtifactError (model missing or damaged), EngineError (a rank failed).
    """
    team = _Team(comm)
    try:
        return _build(model, options, team, reporter)
    finally:
        team.close()


def _build(model: str, options: EngineOptions, team: _Team, reporter: Reporter) -> Path:
    source, target = models_dir() / model, llm_engines_dir(model, team.ranks)
    library, versions, gpu, gpus_per_node = _prepare(source, options, team)
    with contextlib.ExitStack() as stack:
        opened = team.step(lambda: _open(stack, source, target, options, team, versions, gpu, gpus_per_node))
        places = team.texts("\n".join(map(str, opened)), _PLACE_TAG)[0].split("\n")
        out, scratch = Path(places[0]), Path(places[1])
        config = team.step(lambda: _config_seen(scratch))
        reporter.say(f"rank {team.rank} of {team.ranks}: {gpu.name} (GPU {gpu.index}), {options.quantization}")
        checkpoint = None
        if options.quantization == "w8a8":
            checkpoint = scratch / "checkpoint"
            team.step(lambda: _calibrate(library, options, source, scratch, team, gpus_per_node, reporter))

        def build() -> None:
            with _reported(reporter, team.rank, f"Converting and building the engine of rank {team.rank}"):
                _use_gpu(gpu)
                build_engine(
                    library,
                    options,
                    source=scratch / "model",
                    checkpoint=checkpoint,
                    config=config,
                    out=out,
                    scratch=scratch,
                    rank=team.rank,
                    ranks=team.ranks,
                    gpus_per_node=gpus_per_node,
                )

        team.step(build)
        team.step(stack.close)  # rank 0 hashes the files and moves the folder into place
    return target


def _prepare(source: Path, options: EngineOptions, team: _Team) -> tuple[BuilderLibrary, dict[str, str], Gpu, int]:
    """Everything that can be refused before the first minute of work."""

    def check() -> tuple[BuilderLibrary, dict[str, str], list[Gpu]]:
        load_manifest(source, kind="llama-hf", command=f"python -m checkpoints import-llm DIR --name {source.name}")
        model_config = read_config(source)
        check_divisible(shape_of(model_config, str(source)), team.ranks, str(source))
        positions = int(model_config.get("max_position_embeddings", options.max_seq_len))
        if options.max_seq_len > positions:
            raise ConfigError(f"max_seq_len is {options.max_seq_len}, the model knows {positions} positions")
        return builder_library(), library_versions(), visible_gpus()

    library, versions, gpus = team.step(check)
    hosts = team.texts(socket.gethostname(), _HOST_TAG)
    gpus_per_node = max(hosts.count(host) for host in hosts)
    gpu = team.step(lambda: gpu_of_rank(team.rank, gpus_per_node, gpus))
    team.step(lambda: check_gpu(gpu))
    kinds = team.texts(f"{gpu.name}, compute capability {gpu.compute_capability}, {versions}", _STEP_TAG)
    if len(set(kinds)) > 1:
        listed = "; ".join(f"rank {rank}: {kind}" for rank, kind in enumerate(kinds))
        raise ConfigError(f"the ranks differ in GPU or libraries ({listed}); engines need the same on all ranks")
    return library, versions, gpu, gpus_per_node


def _open(
    stack: contextlib.ExitStack,
    source: Path,
    target: Path,
    options: EngineOptions,
    team: _Team,
    versions: dict[str, str],
    gpu: Gpu,
    gpus_per_node: int,
) -> tuple[Path, Path]:
    """On rank 0: the folder being built and a scratch folder beside it; closing `stack` completes the artifact."""
    if team.rank:
        return Path(), Path()
    manifest, model = load_manifest(source, kind="llama-hf"), source.name
    artifact = stack.enter_context(
        write_artifact(
            target,
            kind=ENGINE_KIND,
            name=model,
            command=options.command(model, team.ranks),
            recipe=TENSORRT_LLM_ENGINES,
            sources=manifest.sources,
            built_from=(Upstream(kind="llama-hf", name=model, digest=manifest.digest),),
            tools={**tool_versions("torch", "transformers"), **versions},
            dtype=f"{options.quantization}, float16",
            ranks=team.ranks,
            gpu_compute_capability=gpu.compute_capability,
        )
    )
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".build-", dir=target.parent)))
    link_source(source, scratch / "model")
    tokenizer = artifact.directory / TOKENIZER_FOLDER
    tokenizer.mkdir()
    for name in ("config.json", *TOKENIZER_FILES):
        if (source / name).is_file():
            shutil.copyfile(source / name, tokenizer / name)
    artifact.extra.update(
        gpu_name=gpu.name,
        options=vars(options),
        tokens_per_block=TOKENS_PER_BLOCK,
        gpus_per_node=gpus_per_node,
    )
    return artifact.directory, scratch


def _config_seen(scratch: Path) -> dict[str, object]:
    """The conversion copy's configuration as this rank reads it from the shared folder."""
    path = scratch / "model" / "config.json"
    try:
        config: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}, written by rank 0, is not visible to {socket.gethostname()}; put COMMENTARY_HOME on a file "
            "system that all hosts share"
        ) from None
    return config


def _calibrate(
    library: BuilderLibrary,
    options: EngineOptions,
    source: Path,
    scratch: Path,
    team: _Team,
    gpus_per_node: int,
    reporter: Reporter,
) -> None:
    if team.rank:
        return
    texts = calibration_texts(source, examples=source.name != LLM_MODEL)
    folder = write_calibration(texts, scratch)
    check_calibration(library.load_calibration, folder, texts)
    with reporter.task(f"SmoothQuant calibration on {len(texts)} prompts, for all ranks"):
        mapping = mapping_of(library, 0, team.ranks, gpus_per_node)
        smooth_quantize(library, options, scratch / "model", folder, scratch / "checkpoint", mapping)


@contextlib.contextmanager
def _reported(reporter: Reporter, rank: int, title: str) -> Iterator[None]:
    """A progress bar on rank 0, plain lines of the others: one terminal shows one bar."""
    if rank == 0:
        with reporter.task(title):
            yield
        return
    reporter.say(f"{title} …")
    yield
    reporter.say(f"{title}: done")


def _use_gpu(gpu: Gpu) -> None:
    import torch

    torch.cuda.set_device(gpu.index)
