"""What every benchmark needs: ranks, what the machine is, percentiles with their counts, one way to publish."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from rich.console import Console

from benchmarks.probe import Wakes, watch
from commentary_llm.ground.errors import ConfigError
from commentary_llm.ground.files import write_text_atomically

REPO = Path(__file__).resolve().parent.parent
_PROBE_END_S = 5.0


def restart_on_ranks(ranks: int, command: Sequence[str], *, backend: str | None = None) -> NoReturn:
    """Replaces this process by mpirun with `ranks` of `python command`, as the launch scripts start them.

    Raises ConfigError, naming the package, where mpirun or bash is missing.
    """
    # mpirun is installed beside the interpreter, which need not be on the PATH itself.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    for program, package in (("bash", "bash"), ("mpirun", "openmpi")):
        if shutil.which(program, path=path) is None:
            raise ConfigError(f"{program} is missing; install the package {package}, or run with --ranks 1")
    environment = {**os.environ, "PATH": path, "COMMENTARY_PYTHON": sys.executable, "BACKEND": backend or ""}
    script = 'source "$1/launch/common.sh"; shift; run_ranks "$@"'
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe(
        "bash", ["bash", "-c", script, "benchmarks", str(REPO), str(ranks), sys.executable, *command], environment
    )


def machine() -> dict[str, Any]:
    """Date, processor, cores, and what else kept them busy in the last minute (the load average)."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 2),
    }


def summary_ms(durations_s: Sequence[float]) -> dict[str, float]:
    """count, p50, p90, p99 and max in milliseconds; the count alone where there is nothing."""
    if not len(durations_s):
        return {"count": 0}
    values = np.asarray(durations_s) * 1000
    p50, p90, p99 = np.percentile(values, [50, 90, 99])
    return {
        "count": len(values),
        "p50_ms": round(float(p50), 3),
        "p90_ms": round(float(p90), 3),
        "p99_ms": round(float(p99), 3),
        "max_ms": round(float(values.max()), 3),
    }


def memory_mb(pid: int) -> dict[str, float] | None:
    """Resident memory of a process: all of it, its share of what others map too, and what is in no file.

    None where the process is gone, of another user, or on another machine.
    """
    names = {"Rss": "rss", "Pss": "pss", "Anonymous": "anonymous"}
    found = {}
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name in names:
            found[names[name]] = round(int(value.split()[0]) * 1024 / 1e6, 1)
    return found


def thread_count(pid: int | str = "self") -> int:
    """Threads of a process, those of libraries included."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


@contextlib.contextmanager
def idle_probe() -> Iterator[Wakes]:
    """Lets an idle process sleep 20 ms at a time beside what runs in the `with` block, and says how late it woke.

    A process of its own, so that it tells of the machine and not of this interpreter's lock. Its figures are there when
    the block has ended.
    """
    wakes = Wakes()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.probe"], cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield wakes
    finally:
        try:
            output, _ = process.communicate(timeout=_PROBE_END_S)  # the end of its input is its sign to stop
            wakes.take(json.loads(output))
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def inside_probe() -> Iterator[Wakes]:
    """The same with a thread of this process: late where the interpreter's lock is held as well."""
    wakes, stop = Wakes(), threading.Event()
    thread = threading.Thread(target=watch, args=(stop.is_set, wakes), name="probe", daemon=True)
    thread.start()
    try:
        yield wakes
    finally:
        stop.set()
        thread.join()


def cpu_seconds(pid: int) -> float | None:
    """Processor time that a process has used so far; None where it is gone or on another machine."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def publish(results: dict[str, Any], out: Path | None) -> None:
    """One line of JSON, the last one of the output, and into the file `out` too. Raises OutputError for the file."""
    text = json.dumps(results)
    try:
        if out is not None:
            write_text_atomically(out, text + "\n")
    finally:
        print(text, flush=True)  # what took minutes to measure must not be lost with a full disk


def steps(console: Console) -> Callable[[str], None]:
    """Prints each step of a start once, however often its progress ("making openers, 40%") is told."""
    last = ""

    def report(step: str) -> None:
        nonlocal last
        name = step.split(",")[0]
        if name != last:
            console.print(name, highlight=False)
        last = name

    return report


def print_rows(rows: Sequence[tuple[str, dict[str, float], str]], console: Console) -> None:
    console.print(f"{'':40}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}  ms", soft_wrap=True)
    for name, f, note in rows:
        keys = ("p50_ms", "p90_ms", "p99_ms", "max_ms")
        figures = "".join(f"{f[key]:9.2f}" if key in f else f"{'-':>9}" for key in keys)
        console.print(f"{name:40}{figures}  {note}", highlight=False, soft_wrap=True)
