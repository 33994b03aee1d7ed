"""The score of one match, computed from the records of its cues."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict, Field

from commentary_llm.cue.cue import Urgency
from commentary_llm.cue.wording import distinct_2, exact_repeats, without_opener
from commentary_llm.evaluation.finding import Finding
from commentary_llm.session.figures import is_spoken, summarise
from commentary_llm.session.record import CueRecord

# The cue gave way to a newer one by intention: nobody waits for its sound.
_GAVE_WAY = "superseded"
_URGENT = Urgency.URGENT.name.lower()


class WrongFact(BaseModel):
    """Something the auditor found in a line that could be heard."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    event_id: str
    minute: str
    text: str = Field(description="the whole line as heard")
    kind: str = Field(description='"score", "player", "outcome", …')
    what: str = Field(description="the words it is about, and what holds instead")


class Wording(BaseModel):
    """How varied the lines of a match are."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    lines: int
    distinct_2: float = Field(description="different pairs of neighbouring words over all pairs")
    exact_repeats: int = Field(description="lines that had been said before in the match, word for word")

    @classmethod
    def of(cls, texts: Sequence[str], words: Callable[[str], Sequence[str]]) -> Wording:
        """`words`: of a text, as `TextRules.words` of its language."""
        spoken = [words(text) for text in texts if text]
        return cls(lines=len(spoken), distinct_2=round(distinct_2(spoken), 4), exact_repeats=exact_repeats(spoken))


class Overlap(BaseModel):
    """Lines that still ran when the next urgent event happened, after cutting. Seconds of stream time."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    lines: int
    total_s: float
    max_s: float


class Evaluation(BaseModel):
    """All figures of one match. Shares are in [0, 1]; where nothing was there to share, None."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    cues: int
    spoken: int
    model_share: float | None = Field(description="of spoken cues: words of the model were heard (after the opener)")
    sources: dict[str, int] = Field(description="spoken cues by who wrote what follows the opener")
    wrong_facts: int = Field(description="statements heard that the events contradict")
    wrong: tuple[WrongFact, ...]
    doubtful: tuple[WrongFact, ...] = Field(description="statements that the events neither hold nor contradict")
    refusals: dict[str, int] = Field(description="clauses the fact gate refused, by cause")
    wording: Wording = Field(description="whole lines, openers included")
    wording_without_openers: Wording
    mean_words: float | None
    mean_speech_s: float | None
    overlap: Overlap
    first_heard_in_time: float | None = Field(
        description="share of cues first heard before their deadline; a drop counts as late, giving way does not count"
    )
    last_ready_in_time: float | None = Field(description="share of the same whose last sample was ready before it")
    dropped: dict[str, int] = Field(description="by cause")
    cut_off: int = Field(description="lines an urgent cue cut at a word edge")
    percentiles_ms: dict[str, dict[str, float]] = Field(description="by stage and total, over spoken cues")


def evaluate_records(
    records: Sequence[CueRecord],
    audit: Callable[[CueRecord], Sequence[Finding]],
    words: Callable[[str], Sequence[str]],
) -> Evaluation:
    """Figures of the records of one match, in any order.

    `audit` finds what is wrong in one spoken line; `words` takes one apart, as `TextRules.words` of its language.
    """
    base = summarise(records)
    spoken = [record for record in records if is_spoken(record)]
    found = [(record, finding) for record in spoken for finding in audit(record)]
    wrong = tuple(_wrong_fact(record, finding) for record, finding in found if finding.certain)
    due = [record for record in records if record.dropped != _GAVE_WAY]
    sources = dict.fromkeys(("model", "template", "opener"), 0)
    for record in spoken:
        sources[record.source] += 1
    return Evaluation(
        cues=base["cues"],
        spoken=base["spoken"],
        model_share=_share(sources["model"], len(spoken)),
        sources={source: count for source, count in sources.items() if count},
        wrong_facts=len(wrong),
        wrong=wrong,
        doubtful=tuple(_wrong_fact(record, finding) for record, finding in found if not finding.certain),
        refusals=base["refusals"],
        wording=Wording.of([record.text for record in spoken], words),
        wording_without_openers=Wording.of([without_opener(record.text, record.opener) for record in spoken], words),
        mean_words=_mean([len(record.text.split()) for record in spoken]),
        mean_speech_s=_mean([end_s - start_s for start_s, end_s in filter(None, map(on_air_s, spoken))]),
        overlap=_overlap(records),
        first_heard_in_time=_share(sum(map(first_heard_in_time, due)), len(due)),
        last_ready_in_time=_share(sum(map(last_ready_in_time, due)), len(due)),
        dropped=base["dropped"],
        cut_off=sum(record.cut_off for record in spoken),
        percentiles_ms={
            name: {key: round(value, 3) for key, value in figures.items()}
            for name, figures in base["percentiles_ms"].items()
        },
    )


def _wrong_fact(record: CueRecord, finding: Finding) -> WrongFact:
    return WrongFact(
        event_id=record.event_id, minute=record.minute, text=record.text, kind=finding.kind, what=finding.detail
    )


def on_air_s(record: CueRecord) -> tuple[float, float] | None:
    """When the line began and ended, in stream seconds; None when nothing was heard.

    `start_s` and `end_s` of a finished replay are places in its sound, which leaves pauses out.
    """
    delay_ms = record.timings_ms.get("on_air")
    if delay_ms is None or record.start_s is None or record.end_s is None:
        return None
    begin_s = record.stream_s + delay_ms / 1e3
    return begin_s, begin_s + record.end_s - record.start_s


def first_heard_in_time(record: CueRecord) -> bool:
    """Whether the first sample lay before the cue's deadline on the timeline; False for what was never heard."""
    span = on_air_s(record)
    if span is None or not is_spoken(record):
        return False
    return record.deadline_s is None or span[0] - record.stream_s <= record.deadline_s


def last_ready_in_time(record: CueRecord) -> bool:
    """Whether the last sample was synthesised before the cue's deadline; False for what was never heard."""
    ready_ms = record.timings_ms.get("last_sample")
    if ready_ms is None or not is_spoken(record):
        return False
    return record.deadline_s is None or ready_ms / 1e3 <= record.deadline_s


def _overlap(records: Sequence[CueRecord]) -> Overlap:
    urgent_s = sorted(record.stream_s for record in records if record.urgency == _URGENT)
    over_s: list[float] = []
    for record in records:
        span = on_air_s(record)
        if span is None:
            continue
        following = next((at_s for at_s in urgent_s if at_s > record.stream_s), None)
        if following is not None and following < span[1]:
            over_s.append(span[1] - max(following, span[0]))
    return Overlap(lines=len(over_s), total_s=round(sum(over_s), 3), max_s=round(max(over_s, default=0.0), 3))


def _share(count: int, of: int) -> float | None:
    return round(count / of, 4) if of else None


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None
