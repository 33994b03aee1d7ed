"""What `submit` returns: one cue's share of the session's events, to be read as it comes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import numpy as np

from commentary_llm.ground.errors import CommentaryError, EngineError
from commentary_llm.session.events import (
    ClauseBegun,
    ClauseEnded,
    ClauseSamples,
    CueDecoded,
    EventStream,
    SessionClosed,
    SessionEvent,
    SessionFailed,
)
from commentary_llm.session.record import CueRecord


class SpokenClause:
    """A clause that passed the gate: its text at once, its sound while it is being decoded."""

    def __init__(self, text: str, source: str, sample_rate_hz: int) -> None:
        self.text = text
        self.source = source  # "opener", "model" or "template"
        self.sample_rate_hz = sample_rate_hz
        self._chunks: queue.SimpleQueue[np.ndarray | None] = queue.SimpleQueue()

    def pcm(self) -> Iterator[np.ndarray]:
        """Chunks of float32 mono in [-1, 1], blocking until the clause is complete. Can be read once."""
        while (chunk := self._chunks.get()) is not None:
            yield chunk

    def push(self, chunk: np.ndarray | None) -> None:
        """Adds a chunk; None ends the clause."""
        self._chunks.put(chunk)


class CueHandle:
    """A subscriber for one event. Iterating yields the clauses as they are cleared for speech; `result` the record.

    It keeps no more than one cue's sound, and leaves the stream by itself when the cue is decoded.
    """

    def __init__(self, event_id: str, events: EventStream | None = None) -> None:
        """`events`: the stream to leave at the end."""
        self.event_id = event_id
        self.skipped: str | None = None  # why the director let the event pass without words
        self._events = events
        self._clauses: queue.SimpleQueue[SpokenClause | None] = queue.SimpleQueue()
        self._open: SpokenClause | None = None
        self._done = threading.Event()
        self._record: CueRecord | None = None
        self._error: CommentaryError | None = None

    def __iter__(self) -> Iterator[SpokenClause]:
        """Blocks for each clause until the cue is finished; iterate once. Raises the engine's error if it failed."""
        while (clause := self._clauses.get()) is not None:
            yield clause
        if self._error is not None:
            raise self._error

    def done(self) -> bool:
        return self._done.is_set()

    def result(self, timeout_s: float | None = None) -> CueRecord | None:
        """The cue's record, or None when the event got no words (`skipped` says why).

        Blocks until its speech is decoded; it may still be playing, and be cut. Raises TimeoutError, or the
        engine's error.
        """
        if not self._done.wait(timeout_s):
            raise TimeoutError(f"event {self.event_id}: not finished within {timeout_s} s")
        if self._error is not None:
            raise self._error
        return self._record

    def put(self, event: SessionEvent) -> None:
        if isinstance(event, SessionFailed):
            self.finish(error=event.error)
        elif isinstance(event, SessionClosed):
            self.finish(error=EngineError(f"event {self.event_id}: the session was closed before its words were done"))
        elif getattr(event, "event_id", None) == self.event_id:
            if isinstance(event, ClauseBegun):
                self._open = SpokenClause(event.text, event.source, event.sample_rate_hz)
                self._clauses.put(self._open)
            elif isinstance(event, ClauseSamples) and self._open is not None:
                self._open.push(event.samples)
            elif isinstance(event, ClauseEnded) and self._open is not None:
                self._open.push(None)
                self._open = None
        elif isinstance(event, CueDecoded) and event.record.event_id == self.event_id:
            self.finish(event.record)

    def finish(
        self, record: CueRecord | None = None, *, skipped: str | None = None, error: CommentaryError | None = None
    ) -> None:
        """The cue's end; the first one counts."""
        if self._done.is_set():
            return
        self._record, self.skipped, self._error = record, skipped, error
        if self._open is not None:
            self._open.push(None)
        self._clauses.put(None)
        self._done.set()
        if self._events is not None:
            self._events.detach(self)
