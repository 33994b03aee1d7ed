"""One match on the air: its events in, its lines written, spoken and released.

The caller's own thread hands over an opener, whose sound is ready. What is left of a cue is work that others do: they
take it from the queues that all sessions share, and come back with `write`, `speak`, `release` and `prepare`. A session
has no thread of its own, and nothing of another match.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter_ns

import numpy as np

from commentary_llm.cue.cue import Cue, Urgency
from commentary_llm.ground.errors import CommentaryError, EngineError
from commentary_llm.match import MatchEvent, MatchState
from commentary_llm.match.match import Accepted, Arrival, Match
from commentary_llm.session.events import (
    EventTaken,
    SessionClosed,
    SessionFailed,
)
from commentary_llm.session.handle import CueHandle
from commentary_llm.session.job import CueJob
from commentary_llm.session.lines import Lines, Parts, Work

log = logging.getLogger(__name__)

_STILL_NEWS_S = 10.0  # trackers send events a few seconds out of order; a goal among them must still be called
_LET_GO_S = 10.0  # for the work in progress when a session is closed


class Session:
    """A running match. Made by a station's `open`; use it as a context manager, or call `close`."""

    def __init__(
        self,
        parts: Parts,
        work: Work,
        closed: Callable[[Session], None],
        failed: Callable[[CommentaryError], None] = lambda error: None,
    ) -> None:
        """`closed` is told once, when the session has ended and everything that was said is final; `failed`, when its
        work ended by an error."""
        self.match_id = parts.match.info.id
        self.metrics, self.events, self.clock = parts.metrics, parts.events, parts.clock
        self._parts, self._closed, self._failed = parts, closed, failed
        self._submit_lock = threading.Lock()
        self._error: CommentaryError | None = None
        self._stopped = False
        self._lines = Lines(self, parts, work, lambda: self._error is not None)
        self._changed = self._lines.changed

    # -- the caller's side ---------------------------------------------------------------------------------------

    @property
    def match(self) -> Match:
        """The match as it stands, and what was accepted."""
        return self._parts.match

    def submit(self, event: MatchEvent, *, stream_s: float | None = None, announced: str = "") -> CueHandle:
        """Takes an event and returns at once, with a handle to what is said about it.

        `stream_s`: when it happened in stream time (default: now). `announced`: what the stadium announcer says of
        it, where known, to score the recogniser. Raises InputError if the event contradicts the match (which stays as
        it was), EngineError if the session is closed or has failed.
        """
        accepted_ns = perf_counter_ns()
        handle = CueHandle(event.event_id, self.events)
        with self._submit_lock:
            self._raise_if_failed()
            if self._stopped:
                raise EngineError(f"event {event.event_id}: match {self.match_id} is closed; it takes no more events")
            accepted = self._parts.match.accept(event)
            self.metrics.count("events", accepted.kind.value)
            if accepted.kind is Arrival.DUPLICATE or self._too_late(accepted, event):
                handle.finish(skipped=accepted.kind.value)
            else:
                at_s = self.clock.now_s() if stream_s is None else stream_s
                self._tell(event, accepted.state_after, handle, at_s, accepted_ns, announced)
            for late in accepted.recovered:
                self._recover(late, accepted, accepted_ns)
        return handle

    def hear(self, samples: np.ndarray) -> None:
        """Live stadium sound: (N,) float32 mono 16 kHz in [-1, 1]. Never waits. Raises ConfigError without `listen`."""
        self._parts.hearing.push(samples)

    def idle(self) -> bool:
        """Whether every accepted cue is spoken or dropped, and nothing is being prepared for what may follow."""
        return not self._lines.in_flight and self._parts.branches.idle()

    def wait_idle(self, timeout_s: float) -> bool:
        """Blocks until `idle`, at most `timeout_s`; returns whether it is. Raises EngineError if the session failed."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: (not self._lines.in_flight and self._parts.branches.idle()) or self._error is not None,
                timeout_s,
            )
        self._raise_if_failed()
        return done

    def wait(self, timeout_s: float) -> None:
        """Blocks for `timeout_s`, less when the session fails. Raises EngineError then."""
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None, timeout_s)
        self._raise_if_failed()

    def close(self, *, drain_s: float = 30.0) -> None:
        """Takes no more events, finishes what is being said (for `drain_s` at most) and makes all of it final.

        Idempotent. Touches no other session.
        """
        with self._submit_lock:
            if self._stopped:
                return
            self._stopped = True
        parts = self._parts
        if drain_s > 0 and self._error is None:
            with self._changed:
                self._changed.wait_for(lambda: not self._lines.in_flight or self._error is not None, drain_s)
        parts.branches.close()
        if not self._lines.end(_LET_GO_S):
            log.warning("match %s: a stage did not let go of it within %g s", self.match_id, _LET_GO_S)
        parts.hearing.close()
        self.release(float("inf"))
        self.events.publish(SessionClosed(self.match_id))
        self._closed(self)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.close(drain_s=30.0 if kind is None else 0.0)

    # -- from an event to a cue with a place on the timeline -------------------------------------------------------

    def _tell(
        self,
        event: MatchEvent,
        state: MatchState,
        handle: CueHandle,
        at_s: float,
        accepted_ns: int,
        announced: str = "",
        only: Callable[[Cue], bool] = lambda cue: True,
    ) -> None:
        """Lets the director decide about an event that is part of `state`, and begins what he orders."""
        branches = self._parts.branches
        decision = self._parts.director.decide(event, state, self._lines.status(at_s))
        if decision.cue is None or not only(decision.cue):
            reason = decision.reason if decision.cue is None else Arrival.LATE.value
            branch = branches.observe(event, state)
            if branch is not None:
                branches.settle(branch, heard=False)
            self.metrics.count("skipped", reason)
            handle.finish(skipped=reason)
            self.events.publish(EventTaken(self.match_id, event, at_s, reason))
            return
        self.events.attach(handle)
        self.events.publish(EventTaken(self.match_id, event, at_s, None))
        job = self._lines.begin(decision.cue, decision.supersedes, at_s, accepted_ns, announced)
        # After the sound: what is prepared ahead must neither delay it nor begin beside the cue.
        branch = branches.observe(event, state)
        if job.dropped is not None:
            if branch is not None:
                branches.settle(branch, heard=False)
            return
        job.branch = branch
        if (pushed_out := self._lines.enqueue(job)) is not None:
            owner, loser = pushed_out
            assert isinstance(owner, Session)
            owner._lines.give_up(loser, "queue full")

    def _recover(self, event: MatchEvent, accepted: Accepted, accepted_ns: int) -> None:
        """Tells what was refused before and fits now: what decides a match in any case, the rest while it is news."""
        self.metrics.count("events", "recovered")
        late = self._too_late(Accepted(accepted.state_after, Arrival.LATE), event)
        self._tell(
            event,
            accepted.state_after,
            CueHandle(event.event_id, self.events),
            self.clock.now_s(),
            accepted_ns,
            only=lambda cue: not late or cue.urgency is Urgency.URGENT,
        )

    @staticmethod
    def _too_late(accepted: Accepted, event: MatchEvent) -> bool:
        """Whether a late event only sets the record straight: what it tells is over by now."""
        newest = accepted.state_after.time
        if accepted.kind is not Arrival.LATE or newest is None:
            return False
        return newest.period != event.period or newest.elapsed_s - event.elapsed_s > _STILL_NEWS_S

    # -- the station's side: called by whoever does the work -------------------------------------------------------

    def write(self, job: CueJob) -> None:
        """Writes a cue that was taken from the queue, and hands its clauses over to be spoken."""
        with self._failing():
            self._lines.write(job)

    def speak(self, job: CueJob, clause: str | None) -> None:
        """Speaks a clause of a cue; None stands for the end of its words."""
        with self._failing():
            self._lines.speak(job, clause)

    def prepare(self) -> bool:
        """Prepares one likely outcome of a build-up; False when there is nothing to prepare now."""
        with self._failing():
            prepared = self._parts.branches.prepare_next()
            if self._parts.branches.idle():
                with self._changed:
                    self._changed.notify_all()
            return prepared
        return False

    @property
    def has_to_prepare(self) -> bool:
        return self._error is None and self._parts.branches.due

    def release(self, until_s: float | None = None) -> None:
        """Publishes what has been heard by `until_s` (by default by now), in order: it is final."""
        self._lines.release(self.clock.now_s() if until_s is None else until_s)

    def fail(self, error: CommentaryError) -> None:
        """Ends the session's work for good; whoever waits for it learns of it. What was said can still be closed."""
        with self._changed:
            if self._error is not None:
                return
            self._error = error
        self._lines.abandon()
        self.events.publish(SessionFailed(self.match_id, error))

    def _raise_if_failed(self) -> None:
        if self._error is not None:
            raise self._error

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """An error in a session's work ends that session, and no other."""
        try:
            yield
        except CommentaryError as error:
            self.fail(error)
            self._failed(error)
        except Exception as error:  # a defect of ours: every waiting handle must learn of it, with its traceback
            log.exception("match %s failed", self.match_id)
            failure = EngineError(f"match {self.match_id} failed: {error!r}")
            failure.__cause__ = error
            self.fail(failure)
