"""What the ends of a match have in common: how a source gives lines, how a sink takes what is told, and when.

    opened    before any model is loaded: files, pipes and ports are there or refused with a reason
    start     the engine is ready
    take      once for each event, in the order in which they were published
    stop      the match is over: write what is waiting, for a moment at most
    finish    sinks that leave a file behind, once all is known (see `FileSink`)

All but opening and `finish` run on the loop of `loop.py`, so that no locks are needed, and none may block: what takes
longer than a few milliseconds delays the sound of every match.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from asr_tts.audio.background import Background
from commentary_llm.session.events import SessionEvent, WhenFull
from commentary_llm.session.timeline import Segment


@dataclass(frozen=True)
class ClauseOnAir:
    """The first sample of a clause is played at stream time `at_s`."""

    match_id: str
    segment: Segment
    at_s: float


@dataclass(frozen=True)
class ClauseOffAir:
    """A clause has been played to its end, which a cut may have brought early."""

    match_id: str
    segment: Segment
    at_s: float


@dataclass(frozen=True)
class AirBlock:
    """The next piece of the live stream: s16le mono at the voice's rate. Blocks follow one another without a gap."""

    match_id: str
    pcm: bytes


@dataclass(frozen=True)
class HandedOver:
    """The block with a cue's first audible sample (see `asr_tts.audio.levels.first_audible`) has gone to the sinks.

    `at_perf_ns`: when, on `time.perf_counter_ns`; `stream_s`: the same moment in stream time, to be held against
    `EventTaken.stream_s` of the same event: event accepted -> first audible sample handed over.
    """

    match_id: str
    event_id: str
    at_perf_ns: int
    stream_s: float


AirEvent = ClauseOnAir | ClauseOffAir | AirBlock | HandedOver
AIR_EVENTS: tuple[type, ...] = (ClauseOnAir, ClauseOffAir, AirBlock, HandedOver)
EndsEvent = SessionEvent | AirEvent


@dataclass(frozen=True)
class Opening:
    """A match that begins."""

    match_id: str
    title: str  # "Argentina v France"
    sample_rate_hz: int  # of the voice
    stream_s: float  # now
    events_from: str = ""  # the source, as a person would name it


@dataclass
class Closing:
    """How a match ended. Sinks add what they have to tell; those opened first are stopped first."""

    figures: dict[str, object] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)  # for the operator


@dataclass(frozen=True)
class Ending:
    """What is known of a match only at its end."""

    title: str  # "Argentina 3-3 France (4-2 on penalties)"
    stream_end_s: float
    background: Background | None = None  # under the speech, by stream time
    progress: Callable[[float], None] | None = None  # is told the share done, 0 to 1


class Sink(Protocol):
    """Takes what a session and its live player tell. Made by what its file registers (`registry.py`)."""

    @property
    def name(self) -> str:
        """As messages call it: "speech", "commentary.wav"."""
        ...

    @property
    def kinds(self) -> tuple[type, ...]:
        """Classes of the events it takes. With one of `AIR_EVENTS` it needs the live player."""
        ...

    @property
    def capacity(self) -> int:
        """How many events of the session may wait for it."""
        ...

    @property
    def when_full(self) -> WhenFull:
        """What happens to one that is further behind; with `WhenFull.END` it has failed."""
        ...

    def start(self, opening: Opening) -> None: ...

    def take(self, event: EndsEvent) -> None:
        """Takes an event. Raises OutputError when it can take no more: it then gets none, and the match goes on."""
        ...

    async def stop(self, closing: Closing) -> None:
        """Takes no more events. Also called when it was not started or has failed."""
        ...


@runtime_checkable
class FileSink(Sink, Protocol):
    """A sink whose file is complete only when the whole match is known."""

    def finish(self, ending: Ending) -> None:
        """Writes the rest, after `stop`, in the thread of whoever ends the match: it may take seconds.

        Not called when it has failed. Raises OutputError.
        """
        ...


Reply = Callable[[dict[str, object]], None]


class LineDesk(Protocol):
    """Where a source's lines go."""

    @property
    def match_id(self) -> str: ...

    def take(self, line: bytes, number: int, source: str, reply: Reply) -> None:
        """Deals with one line; `source` is "" where there is but one. Raises EngineError when the engine has failed."""
        ...


class Source(Protocol):
    """Gives a tracker's lines to a desk, from `start` until its end or `stop`."""

    @property
    def description(self) -> str: ...

    async def start(self, desk: LineDesk) -> None: ...

    def ended(self) -> bool:
        """Whether no more lines will come. May be asked from any thread."""
        ...

    async def stop(self) -> None:
        """Takes no more lines."""
        ...

    async def close(self) -> None:
        """Ends the connections, once what is due has been answered or a second has passed."""
        ...
