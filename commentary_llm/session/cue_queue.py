"""Cues waiting for words: bounded, most urgent first, and every loss has a name."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from commentary_llm.session.job import CueJob


class CueQueue:
    """Holds at most `capacity` jobs. When full, the least urgent and oldest makes room, perhaps the newcomer itself."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._jobs: list[CueJob] = []
        self._closed = False
        self._ready = threading.Condition()

    def put(self, job: CueJob) -> CueJob | None:
        """Adds a job; returns the one that had to go for it, if any."""
        with self._ready:
            self._jobs.append(job)
            self._ready.notify()
            if len(self._jobs) <= self._capacity:
                return None
            loser = min(self._jobs, key=lambda j: (j.cue.urgency, j.order))
            self._jobs.remove(loser)
            return loser

    def take(self, timeout_s: float) -> CueJob | None:
        """The most urgent job, the oldest among equals; None after `timeout_s` or when closed and empty."""
        with self._ready:
            if not self._jobs and not self._closed:
                self._ready.wait(timeout_s)
            if not self._jobs:
                return None
            job = max(self._jobs, key=lambda j: (j.cue.urgency, -j.order))
            self._jobs.remove(job)
            return job

    def remove(self, job: CueJob) -> bool:
        """Withdraws a waiting job; False when it is no longer waiting."""
        with self._ready:
            if job not in self._jobs:
                return False
            self._jobs.remove(job)
            return True

    def waiting(self) -> list[CueJob]:
        with self._ready:
            return list(self._jobs)

    def close(self) -> None:
        with self._ready:
            self._closed = True
            self._ready.notify_all()
