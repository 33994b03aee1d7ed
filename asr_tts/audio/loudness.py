"""Loudness by EBU R128 / ITU-R BS.1770-4, measured while sound streams by, and true peaks.

By hand rather than by pyebur128 (libebur128): its newest release, 0.1.1, has no wheel for Python 3.13, and it tells the
one highest true peak where the limiter needs that of every sample. On tones, noise and mixes at 22 to 48 kHz both agree
within 0.1 LU and 0.02 dB.
"""

from __future__ import annotations

import math

import numpy as np
from pyloudnorm.iirfilter import IIRfilter
from scipy.signal import firwin, lfilter, upfirdn

_STEP_S = 0.1  # a gating block is four of these, overlapping by three
_STEPS_A_BLOCK = 4
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_OFFSET_DB = -0.691  # BS.1770: a 0 dBFS sine at 1 kHz in one channel reads -3.01 LUFS

_OVERSAMPLING = 4
_TAPS_A_PHASE = 16
_TRUE_PEAK_FIR = (
    firwin(_OVERSAMPLING * _TAPS_A_PHASE + 1, 1 / _OVERSAMPLING, window=("kaiser", 6.0)) * _OVERSAMPLING
).astype(np.float32)
TRUE_PEAK_CONTEXT = _TAPS_A_PHASE // 2  # samples on each side that a true peak depends on


class LoudnessMeter:
    """Integrated loudness of mono sound that comes in pieces of any size. Holds one number per 100 ms."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._filters = [
            IIRfilter(4.0, 1 / math.sqrt(2), 1500.0, sample_rate_hz, "high_shelf"),
            IIRfilter(0.0, 0.5, 38.0, sample_rate_hz, "high_pass"),
        ]
        self._states = [np.zeros(max(len(item.a), len(item.b)) - 1) for item in self._filters]
        self._step = round(_STEP_S * sample_rate_hz)
        self._rest = np.zeros(0)
        self._powers: list[np.ndarray] = []

    def push(self, samples: np.ndarray) -> None:
        weighted = samples.astype(np.float64)
        for index, item in enumerate(self._filters):
            weighted, self._states[index] = lfilter(item.b, item.a, weighted, zi=self._states[index])
        weighted = np.concatenate((self._rest, weighted))
        steps = len(weighted) // self._step
        whole = weighted[: steps * self._step].reshape(steps, self._step)
        self._powers.append(np.mean(np.square(whole), axis=1))
        self._rest = weighted[steps * self._step :]

    def integrated_lufs(self) -> float:
        """Gated loudness of everything pushed; -inf if all of it is below the gate or shorter than 0.4 s."""
        powers = np.concatenate(self._powers) if self._powers else np.zeros(0)
        if len(powers) < _STEPS_A_BLOCK:
            return -math.inf
        blocks = np.convolve(powers, np.full(_STEPS_A_BLOCK, 1 / _STEPS_A_BLOCK), mode="valid")
        loud = blocks[blocks > _power(_ABSOLUTE_GATE_LUFS)]
        if not len(loud):
            return -math.inf
        gate = float(np.mean(loud)) * 10 ** (_RELATIVE_GATE_LU / 10)
        return _OFFSET_DB + 10 * math.log10(float(np.mean(loud[loud > gate])))


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET_DB) / 10))


def true_peak_envelope(samples: np.ndarray) -> np.ndarray:
    """For each sample the greatest magnitude of the four-times oversampled signal around it: float32, same length.

    The first and last `TRUE_PEAK_CONTEXT` values see zeros past the ends.
    """
    if not len(samples):
        return np.zeros(0, dtype=np.float32)
    upsampled = np.abs(upfirdn(_TRUE_PEAK_FIR, samples.astype(np.float32, copy=False), up=_OVERSAMPLING))
    delay = len(_TRUE_PEAK_FIR) // 2
    phases = upsampled[delay : delay + _OVERSAMPLING * len(samples)].reshape(-1, _OVERSAMPLING)
    peaks: np.ndarray = np.maximum(phases.max(axis=1), np.abs(samples)).astype(np.float32)
    return peaks


def true_peak_dbtp(samples: np.ndarray) -> float:
    """Greatest true peak; -inf for silence. For whole arrays of moderate length."""
    peak = float(true_peak_envelope(samples).max(initial=0.0))
    return 20 * math.log10(peak) if peak > 0 else -math.inf
