"""Starts real ranks with mpirun; never waits for ever and leaves no process behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

TIMEOUT_S = 60
ROOT = Path(__file__).resolve().parents[2]
SUPPORT = Path(__file__).parent  # doubles, samples, and the programs that ranks run


@dataclass(frozen=True)
class JobResult:
    exit_code: int
    output: str  # stdout and stderr of all ranks and of mpirun
    wall_s: float


def mpirun_path() -> str:
    """mpirun beside the running interpreter, or on the PATH; skips the test when there is none."""
    beside = Path(sys.executable).with_name("mpirun")
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    if found is None:
        pytest.skip("mpirun is not installed")
    return found


def mpirun_command(ranks: int) -> list[str]:
    """mpirun and its options for `ranks` ranks on this machine, however few cores it has."""
    command = [mpirun_path(), "-n", str(ranks), "--oversubscribe", "--bind-to", "none"]
    if os.geteuid() == 0:
        command.append("--allow-run-as-root")
    return command


def run_ranks(ranks: int, script: Path, *arguments: str, timeout_s: float = TIMEOUT_S) -> JobResult:
    """Runs `python script arguments` on `ranks` ranks. Fails the test when the job does not end in `timeout_s`."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [*mpirun_command(ranks), sys.executable, str(script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},  # benchmarks are no part of the package
    )
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate(timeout=10)
        pytest.fail(f"{ranks} ranks did not end within {timeout_s} s:\n{output[-4000:]}")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
    return JobResult(process.returncode, output, time.perf_counter() - started)
