"""Takes the silence off both ends of a sentence while it streams."""

from __future__ import annotations

import numpy as np

from asr_tts.audio.levels import first_audible, last_audible

LEAD_S = 0.005  # kept before the first audible sample: the attack of a soft consonant
TAIL_S = 0.030  # kept after the last: the room a final stop needs
_FADE_S = 0.003


class SilenceTrimmer:
    """Feed a sentence's PCM piece by piece; what comes back starts and ends with sound.

    Silence inside the sentence stays: it is held back until sound follows.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate = sample_rate_hz
        self._held = np.zeros(0, dtype=np.float32)
        self._started = False
        self.removed_samples = 0  # from the sentence's beginning; final once a piece has come back

    def push(self, samples: np.ndarray) -> np.ndarray:
        """The samples that are certain to be kept; may be empty."""
        held = np.concatenate((self._held, samples)) if len(self._held) else samples
        end = last_audible(held, self._rate)
        if not self._started:
            start = first_audible(held, self._rate)
            if start is None or end is None:
                self._held = held
                return held[:0]
            start = max(0, start - round(LEAD_S * self._rate))
            self.removed_samples = start
            self._started = True
            kept = _faded(held[start:end], round(_FADE_S * self._rate), rising=True)
            self._held = held[end:]
            return kept
        end = end or 0
        self._held = held[end:]
        return held[:end]

    def finish(self) -> np.ndarray:
        """The short tail after the last sound; empty if nothing was audible."""
        if not self._started:
            return self._held[:0]
        return _faded(self._held[: round(TAIL_S * self._rate)], round(2 * _FADE_S * self._rate), rising=False)


def _faded(samples: np.ndarray, length: int, *, rising: bool) -> np.ndarray:
    """A copy with a linear ramp at its start or end."""
    result = samples.astype(np.float32, copy=True)
    length = min(length, len(result))
    ramp = np.linspace(0, 1, length, endpoint=False, dtype=np.float32)
    if rising:
        result[:length] *= ramp
    elif length:
        result[-length:] *= ramp[::-1]
    return result
