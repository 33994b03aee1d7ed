"""What a session tells the world: one stream of events, which every sink subscribes to.

    subscription = session.events.subscribe("captions", capacity=1000, when_full=WhenFull.DROP_OLDEST)
    event = subscription.take(timeout_s=1.0)   # None after that time, or when the session is closed and all is taken

Publishing never waits: a subscriber that falls behind loses events by the policy it stated, and each loss is counted.
Every event carries the match's id. Times are stream seconds unless they say otherwise.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np

from commentary_llm.ground.errors import CommentaryError
from commentary_llm.match import MatchEvent
from commentary_llm.session.record import CueRecord
from commentary_llm.session.timeline import Segment


@dataclass(frozen=True)
class EventTaken:
    """An event of the match was accepted. `silent`: why nothing will be said of it, None when words may follow."""

    match_id: str
    event: MatchEvent
    stream_s: float
    silent: str | None


@dataclass(frozen=True)
class ClauseBegun:
    """A clause of a cue is cleared for speech; its samples follow, `number` counts from 0 within the cue."""

    match_id: str
    event_id: str
    number: int
    text: str
    source: str  # "opener", "model" or "template"
    sample_rate_hz: int


@dataclass(frozen=True)
class ClauseSamples:
    """The next piece of a clause's sound: (N,) float32 mono in [-1, 1], as soon as it is decoded."""

    match_id: str
    event_id: str
    number: int
    samples: np.ndarray


@dataclass(frozen=True)
class ClauseEnded:
    """No more samples come of a clause."""

    match_id: str
    event_id: str
    number: int


@dataclass(frozen=True)
class SegmentPlaced:
    """A segment has its place on the timeline. Until it begins it may still move, then grow and be cut: a live player
    follows it."""

    match_id: str
    segment: Segment


@dataclass(frozen=True)
class SegmentHeard:
    """A segment's time is over; it no longer changes."""

    match_id: str
    segment: Segment


@dataclass(frozen=True)
class CueDecoded:
    """All sound of a cue is decoded. It may still be playing, and be cut."""

    match_id: str
    record: CueRecord


@dataclass(frozen=True)
class CueEnded:
    """A cue's time is over: its record is final."""

    match_id: str
    record: CueRecord


@dataclass(frozen=True)
class SessionFailed:
    """The session takes no more events and says no more; what was said before still becomes final."""

    match_id: str
    error: CommentaryError


@dataclass(frozen=True)
class SessionClosed:
    """The last event of a stream."""

    match_id: str


SessionEvent = (
    EventTaken
    | ClauseBegun
    | ClauseSamples
    | ClauseEnded
    | SegmentPlaced
    | SegmentHeard
    | CueDecoded
    | CueEnded
    | SessionFailed
    | SessionClosed
)


class WhenFull(str, Enum):
    """What happens to a subscriber that is `capacity` events behind."""

    DROP_OLDEST = "drop oldest"
    DROP_ALL = "drop all"  # it goes on with what comes next: for those to whom old sound is worth nothing
    END = "end"  # it gets nothing more: for files, which must be whole or known to be broken


class Subscription:
    """One subscriber's queue. Thread-safe; made by `EventStream.subscribe`."""

    def __init__(
        self,
        name: str,
        capacity: int,
        when_full: WhenFull,
        kinds: tuple[type, ...] | None,
        notify: Callable[[], None] | None,
    ) -> None:
        self.name = name
        self.dropped = 0  # events lost by falling behind
        self._capacity, self._when_full = capacity, when_full
        self._kinds, self._notify = kinds, notify
        self._waiting: deque[SessionEvent] = deque()
        self._ended = False
        self._changed = threading.Condition()

    def put(self, event: SessionEvent) -> None:
        """Queues an event by the stated policy. Never waits."""
        closing = isinstance(event, SessionClosed)
        if not closing and self._kinds is not None and not isinstance(event, self._kinds):
            return
        with self._changed:
            if self._ended:
                self.dropped += not closing
                return
            if len(self._waiting) >= self._capacity and not closing:
                if self._when_full is WhenFull.END:
                    self._ended = True
                    self.dropped += 1
                    self._changed.notify_all()
                    return
                gone = len(self._waiting) if self._when_full is WhenFull.DROP_ALL else 1
                for _ in range(gone):
                    self._waiting.popleft()
                self.dropped += gone
            self._waiting.append(event)
            self._ended = closing
            self._changed.notify_all()
        if self._notify is not None:
            self._notify()

    def take(self, timeout_s: float | None = None) -> SessionEvent | None:
        """The next event, waiting for it; None after `timeout_s`, or when all is taken and no more comes."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended, timeout_s)
            return self._waiting.popleft() if self._waiting else None

    def take_all(self) -> list[SessionEvent]:
        """What is waiting, without waiting for more."""
        with self._changed:
            taken = list(self._waiting)
            self._waiting.clear()
            return taken

    @property
    def ended(self) -> bool:
        """Whether nothing is waiting and nothing more comes: the session is closed, or this fell too far behind."""
        with self._changed:
            return self._ended and not self._waiting

    @property
    def overrun(self) -> bool:
        """Whether it was ended because it fell too far behind."""
        with self._changed:
            return self._when_full is WhenFull.END and self.dropped > 0


class Subscriber(Protocol):
    def put(self, event: SessionEvent) -> None:
        """Takes an event, from whichever thread published it. Must not wait."""
        ...


class EventStream:
    """A session's events, handed to every subscriber in the order in which they were published. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a subscriber may leave while it is being told of something
        self._subscribers: list[Subscriber] = []
        self._closed: SessionClosed | None = None

    def subscribe(
        self,
        name: str,
        *,
        capacity: int = 1000,
        when_full: WhenFull = WhenFull.DROP_OLDEST,
        kinds: Iterable[type] | None = None,
        notify: Callable[[], None] | None = None,
    ) -> Subscription:
        """A queue of its own for a subscriber, from the next event on.

        `kinds`: only events of these classes (`SessionClosed` comes in any case). `notify` is called, from the
        publishing thread, after each event that was queued; it must not wait.
        """
        subscription = Subscription(name, capacity, when_full, tuple(kinds) if kinds is not None else None, notify)
        self.attach(subscription)
        return subscription

    def attach(self, subscriber: Subscriber) -> None:
        """Lets a subscriber with a queue of its own know of the next events."""
        with self._lock:
            if self._closed is not None:
                subscriber.put(self._closed)
            else:
                self._subscribers.append(subscriber)

    def detach(self, subscriber: Subscriber) -> None:
        with self._lock:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

    def publish(self, event: SessionEvent) -> None:
        """Hands an event to all who subscribed. Never waits; after `SessionClosed` nothing more is published."""
        with self._lock:
            if self._closed is not None:
                return
            if isinstance(event, SessionClosed):
                self._closed = event
            for subscriber in tuple(self._subscribers):
                subscriber.put(event)
