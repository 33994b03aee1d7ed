"""One cue on its way through the engine."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from commentary_llm.cue.cue import Cue
from commentary_llm.match.clock import MatchTime
from commentary_llm.session.branches import Branch, VoicedSentence
from commentary_llm.session.record import CueRecord, Refusal, Stage
from commentary_llm.session.timeline import Lane, Segment

_DANGLING = ",;:—–- "  # a clause may end with these in mid-sentence; a line may not


@dataclass
class Marks:
    """perf_counter_ns at each point of a cue's way; 0 = not reached."""

    accepted: int
    opened: int = 0  # the opener's sound, audible from its first sample, is handed over
    taken: int = 0
    prompted: int = 0
    first_token: int = 0
    first_clause: int = 0
    text_done: int = 0
    clause_pcm: int = 0
    clause_audible: int = 0
    last_sample: int = 0

    def timings_ms(self) -> dict[str, float]:
        """Stage durations, and totals from `accepted`: text_done, first_audible, last_sample."""
        timings: dict[str, float] = {}

        def span(name: str, start: int, end: int) -> None:
            if start and end:
                timings[name] = round((end - start) / 1e6, 3)

        span(Stage.OPENER.value, self.accepted, self.opened)
        span(Stage.QUEUE.value, self.opened or self.accepted, self.taken)
        span(Stage.PROMPT.value, self.taken, self.prompted)
        span(Stage.FIRST_TOKEN.value, self.prompted, self.first_token)
        span(Stage.TEXT.value, self.first_token or self.prompted or self.taken, self.first_clause)
        span(Stage.SPEECH.value, self.first_clause, self.clause_pcm)
        span(Stage.AUDIBLE.value, self.clause_pcm, self.clause_audible)
        span(Stage.REST.value, self.clause_audible, self.last_sample)
        span("text_done", self.accepted, self.text_done)
        span("first_audible", self.accepted, self.opened or self.clause_audible)
        span("last_sample", self.accepted, self.last_sample)
        return timings


@dataclass(eq=False)
class CueJob:
    """A cue and all that becomes of it. Written by the pipeline's threads one after another, read when finished."""

    cue: Cue
    order: int  # of acceptance
    stream_s: float
    marks: Marks
    lane: Lane  # its place on the timeline
    announced: str = ""  # what the announcement really says, where known
    heard: str = ""
    opener: str = ""  # words with prepared sound that begin the line
    covered_until_s: float = 0.0  # in perf_counter seconds: until then sound that is already placed is heard
    branch: Branch | None = None  # prepared for what has now happened
    branch_used: bool = False
    listened: bool = False  # only then is `announced` held against `heard`
    source: str = "none"
    source_reason: str = ""
    dropped: str | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)  # a more urgent cue needs the voice
    refusals: list[Refusal] = field(default_factory=list)
    clauses: list[str] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    candidates: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0

    @property
    def due_s(self) -> float:
        """When its first sound is stale, in perf_counter seconds: the same clock for all sessions."""
        return self.marks.accepted / 1e9 + self.cue.deadline_s

    def voiced(self, text: str) -> VoicedSentence | None:
        """The sound of `text` where it was prepared ahead."""
        if self.branch is None or not self.branch_used:
            return None
        return next((sentence for sentence in self.branch.sentences if sentence.text == text), None)

    def said(self) -> str:
        """What can be heard of the line: cut clauses end where the voice did."""
        parts = []
        for clause, segment in zip(self.clauses, self.segments, strict=False):
            if segment.cut_s is None:
                parts.append(clause)
            else:
                heard = sum(edge <= segment.cut_s + 1e-6 for edge in segment.word_edges_s)
                words = clause.split()
                kept = round(len(words) * heard / max(1, len(segment.word_edges_s)))
                if kept:
                    parts.append(" ".join(words[:kept]).rstrip(".!?" + _DANGLING) + " —")
                return " ".join(parts)
        line = " ".join(parts)
        return line.rstrip(_DANGLING) + "." if line and line[-1] in _DANGLING else line

    def record(self) -> CueRecord:
        event, state = self.cue.event, self.cue.state
        audible = [s for s in self.segments if s.samples and s.cut_s != 0]
        text = self.said()
        opener = self.opener if text.startswith(self.opener) else text  # a cut may come within it
        dropped = None if text else self.dropped or "cut off before it began"
        timings = self.marks.timings_ms()
        if audible:
            timings["on_air"] = round((audible[0].start_s - self.stream_s) * 1e3, 3)
        return CueRecord(
            match_id=state.info.id,
            event_id=event.event_id,
            event_type=event.type.value,
            event_detail=next((detail.value for detail in (event.outcome, event.card, event.decision) if detail), None),
            period=event.period,
            elapsed_s=event.elapsed_s,
            minute=MatchTime(event.period, event.elapsed_s).label,
            team=state.team(event.team).name if event.team else None,
            player=state.player(event.player).name if event.player else None,
            urgency=self.cue.urgency.name.lower(),
            reason=self.cue.reason,
            deadline_s=self.cue.deadline_s,
            text=text,
            opener=opener,
            source=self.source if text not in ("", opener) else "opener" if text else "none",
            source_reason=self.source_reason,
            dropped=dropped,
            cut_off=any(s.cut_s is not None for s in self.segments),
            refusals=tuple(self.refusals),
            branch=self.branch.outcome if self.branch is not None and self.branch_used else None,
            candidates=self.candidates,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            generated_tokens=self.generated_tokens,
            score=f"{state.score.home}-{state.score.away}",
            stream_s=round(self.stream_s, 3),
            start_s=round(audible[0].start_s, 3) if audible else None,
            end_s=round(audible[-1].end_s, 3) if audible else None,
            timings_ms=timings,
            heard=self.heard,
            announced=self.announced if self.listened else "",
        )


def new_job(cue: Cue, order: int, stream_s: float, accepted_ns: int, lane: Lane, announced: str) -> CueJob:
    """A job for a cue whose event was accepted at `accepted_ns` of perf_counter_ns."""
    return CueJob(
        cue=cue,
        order=order,
        stream_s=stream_s,
        marks=Marks(accepted=accepted_ns),
        lane=lane,
        announced=announced,
    )
