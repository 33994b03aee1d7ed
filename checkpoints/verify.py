"""What is in `COMMENTARY_HOME`, and whether every byte of it is what it should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from checkpoints.fetch import PACKAGES, WeightPackage
from checkpoints.progress import Reporter
from commentary_llm.artifacts.manifest import load_manifest, quantized_dir, sha256_file
from commentary_llm.ground.errors import ArtifactError
from commentary_llm.ground.home import ASR_MODEL, LLM_MODEL, TTS_MODEL, commentary_home, models_dir
from commentary_llm.ground.mend import SETUP_COMMAND


@dataclass(frozen=True)
class Finding:
    """One artifact; `fault` is None when it is whole."""

    name: str  # relative to COMMENTARY_HOME
    description: str
    size_bytes: int
    fault: str | None


def verify(reporter: Reporter) -> list[Finding]:
    """Checks all hashes of all artifacts and packages; what the default engine needs and is not there is a fault."""
    home = commentary_home()
    packages = [package for package in PACKAGES if package.path.exists()]
    directories = _artifacts()
    total = sum(p.path.stat().st_size for p in packages)
    total += sum(file.stat().st_size for directory in directories for file in directory.rglob("*"))
    with reporter.task(f"Checking {home}", total) as advance:
        findings = [_check_package(package, home, advance) for package in packages]
        findings += [_check(directory, home, advance) for directory in directories]
    return findings


def _artifacts() -> list[Path]:
    shards, engines = commentary_home() / "shards", commentary_home() / "engines"
    found = {path for root in (models_dir(), *_folders(shards), *_folders(engines)) for path in _folders(root)}
    found |= {models_dir() / name for name in (LLM_MODEL, ASR_MODEL, TTS_MODEL)}
    found.add(quantized_dir(LLM_MODEL))
    return sorted(found)


def _folders(root: Path) -> list[Path]:
    return [path for path in root.glob("*") if path.is_dir() and not path.name.startswith(".")]


def _check_package(package: WeightPackage, home: Path, advance: Callable[[int], None]) -> Finding:
    found = sha256_file(package.path, advance)
    fault = None
    if found != package.sha256:
        fault = f"SHA-256 {found}, expected {package.sha256}; rebuild with `python -m checkpoints fetch`"
    size = package.path.stat().st_size
    return Finding(str(package.path.relative_to(home)), package.requirement, size, fault)


def _check(directory: Path, home: Path, advance: Callable[[int], None]) -> Finding:
    name = str(directory.relative_to(home))
    try:
        manifest = load_manifest(directory, verify="sha256", command=SETUP_COMMAND, advance=advance)
    except ArtifactError as error:
        return Finding(name, "", 0, str(error))
    size = sum(entry.bytes for entry in manifest.files.values())
    ranks = f", {manifest.ranks} ranks" if manifest.ranks else ""
    return Finding(name, f"{manifest.kind}, {manifest.dtype}{ranks}", size, None)
