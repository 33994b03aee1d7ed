"""Every artifact is a folder with a `manifest.json`: what it is, what it was made from, and how to make it again."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from commentary_llm.errors import ArtifactError, OutputError
from commentary_llm.home import commentary_home, models_dir

from .hashing import sha256_file
from .recipes import Recipe
from .tensors import read_specs

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"

Kind = Literal[
    "llama-hf",
    "llama-int8",
    "llama-int8-shards",
    "tensorrt-llm-engines",
    "whisper-onnx",
    "piper-onnx",
    "speech-engines",
    "speech-graphs",
]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Record):
    """Something published that an artifact was made from."""

    name: str
    sha256: str
    licence: str


class Upstream(_Record):
    """Another artifact that this one was made from; `digest` is that artifact's `Manifest.digest`."""

    kind: Kind
    name: str
    digest: str


class TensorEntry(_Record):
    shape: tuple[int, ...]
    dtype: str


class FileEntry(_Record):
    sha256: str
    bytes: int
    tensors: dict[str, TensorEntry] | None = None  # of safetensors files


class Padding(_Record):
    """Sizes before and after padding with zeros, so that each divides by the rank count."""

    query_heads: int
    padded_query_heads: int
    kv_heads: int
    padded_kv_heads: int
    intermediate: int
    padded_intermediate: int
    vocabulary: int
    padded_vocabulary: int


class Manifest(_Record):
    """What `manifest.json` holds."""

    format_version: int
    kind: Kind
    name: str
    created_at: str  # ISO 8601, UTC
    command: str  # rebuilds the artifact
    recipe: str  # name and version of what built it (see `recipes`); set-up rebuilds when that changes
    sources: tuple[Source, ...]
    built_from: tuple[Upstream, ...] = ()
    tools: dict[str, str]
    ranks: int | None = None
    dtype: str
    padding: Padding | None = None
    gpu_compute_capability: str | None = None  # only of artifacts that run on one kind of GPU
    files: dict[str, FileEntry]
    extra: dict[str, Any] = {}

    @property
    def digest(self) -> str:
        """SHA-256 over the files' names and hashes: changes exactly when the content does."""
        text = "".join(f"{name} {entry.sha256}\n" for name, entry in sorted(self.files.items()))
        return hashlib.sha256(text.encode()).hexdigest()


def quantized_dir(model: str) -> Path:
    """The whole model in INT8, from which shards for any rank count are cut."""
    return commentary_home() / "shards" / model / "int8"


def tool_versions(*packages: str) -> dict[str, str]:
    """Installed versions of the packages that took part; packages that are not installed are left out."""
    found = {}
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


