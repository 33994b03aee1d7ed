"""How speech ends where it is cut: faded out, so that nothing clicks."""

from __future__ import annotations

import numpy as np

CUT_FADE_S = 0.01


def faded_cut(samples: np.ndarray, sample_rate_hz: int, cut_s: float) -> np.ndarray:
    """The first `cut_s` of speech, its end faded out; speech that is shorter comes back as it is."""
    end = max(0, round(cut_s * sample_rate_hz))
    if end >= len(samples):
        return samples
    kept: np.ndarray = samples[:end] * cut_fade(0, end, end, sample_rate_hz).astype(samples.dtype)
    return kept


def cut_fade(first: int, count: int, end: int, sample_rate_hz: int) -> np.ndarray:
    """Gains of `count` samples, from sample `first` on, of speech that is cut at sample `end`: (count,) float32.

    1 until `CUT_FADE_S` before the end, then down to 0 in a straight line. `first + count` is at most `end`.
    """
    gains = np.ones(count, np.float32)
    fade = min(end, round(CUT_FADE_S * sample_rate_hz))
    ramp = np.linspace(1.0, 0.0, fade, dtype=np.float32)
    begin = max(first, end - fade)
    if begin < first + count:
        gains[begin - first :] = ramp[begin - (end - fade) : first + count - (end - fade)]
    return gains
