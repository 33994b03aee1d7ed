"""One event's way through the engine: accepted, directed, written, spoken, released.

The caller's own thread hands over an opener, whose sound is ready. Threads of our own go on writing from there, speak
that, release to the sinks what has been heard, and prepare what may come next. Queues are bounded; what is dropped is
dropped by name and counted.
"""

from __future__ import annotations

import logging
import queue
import threading
from time import perf_counter, perf_counter_ns

from commentary_llm.cue.cue import Cue, Urgency
from commentary_llm.cue.director import Decision, Director, SpeechStatus
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.errors import CommentaryError, EngineError
from commentary_llm.ground.metrics import Metrics
from commentary_llm.language.contract import Openers
from commentary_llm.match import EventType, MatchEvent
from commentary_llm.match.match import Accepted, Arrival, Match
from commentary_llm.session.branches import Branches
from commentary_llm.session.cue_queue import CueQueue
from commentary_llm.session.events import (
    CueDecoded,
    CueEnded,
    EventStream,
    EventTaken,
    SegmentHeard,
    SessionClosed,
    SessionFailed,
)
from commentary_llm.session.handle import CueHandle
from commentary_llm.session.hearing import Hearing
from commentary_llm.session.job import CueJob, new_job
from commentary_llm.session.speaker import Speaker
from commentary_llm.session.timeline import SpeechTimeline
from commentary_llm.session.writer import LineWriter

log = logging.getLogger(__name__)

_POLL_S = 0.1  # how soon the threads notice that the flow is closing
_RELEASE_S = 0.02  # one broadcast video frame is 0.02 s: finer release is not visible in captions
_STILL_NEWS_S = 10.0  # trackers send events a few seconds out of order; a goal among them must still be called
_SPEECH_QUEUE = 32  # clauses; more than the longest line has

# Whose speech a cue may cut off: urgent ones anything below, a card or save only filling talk, the rest nothing.
_CUTS_BELOW: dict[Urgency, int] = {
    Urgency.URGENT: Urgency.URGENT,
    Urgency.KEY: Urgency.NOTE,
    Urgency.NOTE: Urgency.FILL,
    Urgency.FILL: Urgency.FILL,
}
_GOALS = frozenset({EventType.GOAL, EventType.OWN_GOAL})


def _cuts_below(cue: Cue) -> int:
    """A goal also cuts off what led to it: the penalty that was given, the red card."""
    return Urgency.URGENT + 1 if cue.event.type in _GOALS else _CUTS_BELOW[cue.urgency]


