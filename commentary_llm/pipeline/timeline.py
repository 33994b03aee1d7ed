"""What is spoken when: one voice, placed in stream time.

Segments never overlap. A segment that has begun can be cut at a word edge, one that has not begun can be withdrawn;
what a sink has already been given cannot be changed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from asr_tts.audio.mixer import faded_cut
from commentary_llm.script.cue import Urgency

BREATH_S = 0.20  # pause between two cues


@dataclass(eq=False)
class Segment:
    """The speech of one clause. Grows while it is being synthesised."""

    event_id: str
    text: str
    start_s: float
    sample_rate_hz: int
    urgency: Urgency
    interruptible: bool
    chunks: list[np.ndarray] = field(default_factory=list)  # float32 mono
    samples: int = 0
    word_edges_s: tuple[float, ...] = ()  # from the segment's start, rising
    complete: bool = False
    cut_s: float | None = None  # from the segment's start: where speech was cut

    @property
    def end_s(self) -> float:
        return self.start_s + (self.samples / self.sample_rate_hz if self.cut_s is None else self.cut_s)

    def pcm(self) -> np.ndarray:
        """float32 mono, ended at the cut (with a short fade) where there is one."""
        whole = np.concatenate(self.chunks) if self.chunks else np.zeros(0, np.float32)
        return whole if self.cut_s is None else faded_cut(whole, self.sample_rate_hz, self.cut_s)


@dataclass(frozen=True)
class Busy:
    """What the voice is committed to at some moment."""

    until_s: float  # end of the last segment
    urgency: Urgency | None  # highest among the segments not yet ended
    interruptible: bool  # whether all of them may be cut


class SpeechTimeline:
    """The voice's schedule. Thread-safe.

    `on_open` is told of each segment as soon as it has its place, from the thread that opens it: the segment then still
    grows and may be cut, which is what a live player wants. It must not wait.
    """

    def __init__(self, on_open: Callable[[Segment], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._on_open = on_open
        self._open: list[Segment] = []  # in order of start, not yet released
        self._released: Segment | None = None  # the last one; later speech follows it

    def busy(self, now_s: float) -> Busy:
        with self._lock:
            pending = [s for s in self._open if s.end_s > now_s or not s.complete]
            return Busy(
                until_s=max((s.end_s for s in pending), default=now_s),
                urgency=max((s.urgency for s in pending), default=None),
                interruptible=all(s.interruptible for s in pending),
            )

    def open(
        self,
        event_id: str,
        text: str,
        sample_rate_hz: int,
        urgency: Urgency,
        interruptible: bool,
        now_s: float,
        pause_s: float = BREATH_S,
    ) -> Segment:
        """Places a new segment `pause_s` after everything scheduled, not before `now_s`."""
        with self._lock:
            start_s = now_s
            last = self._open[-1] if self._open else self._released
            if last is not None:
                start_s = max(now_s, last.end_s + pause_s)
            segment = Segment(event_id, text, start_s, sample_rate_hz, urgency, interruptible)
            self._open.append(segment)
        if self._on_open is not None:
            self._on_open(segment)
        return segment

    def append(self, segment: Segment, samples: np.ndarray) -> bool:
        """Adds decoded PCM. False when the segment was cut or withdrawn meanwhile: stop synthesising it."""
        with self._lock:
            if segment.cut_s is not None:
                return False
            segment.chunks.append(samples)
            segment.samples += len(samples)
            return True

    def complete(self, segment: Segment) -> None:
        with self._lock:
            segment.complete = True

    def cut(self, now_s: float, below: Urgency) -> list[Segment]:
        """Clears the way: what is less urgent than `below` and interruptible ends at its next word edge.

        Returns the segments that were cut or withdrawn.
        """
        cut: list[Segment] = []
        with self._lock:
            for segment in self._open:
                if segment.end_s <= now_s or not segment.interruptible or segment.urgency >= below:
                    continue
                spoken_s = now_s - segment.start_s
                if spoken_s <= 0:
                    segment.cut_s = 0.0
                else:
                    have_s = segment.samples / segment.sample_rate_hz
                    edge_s = next((edge for edge in segment.word_edges_s if edge >= spoken_s), have_s)
                    if segment.complete and edge_s >= have_s:
                        continue  # already in its last word
                    segment.cut_s = min(edge_s, have_s)
                segment.complete = True
                cut.append(segment)
            self._open = [s for s in self._open if s.cut_s is None or s.cut_s > 0]
        return cut

    def release(self, until_s: float) -> list[Segment]:
        """Hands out, in order, the segments that ended by `until_s`; they can no longer be changed."""
        with self._lock:
            ready: list[Segment] = []
            while self._open and self._open[0].complete and self._open[0].end_s <= until_s:
                self._released = self._open.pop(0)
                ready.append(self._released)
            return ready