@dataclass
class ArtifactWriter:
    """An artifact being built: write files into `directory`, add what the manifest should keep to `extra`."""

    directory: Path
    dtype: str
    extra: dict[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def write_artifact(
    target: Path,
    *,
    kind: Kind,
    name: str,
    command: str,
    recipe: Recipe,
    sources: tuple[Source, ...],
    tools: dict[str, str],
    dtype: str,
    built_from: tuple[Upstream, ...] = (),
    ranks: int | None = None,
    padding: Padding | None = None,
    gpu_compute_capability: str | None = None,
) -> Iterator[ArtifactWriter]:
    """Builds an artifact beside `target` and moves it into place only when it is whole and on disk.

    An exception or a kill leaves `target` as it was; what a killed build left behind is removed by the next one.
    `dtype` may be set on the writer when it is only known later. Blocks while another process builds the same artifact.
    Raises OutputError when the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left_behind in target.parent.glob(f".{target.name}.tmp-*"):
            shutil.rmtree(left_behind)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.tmp-", dir=target.parent))
        try:
            built = scratch / "new"
            built.mkdir()
            writer = ArtifactWriter(built, dtype)
            yield writer
            manifest = Manifest(
                format_version=FORMAT_VERSION,
                kind=kind,
                name=name,
                created_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                command=command,
                recipe=str(recipe),
                sources=sources,
                built_from=built_from,
                tools=tools,
                ranks=ranks,
                dtype=writer.dtype,
                padding=padding,
                gpu_compute_capability=gpu_compute_capability,
                files=_describe_files(built),
                extra=writer.extra,
            )
            (built / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1, exclude_none=True), encoding="utf-8")
            _sync(built)
            if target.exists():
                target.rename(scratch / "old")
            built.rename(target)
            _sync_one(target.parent)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise OutputError(
                    f"the disk is full while writing {target}; free space there or set COMMENTARY_HOME to a larger "
                    f"disk, then run `{command}` again"
                ) from error
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _describe_files(directory: Path) -> dict[str, FileEntry]:
    entries = {}
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        tensors = None
        if path.suffix == ".safetensors":
            tensors = {n: TensorEntry(shape=s.shape, dtype=s.dtype) for n, s in read_specs(path).items()}
        entries[path.relative_to(directory).as_posix()] = FileEntry(
            sha256=sha256_file(path), bytes=path.stat().st_size, tensors=tensors
        )
    return entries


def _sync(directory: Path) -> None:
    for path in directory.rglob("*"):
        _sync_one(path)
    _sync_one(directory)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_manifest(directory: Path, command: str = "python -m checkpoints setup") -> Manifest:
    """The manifest alone, without looking at the files. Raises ArtifactError; `command` is named when there is none."""
    path = directory / MANIFEST_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        state = "has no manifest.json" if directory.is_dir() else "does not exist"
        raise ArtifactError(f"{directory} {state}; build it with `{command}`") from None
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise ArtifactError(
            f"{path} is damaged or of another version ({where}: {first['msg']}); rebuild with `{command}`"
        ) from None


def load_manifest(
    directory: Path,
    *,
    verify: Literal["size", "sha256"] = "size",
    hash_files: Collection[str] = (),
    kind: Kind | None = None,
    ranks: int | None = None,
    command: str = "python -m checkpoints setup",
    advance: Callable[[int], None] | None = None,
) -> Manifest:
    """The manifest of an artifact that is whole, current and of the kind and rank count asked for.

    `verify="size"` looks at formats, file sizes and, if they are still there, at the artifacts it was made from;
    `"sha256"` reads every byte besides; `hash_files` names those of which every byte is read in any case. Raises
    ArtifactError that says what differs and which command rebuilds.
    """
    manifest = read_manifest(directory, command)
    faults = []
    if manifest.format_version != FORMAT_VERSION:
        faults.append(f"format version {manifest.format_version}, this program reads {FORMAT_VERSION}")
    if kind is not None and manifest.kind != kind:
        faults.append(f"kind {manifest.kind}, expected {kind}")
    if ranks is not None and manifest.ranks != ranks:
        faults.append(f"built for {manifest.ranks} ranks, {ranks} are running")
    for name, entry in manifest.files.items():
        path = directory / name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif (size := path.stat().st_size) != entry.bytes:
            faults.append(f"{name} has {size} bytes, expected {entry.bytes}")
        elif (verify == "sha256" or name in hash_files) and (found := sha256_file(path, advance)) != entry.sha256:
            faults.append(f"{name} is corrupted (SHA-256 {found}, expected {entry.sha256})")
    for upstream in manifest.built_from:
        faults += _stale(upstream)
    if faults:
        raise ArtifactError(f"{directory}: {'; '.join(faults)}. Rebuild with `{manifest.command}`")
    return manifest


def _stale(upstream: Upstream) -> list[str]:
    """Why something made from `upstream` is out of date; nothing when it is current or the source was cleared away."""
    place = quantized_dir(upstream.name) if upstream.kind == "llama-int8" else models_dir() / upstream.name
    if not (place / MANIFEST_FILE).exists():
        return []
    digest = read_manifest(place).digest
    if digest == upstream.digest:
        return []
    return [f"stale: made from {upstream.kind} {upstream.digest[:12]}, {place} now holds {digest[:12]}"]