class Flow:
    """The threads and queues between `submit` and the sinks."""

    def __init__(
        self,
        match: Match,
        director: Director,
        openers: Openers,
        writer: LineWriter,
        speaker: Speaker,
        timeline: SpeechTimeline,
        clock: StreamClock,
        hearing: Hearing,
        branches: Branches,
        metrics: Metrics,
        events: EventStream,
        queue_capacity: int,
    ) -> None:
        self._match = match
        self._director = director
        self._openers = openers
        self._writer = writer
        self._speaker = speaker
        self._timeline = timeline
        self._clock = clock
        self._hearing = hearing
        self._branches = branches
        self._metrics = metrics
        self._events = events
        self._match_id = match.info.id
        self._cues = CueQueue(queue_capacity)
        self._clauses: queue.Queue[tuple[CueJob, str | None]] = queue.Queue(_SPEECH_QUEUE)
        self._submit_lock = threading.Lock()
        self._changed = threading.Condition()
        self._in_flight: dict[int, CueJob] = {}  # accepted, not yet spoken
        self._spoken: list[CueJob] = []  # spoken, not yet all released
        self._order = 0
        self._last_line_end_s = float("-inf")
        self._error: CommentaryError | None = None
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._guard, args=(loop,), name=name, daemon=True)
            for name, loop in (
                ("writer", self._write),
                ("speaker", self._speak),
                ("release", self._play_out),
                ("branches", self._branch),
            )
        ]
        for thread in self._threads:
            thread.start()

    # -- the caller's side ---------------------------------------------------------------------------------------

    def submit(self, event: MatchEvent, stream_s: float | None = None, announced: str = "") -> CueHandle:
        """Validates and folds the event, lets the director decide, hands over the opener's sound and returns.

        `stream_s`: when it happened in stream time, by default now. Raises InputError for an impossible event (the
        match state is unchanged then) and EngineError when the engine has failed.
        """
        accepted_ns = perf_counter_ns()
        handle = CueHandle(event.event_id, self._events)
        with self._submit_lock:
            self._raise_if_failed()
            if self._stop.is_set():
                raise EngineError(f"event {event.event_id}: the engine is closed; it takes no more events")
            accepted = self._match.accept(event)
            self._metrics.count("events", accepted.kind.value)
            if accepted.kind is Arrival.DUPLICATE or self._too_late(accepted, event):
                handle.finish(skipped=accepted.kind.value)
                return handle
            at_s = self._clock.now_s() if stream_s is None else stream_s
            decision = self._director.decide(event, accepted.state_after, self._status(at_s))
            if decision.cue is None:
                branch = self._branches.observe(event, accepted.state_after)
                if branch is not None:
                    self._branches.settle(branch, heard=False)
                self._metrics.count("skipped", decision.reason)
                handle.finish(skipped=decision.reason)
                self._events.publish(EventTaken(self._match_id, event, at_s, decision.reason))
                return handle
            self._events.attach(handle)
            self._events.publish(EventTaken(self._match_id, event, at_s, None))
            job = self._begin(decision, at_s, accepted_ns, announced)
            # After the sound: what is prepared ahead must neither delay it nor begin beside the cue.
            branch = self._branches.observe(event, accepted.state_after)
            if job.dropped is not None:
                if branch is not None:
                    self._branches.settle(branch, heard=False)
                return handle
            job.branch = branch
            if (loser := self._cues.put(job)) is not None:
                self._give_up(loser, "queue full")
        return handle

    def _begin(self, decision: Decision, at_s: float, accepted_ns: int, announced: str) -> CueJob:
        """A job for the decision's cue, with its place on the timeline and the sound of its opener there."""
        cue = decision.cue
        assert cue is not None
        late = self._clock.now_s() > at_s + cue.deadline_s
        opener = "" if late else self._openers.choose(cue)
        self._withdraw(decision.supersedes)
        lane, lost = self._timeline.reserve(
            cue.event.event_id, cue.urgency, cue.interruptible, 0 if late else _cuts_below(cue)
        )
        self._order += 1
        job = new_job(cue, self._order, at_s, accepted_ns, lane, announced)
        if not late:
            ready = self._speaker.open(job, opener)
            self._metrics.count("openers", "ready" if ready else "missing")
        with self._changed:
            losing = [other for other in self._in_flight.values() if other.lane in lost]
            self._in_flight[job.order] = job
            self._branches.pause()
        for other in losing:
            self._interrupt(other)
        if late:
            self._give_up(job, "stale")
        return job

    def idle(self) -> bool:
        """Whether every accepted cue is spoken or dropped, and nothing is being prepared for what may follow."""
        return self._all_spoken() and self._branches.idle()

    def _all_spoken(self) -> bool:
        with self._changed:
            return not self._in_flight

    def wait_idle(self, timeout_s: float) -> bool:
        """Blocks until `idle`, at most `timeout_s`; returns whether it is. Raises EngineError if the engine failed."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: (not self._in_flight and self._branches.idle()) or self._error is not None, timeout_s
            )
        self._raise_if_failed()
        return done

    def wait(self, timeout_s: float) -> None:
        """Blocks for `timeout_s`, less when the engine fails. Raises EngineError then."""
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None, timeout_s)
        self._raise_if_failed()

    def close(self, *, drain_s: float) -> None:
        """Waits up to `drain_s` for cues in flight, stops the threads and releases everything spoken to the sinks."""
        if self._stop.is_set():
            return
        if drain_s > 0 and self._error is None:
            with self._changed:
                self._changed.wait_for(lambda: not self._in_flight or self._error is not None, drain_s)
        self._stop.set()
        self._cues.close()
        self._branches.close()
        for thread in self._threads:
            thread.join(10.0)
        for job in list(self._in_flight.values()):
            self._give_up(job, "engine closed")
        self._release(float("inf"))
        self._events.publish(SessionClosed(self._match_id))

    def _raise_if_failed(self) -> None:
        if self._error is not None:
            raise self._error

    def _too_late(self, accepted: Accepted, event: MatchEvent) -> bool:
        """Whether a late event only sets the record straight: what it tells is over by now."""
        newest = accepted.state_after.time
        if accepted.kind is not Arrival.LATE or newest is None:
            return False
        return newest.period != event.period or newest.elapsed_s - event.elapsed_s > _STILL_NEWS_S

    # -- director's view, pre-emption, drops ---------------------------------------------------------------------

    def _status(self, now_s: float) -> SpeechStatus:
        busy = self._timeline.busy(now_s)
        with self._changed:
            jobs = list(self._in_flight.values())
        urgencies = [job.cue.urgency for job in jobs]
        if busy.urgency is not None:
            urgencies.append(busy.urgency)
        return SpeechStatus(
            now_s=now_s,
            busy_until_s=busy.until_s,
            urgency=max(urgencies, default=None),
            interruptible=busy.interruptible and all(job.cue.interruptible for job in jobs),
            last_end_s=self._last_line_end_s,
            queued=tuple(job.cue.event.event_id for job in jobs if not self._timeline.begun(job.lane)),
        )

    def _withdraw(self, superseded: tuple[str, ...]) -> None:
        """Takes back cues that a new one stands for, as long as nothing of them has been heard."""
        with self._changed:
            jobs = [job for job in self._in_flight.values() if job.cue.event.event_id in superseded]
        for job in jobs:
            if self._timeline.withdraw(job.lane):
                self._interrupt(job)

    def _interrupt(self, job: CueJob) -> None:
        """Nothing more is to be said of a cue that has lost its place."""
        job.cancelled.set()
        if self._cues.remove(job):
            self._give_up(job, "superseded")

    def _give_up(self, job: CueJob, cause: str) -> None:
        """Leaves it at the opener where that was heard; else the cue is dropped."""
        if self._timeline.withdraw(job.lane):
            self._drop(job, cause)
        else:
            job.source_reason = job.source_reason or cause
            self._finish(job)

    def _drop(self, job: CueJob, cause: str) -> None:
        job.dropped = job.dropped or cause
        self._metrics.count("dropped", job.dropped)
        self._finish(job)

    def _finish(self, job: CueJob) -> None:
        """Everything that will be said of this cue has been synthesised."""
        self._timeline.close(job.lane)
        record = job.record()
        with self._changed:
            self._in_flight.pop(job.order, None)
            self._spoken.append(job)
            if record.end_s is not None:
                self._last_line_end_s = record.end_s
            if not self._in_flight:
                self._branches.resume()
            self._changed.notify_all()
        if job.branch is not None:
            self._branches.settle(job.branch, heard=record.branch is not None and bool(record.text))
        self._events.publish(CueDecoded(self._match_id, record))

    # -- threads -------------------------------------------------------------------------------------------------

    def _guard(self, loop: object) -> None:
        try:
            loop()  # type: ignore[operator]
        except CommentaryError as error:
            self._fail(error)
        except Exception as error:  # a defect of ours: every waiting handle must learn of it, with its traceback
            log.exception("pipeline thread %s failed", threading.current_thread().name)
            failure = EngineError(f"pipeline thread {threading.current_thread().name} failed: {error!r}")
            failure.__cause__ = error
            self._fail(failure)

    def _fail(self, error: CommentaryError) -> None:
        with self._changed:
            self._error = self._error or error
            self._in_flight.clear()
            self._changed.notify_all()
        self._events.publish(SessionFailed(self._match_id, error))

    def _write(self) -> None:
        while not (self._stop.is_set() and not self._cues.waiting()):
            job = self._cues.take(_POLL_S)
            if job is None:
                continue
            if self._stop.is_set():
                self._give_up(job, "engine closed")
                continue
            job.marks.taken = perf_counter_ns()
            if not self._timeline.takes_more(job.lane):
                self._give_up(job, "superseded")
                continue
            if self._stale(job) and self._timeline.withdraw(job.lane):
                self._drop(job, "stale")
                continue
            job.heard = self._hearing.heard(job.cue.event, job.stream_s)
            job.listened = True
            job.covered_until_s = perf_counter() + self._timeline.sounds_until_s(job.lane) - self._clock.now_s()
            for clause in self._writer.write(job, job.cancelled.is_set, hurried=lambda: bool(self._cues.waiting())):
                job.marks.first_clause = job.marks.first_clause or perf_counter_ns()
                self._hand_over(job, clause)
            job.marks.text_done = perf_counter_ns()
            self._hand_over(job, None)

    def _stale(self, job: CueJob) -> bool:
        """Whether its first word would come after the cue's deadline."""
        return self._timeline.sounds_from_s(job.lane) > job.stream_s + job.cue.deadline_s

    def _hand_over(self, job: CueJob, clause: str | None) -> None:
        while self._error is None:
            try:
                self._clauses.put((job, clause), timeout=_POLL_S)
                return
            except queue.Full:
                continue

    def _speak(self) -> None:
        while True:
            try:
                job, clause = self._clauses.get(timeout=_POLL_S)
            except queue.Empty:
                if self._stop.is_set() and not self._threads[0].is_alive():
                    return
                continue
            if clause is None:
                if job.cancelled.is_set():
                    self._give_up(job, "superseded")
                else:
                    self._finish(job)
            elif not job.cancelled.is_set() and not self._speaker.speak(job, clause):
                job.cancelled.set()

    def _branch(self) -> None:
        self._branches.run(self._notify)

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _play_out(self) -> None:
        while not self._stop.is_set():
            started = perf_counter()
            self._release(self._clock.now_s())
            self._stop.wait(max(0.0, _RELEASE_S - (perf_counter() - started)))

    def _release(self, until_s: float) -> None:
        for segment in self._timeline.release(until_s):
            self._events.publish(SegmentHeard(self._match_id, segment))
        with self._changed:
            final = [job for job in self._spoken if all(s.cut_s == 0 or s.end_s <= until_s for s in job.segments)]
            self._spoken = [job for job in self._spoken if job not in final]
        for job in final:
            record = job.record()
            self._metrics.count("cues", record.source)
            self._events.publish(CueEnded(self._match_id, record))
