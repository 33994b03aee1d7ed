"""The wheel as a user gets it: everything in it, and a replay from it in a fresh environment, outside any checkout."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from commentary_llm.match import EventType, MatchEvent, MatchInfo, ShotOutcome

REPO = Path(__file__).resolve().parent.parent
PACKAGES = ("commentary_llm", "asr_tts", "checkpoints")
TIMEOUT_S = 200


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    job = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert job.returncode == 0, f"{job.stdout[-2000:]}\n{job.stderr[-4000:]}"
    return job


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the wheel is built from: building leaves files behind."""
    folder = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(REPO / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(REPO / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with the running environment's setuptools: no network."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    run(*pip, "--wheel-dir", folder, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own with the wheel, and the packages that the running one has installed.

    A line of a .pth file makes a folder's packages importable, but not what that folder's own .pth files name: not the
    checkout that is installed there.
    """
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False, symlinks=True)
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "packages_of_the_tests.pth").write_text("\n".join(site.getsitepackages()) + "\n", encoding="utf-8")
    found = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", found, "install", "--quiet", "--no-deps", "--no-index"]
    run(*pip, "--ignore-installed", wheel, cwd=folder)
    return found


def test_everything_that_the_packages_hold_is_in_the_wheel(source: Path, wheel: Path) -> None:
    held = {
        path.relative_to(source).as_posix()
        for package in PACKAGES
        for path in (source / package).rglob("*")
        if path.is_file()
    }
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert held <= packed
    assert {Path(name).suffix for name in held} >= {
        ".py", ".txt", ".html", ".css", ".js", ".cu", ".cuh", ".safetensors", ".jsonl", ".typed",
    }  # fmt: skip
    extra = {name.split("/")[0] for name in packed} - set(PACKAGES)
    assert all(name.endswith(".dist-info") for name in extra), extra


@pytest.mark.models
def test_the_wheel_replays_a_match_outside_any_checkout(python: Path, small_match: MatchInfo, tmp_path: Path) -> None:
    events = [
        MatchEvent(event_id="e1", type=EventType.PERIOD_START, period=1, elapsed_s=0),
        MatchEvent(
            event_id="e2", type=EventType.SHOT, period=1, elapsed_s=30, team="h", player="h9", outcome=ShotOutcome.SAVED
        ),
        MatchEvent(event_id="e3", type=EventType.GOAL, period=1, elapsed_s=60, team="h", player="h10"),
    ]
    records = [{"type": "match", **small_match.model_dump(mode="json", exclude_none=True)}]
    records += [event.model_dump(mode="json", exclude_none=True) for event in events]
    match = tmp_path / "match.jsonl"
    match.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    where = run(python, "-c", "import commentary_llm, asr_tts; print(commentary_llm.__file__)", cwd=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(python.parent.parent)
    command = [python, "-m", "commentary_llm", "replay", "--match", match, "--out", tmp_path / "out"]
    run(*command, "--no-prepare", "--no-audio", cwd=tmp_path, OMP_NUM_THREADS="1")
    lines = (tmp_path / "out" / "commentary.jsonl").read_text(encoding="utf-8").splitlines()
    spoken = {record["event_id"]: record["text"] for record in map(json.loads, lines) if record.get("event_id")}
    assert spoken["e3"]
    assert (tmp_path / "out" / "commentary.wav").stat().st_size > 10_000
    assert "<html" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    program = python.with_name("commentary-llm")
    assert "replay" in run(program, "--help", cwd=tmp_path).stdout
