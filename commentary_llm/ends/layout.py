"""From stream time to the finished sound: which stretches of the match are kept, and where they lie.

stream   ──speech──······················──speech──···──speech──
sound    ──speech──·|·──speech──···──speech──
                    ^ a seam: the middle of a long pause is left out
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

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
        if not spoken:
            return cls([])
        spans: list[Span] = []
        sound_s = 0.0
        begin_s = spoken[0][0] - LEAD_IN_S
        end_s = spoken[0][1]
        for start_s, stop_s in spoken[1:]:
            if start_s - end_s > MAX_PAUSE_S:
                spans.append(Span(begin_s, end_s + MAX_PAUSE_S / 2, sound_s))
                sound_s = spans[-1].sound_end_s
                begin_s = start_s - MAX_PAUSE_S / 2
            end_s = max(end_s, stop_s)
        spans.append(Span(begin_s, end_s + LEAD_OUT_S, sound_s))
        return cls(spans)
