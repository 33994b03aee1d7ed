"""The voice's right of way on a GPU that it shares with the language model.

A voice run is a chain of hundreds of small kernels. A decode step fills the whole GPU for a millisecond, and while
further steps wait in its queue the chain advances by one kernel in each gap between two of them. So the voice says
when it is about to run, and the decode loop holds its next launch until the run is over:

    voice:    with turn.speech():       decode loop:    if turn.pending:
                  run, synchronise                          turn.wait()
                                                        launch the next step

Who has nothing to hurry for (the recogniser, lines spoken at leisure) takes what gaps there are.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

# A whole clause takes some 10 ms: whoever waits longer is held up by something else, and goes on.
LONGEST_WAIT_S = 0.05


@dataclass(frozen=True)
class TurnStats:
    """Counts since the start."""

    runs: int = 0  # of the voice
    waits: int = 0  # of the decode loop
    waited_s: float = 0.0
    overruns: int = 0  # waits that ended before the voice did


class DeviceTurn:
    """One for each GPU, shared by those who run on it. Thread-safe."""

    def __init__(self, longest_wait_s: float = LONGEST_WAIT_S) -> None:
        self._longest_wait_s = longest_wait_s
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._running: set[int] = set()
        self._stats = TurnStats()

    @contextmanager
    def speech(self) -> Iterator[None]:
        """Has the right of way until the block ends; by then the GPU's work has to be finished. Never waits.

        May be held by several threads at once and inside itself: the way is free when all blocks have ended.
        """
        with self._changed:
            number = next(self._numbers)
            self._running.add(number)
        try:
            yield
        finally:
            with self._changed:
                self._running.discard(number)
                self._count(runs=1)
                self._changed.notify_all()

    @property
    def pending(self) -> bool:
        """Whether somebody has the right of way. Takes no lock: cheap enough for every step."""
        return bool(self._running)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until those who have the right of way now are done; who comes later does not count.

        So a voice that never rests slows decoding down and does not stop it. False when `timeout_s` (by default what
        the constructor got) passed first; that is counted, and the caller goes on.
        """
        limit_s = self._longest_wait_s if timeout_s is None else timeout_s
        started = perf_counter()
        with self._changed:
            before = frozenset(self._running)
            done = self._changed.wait_for(lambda: before.isdisjoint(self._running), limit_s)
            self._count(waits=1, waited_s=perf_counter() - started, overruns=int(not done))
        return done

    def stats(self) -> TurnStats:
        with self._changed:
            return self._stats

    def _count(self, runs: int = 0, waits: int = 0, waited_s: float = 0.0, overruns: int = 0) -> None:
        old = self._stats
        self._stats = TurnStats(old.runs + runs, old.waits + waits, old.waited_s + waited_s, old.overruns + overruns)
