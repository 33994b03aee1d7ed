"""The newest seconds of a sample stream."""

from __future__ import annotations

import threading

import numpy as np


class RingBuffer:
    """Keeps the last `capacity_samples` of a mono float32 stream; positions count from the stream's first sample.

    Thread-safe. Writing copies under a lock and never waits for a reader longer than its copy takes.
    """

    def __init__(self, capacity_samples: int) -> None:
        if capacity_samples < 1:
            raise ValueError(f"capacity_samples is {capacity_samples}; expected 1 or more")
        self._samples = np.zeros(capacity_samples, np.float32)
        self._written = 0
        self._lock = threading.Lock()

    @property
    def capacity_samples(self) -> int:
        return len(self._samples)

    @property
    def written_samples(self) -> int:
        """Length of the stream so far: the position of the next sample."""
        return self._written

    def write(self, samples: np.ndarray) -> int:
        """Appends (N,) samples, overwriting the oldest. Returns the stream's new length."""
        capacity = len(self._samples)
        tail = samples[-capacity:]
        with self._lock:
            self._written += len(samples)
            start = (self._written - len(tail)) % capacity
            first = min(len(tail), capacity - start)
            self._samples[start : start + first] = tail[:first]
            self._samples[: len(tail) - first] = tail[first:]
            return self._written

    def read(self, start: int, end: int) -> np.ndarray:
        """Copy of the samples at positions [start, end): (end - start,) float32, zero where they are not held."""
        with self._lock:
            return self._copy(start, end)

    def newest(self, count: int) -> tuple[int, np.ndarray]:
        """Position of the first one and a copy of the last `count` samples, fewer when the ring holds fewer."""
        with self._lock:
            start = max(self._written - min(count, len(self._samples)), 0)
            return start, self._copy(start, self._written)

    def _copy(self, start: int, end: int) -> np.ndarray:
        capacity = len(self._samples)
        out = np.zeros(max(end - start, 0), np.float32)
        first = max(start, self._written - capacity, 0)
        last = min(end, self._written)
        if first < last:
            out[first - start : last - start] = self._samples.take(np.arange(first, last), mode="wrap")
        return out
