"""The lines of one match: from the director's cue to the last decoded sample, each with its place on the timeline."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, perf_counter_ns

from commentary_llm.cue.cue import Cue, Urgency
from commentary_llm.cue.director import Director, SpeechStatus
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.metrics import Metrics
from commentary_llm.language.contract import Openers
from commentary_llm.match import EventType
from commentary_llm.match.match import Match
from commentary_llm.session.branches import Branches
from commentary_llm.session.events import CueDecoded, CueEnded, EventStream, SegmentHeard
from commentary_llm.session.hearing import Hearing
from commentary_llm.session.job import CueJob, new_job
from commentary_llm.session.speaker import Speaker
from commentary_llm.session.timeline import SpeechTimeline
from commentary_llm.session.work import ClauseQueue, CueQueue, Worker
from commentary_llm.session.writer import LineWriter

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


@dataclass(frozen=True)
class Parts:
    """What a session is made of: all of one match."""

    match: Match
    director: Director
    openers: Openers
    writer: LineWriter
    speaker: Speaker
    timeline: SpeechTimeline
    clock: StreamClock
    hearing: Hearing
    branches: Branches
    events: EventStream
    metrics: Metrics


@dataclass(frozen=True)
class Work:
    """What all sessions share: the queues of what is to be done."""

    cues: CueQueue
    clauses: ClauseQueue
    candidates: Callable[[], int]  # how many completions of a line there is room for at this moment


class Lines:
    """Cues in flight and what becomes of them. `begin` belongs to the submitting thread, `write` and `speak` to those
    who took the work from the queues; each at most one at a time."""

    def __init__(self, owner: Worker, parts: Parts, work: Work, failed: Callable[[], bool]) -> None:
        """`owner`: the session in whose name work is queued. `failed`: whether there is no use in going on."""
        self.changed = threading.Condition()  # told when a cue is finished
        self._owner, self._parts, self._work, self._failed = owner, parts, work, failed
        self._release_lock = threading.Lock()
        self._in_flight: dict[int, CueJob] = {}  # accepted, not yet spoken
        self._spoken: list[CueJob] = []  # spoken, not yet all released
        self._order = 0
        self._last_line_end_s = float("-inf")
        work.cues.open(owner)
        work.clauses.open(owner)

    @property
    def in_flight(self) -> bool:
        """Whether a cue is accepted and not yet spoken or dropped. Holding `changed` or not."""
        return bool(self._in_flight)

    def begin(self, cue: Cue, supersedes: tuple[str, ...], at_s: float, accepted_ns: int, announced: str) -> CueJob:
        """A job for a cue, with its place on the timeline and the sound of its opener there."""
        parts = self._parts
        late = parts.clock.now_s() > at_s + cue.deadline_s
        opener = "" if late else parts.openers.choose(cue)
        self._withdraw(supersedes)
        lane, lost = parts.timeline.reserve(
            cue.event.event_id, cue.urgency, cue.interruptible, 0 if late else _cuts_below(cue)
        )
        self._order += 1
        job = new_job(cue, self._order, at_s, accepted_ns, lane, announced)
        if not late:
            ready = parts.speaker.open(job, opener)
            parts.metrics.count("openers", "ready" if ready else "missing")
        with self.changed:
            losing = [other for other in self._in_flight.values() if other.lane in lost]
            self._in_flight[job.order] = job
            parts.branches.pause()
        for other in losing:
            self._interrupt(other, "superseded")
        if late:
            self.give_up(job, "stale")
        return job

    def enqueue(self, job: CueJob) -> tuple[Worker, CueJob] | None:
        """Lets a cue wait for its words; returns the one that had to go for it, perhaps another session's."""
        return self._work.cues.put(self._owner, job)

    def end(self, let_go_s: float) -> bool:
        """Gives up what is not done yet; False when a stage is still at work on it after `let_go_s`."""
        for job in self._work.cues.waiting(self._owner):
            self._interrupt(job, "engine closed")
        let_go = self._work.cues.forget(self._owner, let_go_s)
        let_go = self._work.clauses.forget(self._owner, let_go_s) and let_go
        for job in list(self._in_flight.values()):
            self.give_up(job, "engine closed")
        return let_go

    def abandon(self) -> None:
        """Forgets what is in flight: nothing more will be said."""
        with self.changed:
            jobs = list(self._in_flight.values())
            self._in_flight.clear()
            self.changed.notify_all()
        for job in jobs:
            job.cancelled.set()

    def status(self, now_s: float) -> SpeechStatus:
        """What the director sees of the voice."""
        timeline = self._parts.timeline
        busy = timeline.busy(now_s)
        with self.changed:
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
            queued=tuple(job.cue.event.event_id for job in jobs if not timeline.begun(job.lane)),
        )

    def _withdraw(self, superseded: tuple[str, ...]) -> None:
        """Takes back cues that a new one stands for, as long as nothing of them has been heard."""
        with self.changed:
            jobs = [job for job in self._in_flight.values() if job.cue.event.event_id in superseded]
        for job in jobs:
            if self._parts.timeline.withdraw(job.lane):
                self._interrupt(job, "superseded")

    def _interrupt(self, job: CueJob, cause: str) -> None:
        """Nothing more is to be said of a cue."""
        job.cancelled.set()
        if self._work.cues.remove(self._owner, job):
            self.give_up(job, cause)

    def give_up(self, job: CueJob, cause: str) -> None:
        """Leaves it at the opener where that was heard; else the cue is dropped."""
        if self._parts.timeline.withdraw(job.lane):
            self._drop(job, cause)
        else:
            job.source_reason = job.source_reason or cause
            self._finish(job)

    def _drop(self, job: CueJob, cause: str) -> None:
        job.dropped = job.dropped or cause
        self._parts.metrics.count("dropped", job.dropped)
        self._finish(job)

    def _finish(self, job: CueJob) -> None:
        """Everything that will be said of this cue has been synthesised."""
        self._parts.timeline.close(job.lane)
        record = job.record()
        with self.changed:
            self._in_flight.pop(job.order, None)
            self._spoken.append(job)
            if record.end_s is not None:
                self._last_line_end_s = record.end_s
            if not self._in_flight:
                self._parts.branches.resume()
            self.changed.notify_all()
        if job.branch is not None:
            self._parts.branches.settle(job.branch, heard=record.branch is not None and bool(record.text))
        self._parts.events.publish(CueDecoded(self._owner.match_id, record))

    def write(self, job: CueJob) -> None:
        """Writes a cue that was taken from the queue, and hands its clauses over to be spoken."""
        timeline = self._parts.timeline
        job.marks.taken = perf_counter_ns()
        if not timeline.takes_more(job.lane):
            self.give_up(job, "superseded")
            return
        # Whether its first word would come after the cue's deadline.
        stale = timeline.sounds_from_s(job.lane) > job.stream_s + job.cue.deadline_s
        if stale and timeline.withdraw(job.lane):
            self._drop(job, "stale")
            return
        job.heard = self._parts.hearing.heard(job.cue.event, job.stream_s)
        job.listened = True
        job.covered_until_s = perf_counter() + timeline.sounds_until_s(job.lane) - self._parts.clock.now_s()
        for clause in self._parts.writer.write(
            job, job.cancelled.is_set, lambda: bool(self._work.cues.waiting(self._owner)), self._work.candidates()
        ):
            job.marks.first_clause = job.marks.first_clause or perf_counter_ns()
            self._hand_over(job, clause)
        job.marks.text_done = perf_counter_ns()
        self._hand_over(job, None)

    def speak(self, job: CueJob, clause: str | None) -> None:
        """Speaks a clause of a cue; None stands for the end of its words."""
        if clause is None:
            if job.cancelled.is_set():
                self.give_up(job, "superseded")
            else:
                self._finish(job)
        elif not job.cancelled.is_set() and not self._parts.speaker.speak(job, clause):
            job.cancelled.set()

    def release(self, until_s: float) -> None:
        """Publishes what has been heard by `until_s`, in order: it is final."""
        with self._release_lock:
            for segment in self._parts.timeline.release(until_s):
                self._parts.events.publish(SegmentHeard(self._owner.match_id, segment))
            with self.changed:
                final = [job for job in self._spoken if all(s.cut_s == 0 or s.end_s <= until_s for s in job.segments)]
                self._spoken = [job for job in self._spoken if job not in final]
            for job in final:
                record = job.record()
                self._parts.metrics.count("cues", record.source)
                self._parts.metrics.observe_ms(record.timings_ms)
                self._parts.events.publish(CueEnded(self._owner.match_id, record))

    def _hand_over(self, job: CueJob, clause: str | None) -> None:
        self._work.clauses.put(self._owner, job, clause, self._failed)
