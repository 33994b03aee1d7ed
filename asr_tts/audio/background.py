"""The sound under the speech."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

CROSSFADE_S = 0.3


class Background(Protocol):
    """Sound that can be had from anywhere in its own time; `AudioReader` and `CrowdNoise` are such."""

    @property
    def sample_rate_hz(self) -> int: ...

    def read(self, start_s: float, duration_s: float) -> np.ndarray:
        """(round(duration_s * rate),) float32 mono from `start_s` on; zeros where there is nothing."""
        ...


@dataclass(frozen=True)
class Splice:
    """`duration_s` of the source from `source_start_s`, heard from `start_s`."""

    source_start_s: float
    start_s: float
    duration_s: float


class SplicedBackground:
    """A source with parts left out, cross-faded at the seams. Splices follow each other without gaps."""

    def __init__(self, source: Background, splices: Sequence[Splice], crossfade_s: float = CROSSFADE_S) -> None:
        self._source = source
        self._splices = sorted(splices, key=lambda splice: splice.start_s)
        self._starts = [splice.start_s for splice in self._splices]
        self._crossfade_s = crossfade_s

    @property
    def sample_rate_hz(self) -> int:
        return self._source.sample_rate_hz

    def read(self, start_s: float, duration_s: float) -> np.ndarray:
        rate = self.sample_rate_hz
        first = round(start_s * rate)
        mixed = np.zeros(round(duration_s * rate), dtype=np.float32)
        index = max(0, bisect_right(self._starts, start_s) - 1)
        for splice in self._splices[index:]:
            begin = round(splice.start_s * rate)
            if begin >= first + len(mixed):
                break
            self._add(mixed, first, splice, fade_in=splice is not self._splices[0])
        return mixed

    def _add(self, mixed: np.ndarray, first: int, splice: Splice, *, fade_in: bool) -> None:
        """Adds one splice; it runs on past its end under the next one's beginning."""
        rate = self.sample_rate_hz
        fade = round(self._crossfade_s * rate) if fade_in else 0
        begin = round(splice.start_s * rate)
        end = begin + round(splice.duration_s * rate)
        start, stop = max(begin, first), min(end, first + len(mixed))
        if stop <= start:
            return
        samples = self._source.read(splice.source_start_s + (start - begin) / rate, (stop - start) / rate)
        overlap = min(begin + fade, stop) - start
        if overlap > 0:
            # Equal power: the two stretches of crowd are not correlated.
            phase = (np.arange(start - begin, start - begin + overlap) / fade * (np.pi / 2)).astype(np.float32)
            before = self._splices[self._splices.index(splice) - 1]
            source_end_s = before.source_start_s + before.duration_s
            old = self._source.read(source_end_s + (start - begin) / rate, overlap / rate)
            samples[:overlap] = samples[:overlap] * np.sin(phase) + old[:overlap] * np.cos(phase)
        mixed[start - first : stop - first] += samples
