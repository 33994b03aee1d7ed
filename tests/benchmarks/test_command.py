"""`python -m benchmarks`: how benchmarks are found and started on ranks, and how what is wrong is told."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pytest
from mpi_job import mpirun_command, mpirun_path

from benchmarks import registry
from benchmarks.__main__ import main
from benchmarks.harness import REPO, restart_on_ranks
from commentary_llm.ground.errors import ConfigError

TIMEOUT_S = 120


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=REPO, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def test_every_benchmark_registers_itself() -> None:
    found = registry.everything()
    assert {"engine", "sizes"} <= set(found)
    assert all(benchmark.help and benchmark.ranks >= 1 for benchmark in found.values())
    for name in ("harness", "nothing", "--help", "../engine", "__main__"):
        assert registry.find(name) is None


def test_an_unknown_benchmark_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["nothing"])
    assert stop.value.code == 2
    assert "'engine', 'sizes'" in capsys.readouterr().err.replace("'matches', ", "")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def needs_something(args: Namespace, comm: object) -> int:
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401

        return 0

    def no_options(parser: ArgumentParser) -> None: ...

    found = registry.Benchmark("nothing", no_options, needs_something)
    monkeypatch.setattr(registry, "find", lambda name: found)
    assert main(["anything", "--ranks", "1"]) == 1
    assert "the package no_such_package is missing" in capsys.readouterr().err


def test_an_interrupted_run_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(args: Namespace, comm: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "find", lambda name: registry.Benchmark("", lambda parser: None, interrupted))
    assert main(["anything", "--ranks", "1"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_missing_mpirun_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program, path: None if program == "mpirun" else program)
    with pytest.raises(ConfigError, match="install the package openmpi"):
        restart_on_ranks(2, ["-m", "benchmarks"])


def test_llama_cpp_is_asked_for_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["engine", "--gguf", str(tmp_path / "model.gguf"), "--ranks", "1"]) == 2
    assert "llama-cpp-python" in capsys.readouterr().err


@pytest.mark.mpi
def test_ranks_are_started_where_there_are_none(small_sizes: Path) -> None:
    mpirun_path()  # skips without one
    job = run(sys.executable, "-m", "benchmarks", "sizes", str(small_sizes), "--repeats", "1")
    assert job.returncode == 0, job.stderr
    assert json.loads(job.stdout.splitlines()[-1])["ranks"] == 2
    assert len(job.stdout.splitlines()) == 1  # progress goes to standard error
    wrong = run(sys.executable, "-m", "benchmarks", "sizes", str(small_sizes.parent / "none.json"))
    assert wrong.returncode == 2
    assert wrong.stderr.count("expected llama-7b or a config.json") == 1
    assert "MPI_ABORT" not in wrong.stderr


@pytest.mark.mpi
def test_ranks_that_run_already_are_used(small_sizes: Path) -> None:
    program = [sys.executable, "-m", "benchmarks", "sizes", str(small_sizes), "--repeats", "1"]
    job = run(*mpirun_command(2), *program)
    assert job.returncode == 0, job.stderr
    assert json.loads(job.stdout.splitlines()[-1])["ranks"] == 2
    other = run(*mpirun_command(2), *program, "--ranks", "3")
    assert other.returncode == 2
    assert "mpirun has started 2" in other.stderr
