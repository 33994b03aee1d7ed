"""Every artifact is a folder with a `manifest.json`: what it is, what it was made from, and how to make it again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from commentary_llm.artifacts.hashing import sha256_file
from commentary_llm.ground.errors import ArtifactError
from commentary_llm.ground.home import commentary_home, models_dir

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Record):
    """Something published that an artifact was made from."""

    name: str
    sha256: str
    licence: str


class Upstream(_Record):
    """Another artifact that this one was made from; `digest` is that artifact's `Manifest.digest`."""

    kind: str
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
    kind: str  # llama-hf, llama-int8-shards, …; of speech models, what the registries of `asr_tts` open
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
    kind: str | None = None,
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
