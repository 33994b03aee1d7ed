"""How late a sleeper wakes: `python -m benchmarks.probe` sleeps until its input ends, then prints what it saw as JSON.

Standard library only: it must not weigh on the machine it watches.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

SLEEP_S = 0.02
LATE_S = 0.02


@dataclass
class Wakes:
    """Wakes of a thread that did nothing but sleep `SLEEP_S`; late: by more than `LATE_S`."""

    wakes: int = 0
    late: int = 0
    latest_ms: float = 0.0
    cpu_share: float = 0.0  # of one core, the sleeper's own

    @property
    def late_share(self) -> float:
        return self.late / self.wakes if self.wakes else 0.0

    def note(self, late_s: float) -> None:
        """Counts one wake, so much later than asked for."""
        self.wakes += 1
        self.late += late_s > LATE_S
        self.latest_ms = max(self.latest_ms, round(late_s * 1e3, 3))

    def take(self, figures: dict[str, Any]) -> None:
        """Takes over what another process saw."""
        for name, value in figures.items():
            setattr(self, name, value)

    def as_figures(self) -> dict[str, Any]:
        return {**asdict(self), "late_share": round(self.late_share, 4)}


def watch(stopped: Callable[[], bool], wakes: Wakes) -> None:
    """Sleeps and notes, in the calling thread, until `stopped`."""
    started, used = time.perf_counter(), time.thread_time()
    while not stopped():
        asleep = time.perf_counter()
        time.sleep(SLEEP_S)
        wakes.note(time.perf_counter() - asleep - SLEEP_S)
    wakes.cpu_share = round((time.thread_time() - used) / max(time.perf_counter() - started, 1e-9), 5)


def main() -> None:
    stopped = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        stopped.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    wakes = Wakes()
    watch(stopped.is_set, wakes)
    print(json.dumps(asdict(wakes)), flush=True)


if __name__ == "__main__":
    main()
