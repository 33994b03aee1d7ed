"""A listener to one match: takes the session's events and the live stream, and notes when what could be heard.

What it is told of a cue's sound and what it is handed are two things: the first says when a sample exists, the second
when it is on its way to an ear.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from asr_tts.audio.levels import first_audible
from commentary_llm.ends.contract import AirBlock, ClauseOffAir, Closing, EndsEvent, HandedOver, Opening
from commentary_llm.session.events import ClauseBegun, ClauseSamples, CueDecoded, CueEnded, SessionEvent, WhenFull
from commentary_llm.session.record import CueRecord


@dataclass
class Heard:
    """Moments of one cue, in seconds of the listener's clock."""

    ready_s: float | None = None  # its first audible sample was there
    handed_s: float | None = None  # the block that holds that sample was handed over
    off_air_s: float | None = None  # its last clause so far had been played
    decoded_s: float | None = None  # no more sound of it comes
    record: CueRecord | None = None
    sound: list[np.ndarray] = field(default_factory=list, repr=False)  # until something in it is audible


class Listening:
    """Notes of all cues of a match, by event id.

    A subscriber of the session, told by its threads as things happen, and a sink of the live stream.
    """

    name = "listener"
    kinds = (AirBlock, HandedOver, ClauseOffAir)
    capacity = 1
    when_full = WhenFull.DROP_OLDEST

    def __init__(self, sample_rate_hz: int, now_s: Callable[[], float] = perf_counter) -> None:
        self.cues: dict[str, Heard] = {}
        self._rate, self._now_s = sample_rate_hz, now_s
        self._lock = threading.Lock()

    def put(self, event: SessionEvent) -> None:
        """Takes a session's event."""
        now_s = self._now_s()
        if isinstance(event, ClauseBegun):
            self._of(event.event_id)
        elif isinstance(event, ClauseSamples):
            cue = self._of(event.event_id)
            if cue.ready_s is None:
                cue.sound.append(event.samples)
                if first_audible(np.concatenate(cue.sound), self._rate) is not None:
                    cue.ready_s = now_s
                    cue.sound.clear()
        elif isinstance(event, CueDecoded):
            cue = self._of(event.record.event_id)
            cue.decoded_s, cue.record = now_s, event.record
        elif isinstance(event, CueEnded):
            self._of(event.record.event_id).record = event.record

    def start(self, opening: Opening) -> None:
        pass

    def take(self, event: EndsEvent) -> None:
        """Takes what the live player says; the blocks themselves are heard by nobody."""
        if isinstance(event, HandedOver):
            self._of(event.event_id).handed_s = event.at_perf_ns / 1e9
        elif isinstance(event, ClauseOffAir):
            self._of(event.segment.event_id).off_air_s = self._now_s()

    async def stop(self, closing: Closing) -> None:
        pass

    def _of(self, event_id: str) -> Heard:
        with self._lock:
            return self.cues.setdefault(event_id, Heard())
