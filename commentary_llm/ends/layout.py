"""From stream time to the finished sound: which stretches of the match are kept, and where they lie.

stream   ──speech──······················──speech──···──speech──
sound    ──speech──·|·──speech──···──speech──
                    ^ a seam: the middle of a long pause is left out
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from commentary_llm.session.timeline import Segment

MAX_PAUSE_S = 2.0
LEAD_IN_S = 1.0
LEAD_OUT_S = 2.0


@dataclass(frozen=True)
class Span:
    """A stretch of the stream that is heard, unbroken."""

    stream_start_s: float
    stream_end_s: float
    sound_start_s: float

    @property
    def sound_end_s(self) -> float:
        return self.sound_start_s + self.stream_end_s - self.stream_start_s


class Layout:
    """Spans in order, without gaps in the sound. Maps stream time of anything spoken to its place in the sound."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self.spans = tuple(spans)
        self._starts = [span.stream_start_s for span in self.spans]

    @property
    def duration_s(self) -> float:
        return self.spans[-1].sound_end_s if self.spans else 0.0

    def sound_s(self, stream_s: float) -> float:
        """Where `stream_s` is heard; a moment that was left out is heard at the seam."""
        if not self.spans:
            return 0.0
        span = self.spans[max(0, bisect_right(self._starts, stream_s) - 1)]
        return span.sound_start_s + min(max(stream_s, span.stream_start_s), span.stream_end_s) - span.stream_start_s

    @classmethod
    def full(cls, stream_start_s: float, stream_end_s: float) -> Layout:
        """All of the stream between the two times, in real time."""
        return cls([Span(stream_start_s, stream_end_s, 0.0)])

    @classmethod
    def compact(cls, spoken: Sequence[tuple[float, float]]) -> Layout:
        """Pauses longer than `MAX_PAUSE_S` between the (start, end) pairs are cut to it, out of their middle."""
        growing = GrowingLayout(full=False)
        for start_s, end_s in spoken:
            growing.speak(start_s, end_s)
        return growing.layout(0.0)


class GrowingLayout:
    """A layout that is made while the match runs: where speech lies depends on the speech before it alone."""

    def __init__(self, *, full: bool) -> None:
        """`full`: keeps all of the stream from its second 0 on; otherwise long pauses are cut."""
        self._full = full
        self._spans: list[Span] = []  # whose end is known
        self._begin_s = 0.0  # of the last span, in the stream
        self._sound_s = 0.0  # and in the sound
        self._end_s: float | None = None  # of the speech so far; None before any

    def hear(self, segment: Segment) -> float | None:
        """Where a segment that is final begins in the sound; None when nothing of it was heard. In stream order."""
        return self.speak(segment.start_s, segment.end_s) if segment.samples else None

    def speak(self, start_s: float, end_s: float) -> float:
        """Where speech from `start_s` to `end_s` of the stream begins in the sound. In stream order."""
        if self._full:
            self._end_s = max(end_s, self._end_s or 0.0)
            return max(start_s, 0.0)
        if self._end_s is None:
            self._begin_s = start_s - LEAD_IN_S
        elif start_s - self._end_s > MAX_PAUSE_S:
            self._spans.append(Span(self._begin_s, self._end_s + MAX_PAUSE_S / 2, self._sound_s))
            self._sound_s = self._spans[-1].sound_end_s
            self._begin_s = start_s - MAX_PAUSE_S / 2
        self._end_s = end_s if self._end_s is None else max(self._end_s, end_s)
        return self._sound_s + max(start_s, self._begin_s) - self._begin_s

    def layout(self, stream_end_s: float) -> Layout:
        """The layout of all that was spoken, in a stream that ended at `stream_end_s`."""
        if self._full:
            return Layout.full(0.0, max(stream_end_s, self._end_s or 0.0) + LEAD_OUT_S)
        if self._end_s is None:
            return Layout([])
        return Layout([*self._spans, Span(self._begin_s, self._end_s + LEAD_OUT_S, self._sound_s)])
