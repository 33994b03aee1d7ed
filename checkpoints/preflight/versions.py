"""The versions that belong together (`versions.json`), against those on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from checkpoints.preflight.finding import Finding, Level

VERSION_TABLE = Path(__file__).with_name("versions.json")
_DRIVER, _CUDA = "NVIDIA driver", "CUDA"
IMAGE_VARIABLE = "COMMENTARY_IMAGE"  # set by launch/container/Containerfile


@dataclass(frozen=True)
class Component:
    """A row of the table. `distribution`: the Python package that tells its version, where one does."""

    name: str
    distribution: str | None
    wanted: str  # PEP 440 specifiers
    why: str
    mend: str


@dataclass(frozen=True)
class VersionTable:
    image: str
    image_digest: str
    components: tuple[Component, ...]

    @classmethod
    def load(cls, path: Path = VERSION_TABLE) -> VersionTable:
        fields = json.loads(path.read_text(encoding="utf-8"))
        components = tuple(Component(**row) for row in fields.pop("components"))
        return cls(components=components, **fields)


def installed_version(distribution: str) -> str | None:
    """Version of an installed Python package, or of its form for one CUDA; None where it is not installed."""
    for name in (distribution, f"{distribution}_cu13"):
        with suppress(PackageNotFoundError):
            return version(name)
    return None


def check_versions(
    table: VersionTable,
    driver: str | None,
    *,
    environment: Mapping[str, str] = os.environ,
    version_of: Callable[[str], str | None] = installed_version,
) -> list[Finding]:
    """One finding a row. What TensorRT-LLM cannot do without is an error, another version of it a warning.

    `driver` as nvidia-smi tells it (None: no driver). CUDA is that of the image (`CUDA_VERSION`), where we are in one.
    """
    findings = [_image(table, environment)]
    for component in table.components:
        if component.name == _DRIVER:
            found = driver
        elif component.name == _CUDA:
            found = environment.get("CUDA_VERSION")
        else:
            assert component.distribution is not None
            found = version_of(component.distribution)
        findings.append(_compare(component, found))
    return findings


def _image(table: VersionTable, environment: Mapping[str, str]) -> Finding:
    found = environment.get(IMAGE_VARIABLE)
    if found == table.image:
        return Finding(Level.OK, "image", found)
    # Not being in the image is no fault by itself; the rows below tell what is missing.
    level = Level.OK if found is None else Level.WARNING
    mend = "" if found is None else "build the image again from launch/container/Containerfile"
    return Finding(level, "image", found or "none, the host's own software", table.image, mend)


def _compare(component: Component, found: str | None) -> Finding:
    if found is None:
        if component.name == _CUDA:  # outside the image the toolkit is not needed, and the driver's row decides
            return Finding(Level.OK, component.name, "not told (no CUDA_VERSION)", component.wanted)
        return Finding(Level.ERROR, component.name, "none", component.wanted, component.mend)
    level = Level.OK if fits(found, component.wanted) else Level.WARNING
    mend = "" if level is Level.OK else f"{component.why}: {component.mend}"
    return Finding(level, component.name, found, component.wanted, mend)


def fits(found: str, wanted: str) -> bool:
    """Whether a version meets the specifiers. NVIDIA's, of four parts or local ("2.9.0a0+145a3.nv25.10"), parse."""
    try:
        return SpecifierSet(wanted).contains(Version(found), prereleases=True)
    except InvalidVersion:
        return False
