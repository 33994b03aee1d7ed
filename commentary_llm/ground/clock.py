"""Stream time: seconds on the one timeline that events, stadium audio, speech and captions share.

Match time (period, elapsed) says when in the game something happened; stream time says when it can be heard. Live the
stream simply runs; in a replay it may jump over the time in which nothing happens and nothing is being worked on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class StreamClock:
    """Runs with real time from `start_s`, and can be moved forward. Thread-safe."""

    def __init__(self, start_s: float = 0.0, monotonic: Callable[[], float] = time.perf_counter) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._base_s = start_s - monotonic()

    def now_s(self) -> float:
        with self._lock:
            return self._base_s + self._monotonic()

    def start_at(self, stream_s: float) -> None:
        """Sets the clock, back as well as forward: for a source that begins only when everything is warm."""
        with self._lock:
            self._base_s = stream_s - self._monotonic()

    def jump_to(self, stream_s: float) -> None:
        """Moves the clock forward to `stream_s`; a time already past leaves it alone."""
        with self._lock:
            self._base_s = max(self._base_s, stream_s - self._monotonic())
