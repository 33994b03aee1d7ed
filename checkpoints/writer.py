"""Building an artifact: a folder that appears only when it is whole, with its manifest."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock

from checkpoints.recipes import Recipe
from commentary_llm.artifacts.hashing import sha256_file
from commentary_llm.artifacts.manifest import (
    FORMAT_VERSION,
    MANIFEST_FILE,
    FileEntry,
    Manifest,
    Padding,
    Source,
    TensorEntry,
    Upstream,
)
from commentary_llm.artifacts.tensors import read_specs
from commentary_llm.ground.errors import OutputError


def tool_versions(*packages: str) -> dict[str, str]:
    """Installed versions of the packages that took part; packages that are not installed are left out."""
    found = {}
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def build_lock(path: Path) -> FileLock:
    """A lock between processes and threads, free again when its holder dies, however it dies.

    Without the fallback to lock files that merely exist, for a file system without `flock`: a killed build would leave
    one behind. Acquiring raises OSError there.
    """
    return FileLock(path, fallback_to_soft=False)


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
    kind: str,
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
    with build_lock(target.parent / f".{target.name}.lock"):
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
