"""The voice's right of way on a GPU that it shares with the language model.

A first chunk of speech is a chain of some 1,500 kernels of 2 µs. A decode step takes every multiprocessor for a
millisecond or more, with all of its shared memory: nothing runs beside it, whatever a stream's priority. While further
steps wait in the queue the chain advances only in the gaps between two of them. So the voice says when it is about to
run, and the decode loop plans nothing new until the first chunk is out:

    voice:    with turn.speech():           decode loop:    if turn.pending:
                  encode, decode                                turn.wait()
                  the first chunk                           run the next plan

Steps that are queued already run first. Later chunks need no right of way: what has been heard of a line lasts longer
than they take in the gaps.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# A first chunk takes some 7 ms: whoever waits longer is held up by something else, and goes on.
LONGEST_WAIT_S = 0.05


class DeviceTurn:
    """One for each GPU, shared by those who run on it. Thread-safe."""

    def __init__(self, longest_wait_s: float = LONGEST_WAIT_S) -> None:
        self._longest_wait_s = longest_wait_s
        self._ended = threading.Condition()
        self._numbers = itertools.count()
        self._running: set[int] = set()

    @contextmanager
    def speech(self) -> Iterator[None]:
        """Has the right of way until the block ends; by then the GPU's work has to be finished. Never waits.

        Several threads may have it at once: the way is free when all blocks have ended.
        """
        with self._ended:
            number = next(self._numbers)
            self._running.add(number)
        try:
            yield
        finally:
            with self._ended:
                self._running.discard(number)
                self._ended.notify_all()

    @property
    def pending(self) -> bool:
        """Whether somebody has the right of way. Takes no lock: cheap enough for every plan."""
        return bool(self._running)

    def wait(self) -> None:
        """Waits until those who have the right of way now are done, or the longest wait is over.

        Who comes later does not count: a voice that never rests slows decoding down and does not stop it.
        """
        with self._ended:
            before = frozenset(self._running)
            self._ended.wait_for(lambda: before.isdisjoint(self._running), self._longest_wait_s)
