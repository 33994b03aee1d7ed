"""A listener to one match: takes the session's events, plays in real time, and notes when what could be heard.

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
from commentary_llm.session.events import ClauseBegun, ClauseSamples, CueDecoded, CueEnded, SessionEvent
from commentary_llm.session.record import CueRecord
from commentary_llm.session.timeline import Segment

_FULL_SCALE = 32767.0


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
    """Notes of all cues of a match, by event id. Told by the session's threads and the player's."""

    def __init__(self, sample_rate_hz: int, now_s: Callable[[], float] = perf_counter) -> None:
        self.cues: dict[str, Heard] = {}
        self._rate, self._now_s = sample_rate_hz, now_s
        self._lock = threading.Lock()
        self._on_air: str | None = None  # whose sound comes, until something of it was audible

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

    def began(self, segment: Segment, at_s: float) -> None:
        """The player comes to a clause: it is in the next block."""
        cue = self._of(segment.event_id)
        self._on_air = segment.event_id if cue.handed_s is None else None

    def ended(self, segment: Segment, at_s: float) -> None:
        """A clause has been played, or cut."""
        self._of(segment.event_id).off_air_s = self._now_s()

    def block(self, pcm: bytes) -> None:
        """The next block of s16le mono. Between two cues the player leaves more than a block of silence."""
        if self._on_air is None:
            return
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / _FULL_SCALE
        if first_audible(samples, self._rate) is not None:
            self._of(self._on_air).handed_s = self._now_s()
            self._on_air = None

    def _of(self, event_id: str) -> Heard:
        with self._lock:
            return self.cues.setdefault(event_id, Heard())
