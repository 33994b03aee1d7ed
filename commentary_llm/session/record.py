"""What is written down about each cue and each replay: the lines of `commentary.jsonl` and the input of the report."""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel, ConfigDict, Field


class Stage(str, Enum):
    """A stage of a cue's way, in order. Each is a duration in ms; together they are the latency waterfall."""

    OPENER = "opener"  # event accepted -> the opener's sound handed to the sinks, audible from its first sample
    QUEUE = "queue"  # -> the pipeline takes the cue up
    PROMPT = "prompt"  # transcript fetched, prompt rendered
    FIRST_TOKEN = "first_token"  # request submitted -> first token (prefill)
    TEXT = "text"  # first token -> first clause that passed the gate (or the template chosen)
    SPEECH = "speech"  # clause given to the synthesiser -> first PCM chunk
    AUDIBLE = "audible"  # first PCM chunk -> the clause's first audible sample handed to the sinks
    REST = "rest"  # -> last sample of the cue handed to the sinks


class Refusal(BaseModel):
    """A clause the fact gate refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    text: str
    cause: str  # "unknown name", "score", "player", …
    detail: str = ""


class CueRecord(BaseModel):
    """One cue as it came out: one line of `commentary.jsonl`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    match_id: str = Field(default="", description="empty in journals of earlier versions")
    event_id: str
    event_type: str
    period: int
    minute: str = Field(description='as captions show it: "90+4"')
    elapsed_s: float | None = Field(default=None, description="event's seconds since its period's kick-off")
    event_detail: str | None = Field(default=None, description='outcome, card or decision: "second_yellow", "saved"')
    team: str | None
    player: str | None
    urgency: str
    reason: str = Field(description="the director's rule for speaking")
    deadline_s: float | None = Field(default=None, description="seconds after the event until its sound is stale")
    text: str = Field(description="what was said; empty when the cue was dropped")
    opener: str = Field(default="", description="words synthesised before the match that begin `text`")
    source: str = Field(
        description='who wrote it: "model", "template", "opener" if nobody went on, "none" when dropped'
    )
    source_reason: str = Field(description="why this source: passed gate, no clause passed, deadline, …")
    dropped: str | None = Field(default=None, description="why nothing was said: stale, superseded, …")
    cut_off: bool = Field(default=False, description="an urgent cue cut it at a word edge")
    refusals: tuple[Refusal, ...] = ()
    branch: str | None = Field(default=None, description="prepared ahead for this outcome: goal, saved, …")
    candidates: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    score: str = Field(description='after the event: "3-2"')
    stream_s: float = Field(description="when the event happened, seconds of stream time")
    start_s: float | None = Field(description="first sample in commentary.wav, seconds")
    end_s: float | None = Field(description="end in commentary.wav, seconds")
    timings_ms: dict[str, float] = Field(description="Stage -> ms; first_audible, last_sample, text_done from accept")
    heard: str = Field(default="", description="what the recogniser made of the stadium audio around the event")
    announced: str = Field(default="", description="what the announcement in the audio really said, where known")


class BranchFigures(BaseModel):
    """What became of the outcomes that were written and voiced ahead."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    build_ups: int = Field(description="moments after which an outcome was likely: penalties, kicks, …")
    prepared: int = Field(description="outcomes written and voiced")
    settled: int = Field(description="build-ups whose outcome came")
    heard: int = Field(description="branches that became a line")
    refused: int = Field(description="branches ready for what came, but not true of it, worn, or of no cue")
    hit_rate: float | None = Field(description="heard of settled; None when nothing was settled")
    wrong_heard: int = Field(description="branches heard for an outcome that did not come")
    wasted_tokens: int = Field(description="decoded for branches that were never heard")
    wasted_speech_s: float


class ReplaySummary(BaseModel):
    """The whole replay in figures."""

    model_config = ConfigDict(extra="forbid")
    match_id: str
    title: str  # "Argentina 3-3 France (4-2 on penalties)"
    home: str | None = None  # both as in CueRecord.team
    away: str | None = None
    source: str | None = None  # data credit
    backend: str  # Generator.description
    recognizer: str | None
    synthesizer: str
    ranks: int
    speed: str
    wall_s: float
    audio_s: float
    loudness_lufs: float
    true_peak_dbtp: float
    events: int
    duplicates: int
    late: int
    skipped_unknown: int
    cues: int
    spoken: int
    dropped: dict[str, int]  # cause -> count
    refusals: dict[str, int]  # cause -> count
    model_share: float  # of spoken cues
    percentiles_ms: dict[str, dict[str, float]]  # stage or total -> {"p50", "p90", "p99", "max", "count"}
    branches: BranchFigures | None = None
    word_error: float | None = None  # heard against announced, over all announcements
    started_at: str  # ISO 8601
    versions: dict[str, str]
