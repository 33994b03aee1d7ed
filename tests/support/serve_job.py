"""Starts `serve` on real ranks and talks to it; never waits for ever and leaves no process behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mpi_job import mpirun_command
from replay_job import Job

from commentary_llm.session.record import CueRecord

START_S = 240  # the first start voices the openers of both line-ups; later ones find them in the cache


class Live(Job):
    """A running `serve`: events go to `send`, its captions come as `lines`."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        super().__init__(process, time.monotonic())
        self._log = log
        self.lines: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    @property
    def said(self) -> str:
        """What it told the operator."""
        return self._log.read_text(encoding="utf-8")

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in list(self.lines) if line["type"] == kind]

    def wait(self, condition: Callable[[], bool], timeout_s: float = START_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, f"it did not get there:\n{self.said}\n{self.lines}"
            time.sleep(0.02)

    def ready(self) -> dict[str, Any]:
        self.wait(lambda: bool(self.of("ready")))
        return self.of("ready")[0]

    def send(self, *lines: str) -> None:
        assert self.process.stdin is not None
        for line in lines:
            self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end_of_events(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def exit_code(self, timeout_s: float = 90) -> int:
        code = self.process.wait(timeout_s)
        self._reader.join(10)
        return code


@contextmanager
def start_live(command: list[str], log: Path, **environment: str) -> Iterator[Live]:
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        )
    live = Live(process, log)
    try:
        yield live
    finally:
        live.kill()
        process.wait(10)


def serve_command(*options: object, ranks: int) -> list[str]:
    """`mpirun -n ranks python -m commentary_llm serve options`; one rank without MPI."""
    launcher = mpirun_command(ranks) if ranks > 1 else []
    return [*launcher, sys.executable, "-m", "commentary_llm", "serve", *map(str, options)]


def records_in(out: Path) -> dict[str, CueRecord]:
    lines = (out / "commentary.jsonl").read_text(encoding="utf-8").splitlines()
    return {record.event_id: record for record in map(CueRecord.model_validate_json, lines)}
