"""One builder at a time: others wait, say so, and go on when it is done or killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from checkpoints.build import exclusive
from checkpoints.progress import Reporter
from checkpoints.writer import build_lock

_HOLDER = """
import sys
from checkpoints.build import exclusive
from checkpoints.progress import Reporter
with exclusive(Reporter()):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["done", "killed"])
def test_a_second_set_up_waits_and_says_so(own_home: Path, end: str, capsys: pytest.CaptureFixture[str]) -> None:
    entered, waiting = threading.Event(), threading.Event()

    class Told(Reporter):
        def say(self, text: str) -> None:
            super().say(text)
            waiting.set()

    def second() -> None:
        with exclusive(Told()):
            entered.set()

    with subprocess.Popen([sys.executable, "-c", _HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        waiter = threading.Thread(target=second)
        waiter.start()
        assert waiting.wait(30)
        assert not entered.is_set()
        if end == "killed":
            holder.send_signal(signal.SIGKILL)
        holder.stdin.close()
    waiter.join(30)
    assert entered.is_set()
    assert f"waiting for another set-up in {own_home} to finish" in capsys.readouterr().err


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    inside: list[int] = []
    together: list[int] = []

    def work() -> None:
        for _ in range(10):
            with build_lock(tmp_path / ".lock"):
                inside.append(1)
                together.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert together == [1] * 40
