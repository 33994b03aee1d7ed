"""A segment's samples in order, while it grows and may be cut."""

from __future__ import annotations

import numpy as np

from asr_tts.audio.fades import cut_fade
from commentary_llm.session.timeline import Segment


class SegmentReader:
    """Reads a segment from its beginning, each sample once. What has been read does not change when it is cut later.

    Reads what another thread appends to without its lock: chunks come before `samples` counts them, and a cut comes
    before `complete`.
    """

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._chunk, self._offset = 0, 0  # of the next sample
        self.position = 0

    def left(self) -> int:
        """Samples to read as things stand; with `complete` seen before, there will be no more."""
        return max(0, self._end()[0] - self.position)

    def read(self, count: int) -> np.ndarray:
        """The next samples, at most `count`: float32, faded towards a cut as in `faded_cut`."""
        end, cut = self._end()
        count = min(count, max(0, end - self.position))
        pieces: list[np.ndarray] = []
        missing = count
        while missing:
            chunk = self._segment.chunks[self._chunk]
            piece = chunk[self._offset : self._offset + missing]
            pieces.append(piece)
            missing -= len(piece)
            self._offset += len(piece)
            if self._offset == len(chunk):
                self._chunk, self._offset = self._chunk + 1, 0
        samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
        if cut:
            samples *= cut_fade(self.position, count, end, self._segment.sample_rate_hz)
        self.position += count
        return samples

    def _end(self) -> tuple[int, bool]:
        """After how many samples it ends for now, and whether a cut ends it there."""
        cut_s = self._segment.cut_s  # before the samples: what is cut does not grow
        samples = self._segment.samples
        if cut_s is None:
            return samples, False
        end = max(0, round(cut_s * self._segment.sample_rate_hz))
        return (end, True) if end < samples else (samples, False)
