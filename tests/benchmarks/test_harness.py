"""What every benchmark shares: percentiles, the probe, memory and threads, and how results are published."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.harness import idle_probe, machine, memory_mb, print_rows, publish, steps, summary_ms, thread_count
from benchmarks.probe import Wakes, watch
from commentary_llm.ground.errors import OutputError


def test_percentiles_come_with_their_count() -> None:
    found = summary_ms([n / 1000 for n in range(1, 101)])
    assert found == {"count": 100, "p50_ms": 50.5, "p90_ms": 90.1, "p99_ms": 99.01, "max_ms": 100.0}
    assert summary_ms([]) == {"count": 0}


def test_what_was_not_measured_is_left_out_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([("measured", summary_ms([0.001]), ""), ("nothing", summary_ms([]), "")], Console(width=120))
    measured, nothing = capsys.readouterr().out.splitlines()[1:]
    assert measured.split()[1:5] == ["1.00"] * 4
    assert nothing.split()[1:] == ["-"] * 4


def test_a_step_is_printed_once_however_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    report = steps(Console())
    for step in ("warming up", "making openers, 10%", "making openers, 20%", "warming up"):
        report(step)
    assert capsys.readouterr().out.splitlines() == ["warming up", "making openers", "warming up"]


def test_late_wakes_are_counted_and_their_share_told() -> None:
    wakes = Wakes()
    for late_s in (0.001, 0.0199, 0.021, 0.3):
        wakes.note(late_s)
    assert (wakes.wakes, wakes.late, wakes.latest_ms) == (4, 2, 300.0)
    assert wakes.as_figures()["late_share"] == 0.5
    assert Wakes().late_share == 0.0


def test_a_thread_of_our_own_can_be_watched() -> None:
    wakes, stop = Wakes(), threading.Event()
    thread = threading.Thread(target=watch, args=(stop.is_set, wakes))
    thread.start()
    while wakes.wakes < 3:
        time.sleep(0.005)
    stop.set()
    thread.join()
    assert wakes.wakes >= 3
    assert 0 <= wakes.cpu_share < 1


def test_the_probe_runs_beside_and_leaves_no_process() -> None:
    with idle_probe() as wakes:
        time.sleep(0.3)
        assert wakes.wakes == 0  # its figures come at the end
    assert wakes.wakes >= 1
    assert set(wakes.as_figures()) == {"wakes", "late", "latest_ms", "cpu_share", "late_share"}
    children = "".join(path.read_text() for path in Path("/proc/self/task").glob("*/children")).split()
    programs = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children if Path(f"/proc/{child}").exists()]
    assert not any(b"benchmarks.probe" in program for program in programs)


def test_memory_and_threads_of_a_process() -> None:
    program = "block = bytearray(50_000_000); block[::4096] = b'1' * len(block[::4096]); input()"
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 20
        while (found := memory_mb(child.pid)) is None or found["anonymous"] < 45:
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        assert found["anonymous"] <= found["rss"]
        assert found["pss"] <= found["rss"]
        assert thread_count(child.pid) == 1
    finally:
        child.communicate(b"\n", timeout=10)
    assert memory_mb(child.pid) is None


def test_the_result_is_one_line_and_the_same_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish({"what": "test", **machine()}, tmp_path / "out.json")
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    found = json.loads(printed)
    assert json.loads((tmp_path / "out.json").read_text()) == found
    assert found["cores"] == len(os.sched_getaffinity(0))


def test_a_file_that_cannot_be_written_does_not_lose_the_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OutputError, match="absent"):
        publish({"what": "test"}, tmp_path / "absent" / "out.json")
    assert json.loads(capsys.readouterr().out) == {"what": "test"}
