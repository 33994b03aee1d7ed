"""Starts the replay command on real ranks; never waits for ever and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mpi_job import mpirun_command

TIMEOUT_S = 120


@dataclass
class Job:
    process: subprocess.Popen[str]
    started: float

    def finish(self, timeout_s: float = TIMEOUT_S) -> tuple[int, str]:
        """(exit code, output of all ranks); the process group is killed when it takes longer."""
        timer = threading.Timer(timeout_s, self.kill)
        timer.start()
        try:
            output, _ = self.process.communicate(timeout=timeout_s + 10)
        finally:
            timer.cancel()
        return self.process.returncode, output

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    def rank_pid(self, rank: int) -> int:
        """Process id of a rank; waits until mpirun has started it."""
        for _ in range(200):
            for pid in _descendants(self.process.pid):
                try:
                    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                except OSError:
                    continue
                if f"OMPI_COMM_WORLD_RANK={rank}".encode() in environment:
                    return pid
            time.sleep(0.05)
        raise AssertionError(f"rank {rank} did not start")

    def wait_for(self, condition: Callable[[], bool], timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, self.finish()
            assert time.monotonic() < deadline, "the replay did not get there"
            time.sleep(0.05)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *_descendants(child)]
    return found


@contextmanager
def start_replay(*options: object, ranks: int = 2, limit_file_bytes: int | None = None) -> Iterator[Job]:
    """`mpirun -n ranks python -m commentary_llm replay options`, in its own process group; one rank without MPI."""
    launcher = mpirun_command(ranks) if ranks > 1 else []
    command = [*launcher, sys.executable, "-m", "commentary_llm", "replay", *map(str, options)]
    if limit_file_bytes is not None:
        # What a full disk looks like from inside: writing past the limit fails (Python ignores SIGXFSZ).
        command = ["bash", "-c", f'ulimit -f {limit_file_bytes // 1024}; exec "$@"', "limited", *command]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    job = Job(process, time.monotonic())
    try:
        yield job
    finally:
        job.kill()
        process.wait(10)


def replay(*options: object, ranks: int = 2, limit_file_bytes: int | None = None) -> tuple[int, str]:
    with start_replay(*options, ranks=ranks, limit_file_bytes=limit_file_bytes) as job:
        return job.finish()
