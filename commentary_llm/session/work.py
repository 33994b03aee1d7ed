"""What is waiting to be done, of all sessions: cues for words, clauses for sound. Bounded; every loss has a name.

One session's cues are written one after another, and so are its clauses spoken: a line leads on from the one before it.
Whoever takes work of a session holds that session until `done`; work of other sessions goes on meanwhile.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from commentary_llm.session.job import CueJob

_POLL_S = 0.1  # how soon a writer that waits for room notices that its cue is given up


class Worker(Protocol):
    """What the queues know of a session."""

    @property
    def match_id(self) -> str: ...


W = TypeVar("W", list["CueJob"], deque[tuple["CueJob", "str | None"]])


class _SessionQueue(Generic[W]):
    """What waits, by session; and which sessions somebody works for."""

    def __init__(self) -> None:
        self._waiting: dict[Worker, W] = {}
        self._held: set[Worker] = set()
        self._closed = False
        self._changed = threading.Condition()

    def forget(self, session: Worker, timeout_s: float) -> bool:
        """Takes no more of a session, and waits until nobody works for it; False when somebody still does."""
        with self._changed:
            self._waiting.pop(session, None)
            self._changed.notify_all()
            return self._changed.wait_for(lambda: session not in self._held, timeout_s)

    def done(self, session: Worker) -> None:
        """Lets others work for a session again."""
        with self._changed:
            self._held.discard(session)
            self._changed.notify_all()

    def close(self) -> None:
        """Lets those who wait for work go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _free(self) -> list[Worker]:
        """Sessions that have something waiting and nobody working for them. Holding the lock."""
        return [session for session, waiting in self._waiting.items() if waiting and session not in self._held]


class CueQueue(_SessionQueue[list["CueJob"]]):
    """Cues of all sessions that wait for words: by urgency, then by deadline. Thread-safe.

    Within a session the most urgent goes first, of equals the one that came first: their places on the timeline are in
    that order. Between sessions the next one of each is compared by urgency, then by what is due sooner.
    """

    def __init__(self, capacity: int) -> None:
        """`capacity`: cues for each open session, in all. When that is full, the least urgent of all has to go."""
        super().__init__()
        self._capacity = capacity

    def open(self, session: Worker) -> None:
        """Lets a session put cues."""
        with self._changed:
            self._waiting[session] = []

    def put(self, session: Worker, job: CueJob) -> tuple[Worker, CueJob] | None:
        """Adds a job; returns the one that had to go for it, if any: perhaps itself, perhaps another session's."""
        with self._changed:
            self._waiting[session].append(job)
            self._changed.notify_all()
            if sum(map(len, self._waiting.values())) <= self._capacity * len(self._waiting):
                return None
            # Of the least urgent the one whose session has most waiting goes, and of that session's the oldest.
            owner, loser = min(
                ((each, waiting) for each, jobs in self._waiting.items() for waiting in jobs),
                key=lambda pair: (pair[1].cue.urgency, -len(self._waiting[pair[0]]), pair[1].order),
            )
            self._waiting[owner].remove(loser)
            return owner, loser

    def take(self, timeout_s: float) -> tuple[Worker, CueJob] | None:
        """The next job of a session that nobody works for, which is held until `done`; None after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._free(), timeout_s)
            following = [(session, max(self._waiting[session], key=_turn)) for session in self._free()]
            if not following:
                return None
            session, job = max(following, key=lambda pair: (pair[1].cue.urgency, -pair[1].due_s))
            self._waiting[session].remove(job)
            self._held.add(session)
            return session, job

    def remove(self, session: Worker, job: CueJob) -> bool:
        """Withdraws a waiting job; False when it is no longer waiting."""
        with self._changed:
            if job not in self._waiting.get(session, ()):
                return False
            self._waiting[session].remove(job)
            return True

    def waiting(self, session: Worker) -> list[CueJob]:
        """A session's jobs that nobody has taken."""
        with self._changed:
            return list(self._waiting.get(session, ()))

    @property
    def busy_sessions(self) -> int:
        """How many sessions are being written for or wait for it."""
        with self._changed:
            return len(self._held | {session for session, jobs in self._waiting.items() if jobs})


def _turn(job: CueJob) -> tuple[int, int]:
    return job.cue.urgency, -job.order


class ClauseQueue(_SessionQueue[deque[tuple["CueJob", "str | None"]]]):
    """Clauses of all sessions that wait for sound, those of the most urgent cue first. Thread-safe."""

    def __init__(self, capacity: int) -> None:
        """`capacity`: clauses waiting for each session; a cue's writer waits when they are that many."""
        super().__init__()
        self._capacity = capacity

    def open(self, session: Worker) -> None:
        """Lets a session put clauses."""
        with self._changed:
            self._waiting[session] = deque()

    def put(self, session: Worker, job: CueJob, clause: str | None, given_up: Callable[[], bool]) -> None:
        """Adds a clause, or None for the end of the cue's words; waits while there is no room, until `given_up`."""
        with self._changed:
            while not self._changed.wait_for(
                lambda: session not in self._waiting or len(self._waiting[session]) < self._capacity, _POLL_S
            ):
                if given_up():
                    return
            if session in self._waiting:
                self._waiting[session].append((job, clause))
                self._changed.notify_all()

    def take(self, timeout_s: float) -> tuple[Worker, CueJob, str | None] | None:
        """The next clause of a session that nobody speaks for, which is held until `done`; None after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._free(), timeout_s)
            free = self._free()
            if not free:
                return None
            session = max(free, key=lambda each: self._waiting[each][0][0].cue.urgency)
            job, clause = self._waiting[session].popleft()
            self._held.add(session)
            self._changed.notify_all()
            return session, job, clause

    def empty(self, session: Worker) -> bool:
        """Whether nothing of a session waits or is being spoken."""
        with self._changed:
            return session not in self._held and not self._waiting.get(session)
