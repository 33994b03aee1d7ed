"""A look-ahead limiter for true peaks, working on a stream."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from asr_tts.audio.levels import gain_of
from asr_tts.audio.loudness import TRUE_PEAK_CONTEXT, true_peak_envelope

_REACH_S = 0.015  # the gain goes down so long before a peak and comes up so long after it
_MARGIN_DB = 0.1  # the moving gain itself shifts peaks between the samples a little


class TruePeakLimiter:
    """Keeps true peaks at or below a ceiling. Push pieces in order; what comes back lags until `finish`.

    The gain at each sample is the mean over ±reach of the smallest gain needed within ±reach of each place; so it
    never exceeds the gain needed at the sample itself, and it moves without a corner that could be heard.
    """

    def __init__(self, sample_rate_hz: int, ceiling_dbtp: float = -1.0) -> None:
        self._reach = max(1, round(_REACH_S * sample_rate_hz))
        self._context = 2 * self._reach + TRUE_PEAK_CONTEXT
        self._ceiling = gain_of(ceiling_dbtp - _MARGIN_DB)
        self._buffer = np.zeros(self._context, dtype=np.float32)  # context before what has not come back yet

    def push(self, samples: np.ndarray) -> np.ndarray:
        self._buffer = np.concatenate((self._buffer, samples.astype(np.float32, copy=False)))
        ready = len(self._buffer) - 2 * self._context
        if ready <= 0:
            return self._buffer[:0]
        limited = self._limit(self._buffer)[self._context : self._context + ready]
        self._buffer = self._buffer[ready:]
        return limited

    def finish(self) -> np.ndarray:
        """The rest."""
        padded = np.concatenate((self._buffer, np.zeros(self._context, dtype=np.float32)))
        rest = self._limit(padded)[self._context : -self._context]
        self._buffer = self._buffer[:0]
        return rest

    def _limit(self, samples: np.ndarray) -> np.ndarray:
        # Between samples a wave rises by less than 6 dB above them, save for signals made for it.
        if np.abs(samples).max(initial=0.0) <= self._ceiling / 2:
            return samples
        peaks = true_peak_envelope(samples)
        if peaks.max(initial=0.0) <= self._ceiling:
            return samples
        needed = np.minimum(1.0, self._ceiling / np.maximum(peaks, 1e-9))
        size = 2 * self._reach + 1
        lowest = minimum_filter1d(needed, size, mode="nearest")
        limited: np.ndarray = (samples * uniform_filter1d(lowest, size, mode="nearest")).astype(np.float32)
        return limited
