"""What counts as audible, and decibels."""

from __future__ import annotations

import math

import numpy as np

AUDIBLE_WINDOW_S = 0.010
AUDIBLE_DBFS = -50.0  # RMS; full-scale DC is 0 dBFS. The pauses inside the embedded voice's lines lie below -60.


def gain_of(decibels: float) -> float:
    """Amplitude factor of a level change."""
    return float(10 ** (decibels / 20))


def rms_dbfs(samples: np.ndarray) -> float:
    """RMS level of float samples; -inf for silence or an empty array."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return 10 * math.log10(power) if power > 0 else -math.inf


def audible_windows(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """One bool per window of `AUDIBLE_WINDOW_S` from the first sample on: RMS above `AUDIBLE_DBFS`.

    A last, shorter window counts as one of its own.
    """
    window = max(1, round(AUDIBLE_WINDOW_S * sample_rate_hz))
    if not len(samples):
        return np.zeros(0, dtype=bool)
    power = np.add.reduceat(np.square(samples, dtype=np.float64), np.arange(0, len(samples), window))
    sizes = np.full(len(power), window)
    sizes[-1] = len(samples) - window * (len(power) - 1)
    return power / sizes > 10 ** (AUDIBLE_DBFS / 10)


def first_audible(samples: np.ndarray, sample_rate_hz: int) -> int | None:
    """Index of the first sample of the first audible window; None when nothing is audible.

    This is the sample that "first audible" means wherever the engine reports a latency.
    """
    windows = audible_windows(samples, sample_rate_hz)
    if not windows.any():
        return None
    return int(np.argmax(windows)) * max(1, round(AUDIBLE_WINDOW_S * sample_rate_hz))


def last_audible(samples: np.ndarray, sample_rate_hz: int) -> int | None:
    """Index after the last sample of the last audible window; None when nothing is audible."""
    windows = audible_windows(samples, sample_rate_hz)
    if not windows.any():
        return None
    window = max(1, round(AUDIBLE_WINDOW_S * sample_rate_hz))
    return min(len(samples), (len(windows) - int(np.argmax(windows[::-1]))) * window)
