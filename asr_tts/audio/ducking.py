"""Turns the background down while somebody speaks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import soxr
from scipy.ndimage import uniform_filter1d

from asr_tts.audio.background import Background

DUCK_DB = -12.0
SPEECH_TO_BED_DB = 12.0  # at least so far below the speech lies the ducked background, measured over 0.4 s
BED_BELOW_SPEECH_DB = 8.0  # the undisturbed background's usual level
ROAR_RATIO = 3.0  # what rises above that comes through by this part: a roar stays below the voice that follows it
ATTACK_S = 0.05  # the way down, ending where speech begins
HOLD_S = 0.15
RELEASE_S = 0.40

_CONTROL_HZ = 200.0
_LEVEL_WINDOW_S = 0.4
_MARGIN_S = 0.5  # background seen on both sides of a block, for level windows and the resampler's edges
_SURVEY_S, _SURVEY_POINTS = 1.0, 240
_SILENCE_DBFS = -80.0
_NOMINAL_SPEECH_DB = -24.0  # where there is no speech to compare with
_MAX_BED_GAIN_DB = 20.0


class Ducker:
    """A background at the mix's rate, brought to its level and ducked under the given intervals of speech.

    Speech is known beforehand, so the gain is already down when it begins. A roar that would still stand within
    `SPEECH_TO_BED_DB` of the speech is turned down further. What `read` gives does not depend on the blocks asked for.
    """

    def __init__(
        self,
        background: Background | None,
        speech_s: Sequence[tuple[float, float]],
        speech_lufs: float,
        sample_rate_hz: int,
    ) -> None:
        """`speech_s`: (start, end) of each stretch, by start. `speech_lufs`: its loudness, -inf if there is none."""
        self._background = background
        self._rate = sample_rate_hz
        self._starts = np.array([start for start, _ in speech_s])
        self._ends = np.array([end for _, end in speech_s])
        self._speech_db = speech_lufs if math.isfinite(speech_lufs) else _NOMINAL_SPEECH_DB
        self._bed_gain_db: float | None = None

    def read(self, first: int, count: int) -> np.ndarray:
        """`count` samples from sample `first` of the mix on: float32, writable."""
        if self._background is None or not count:
            return np.zeros(count, dtype=np.float32)
        margin = round(_MARGIN_S * self._rate)
        bed = self._read_source((first - margin) / self._rate, count + 2 * margin)
        ticks = np.arange(
            math.floor(first / self._rate * _CONTROL_HZ), math.ceil((first + count) / self._rate * _CONTROL_HZ) + 1
        )
        gain_db = self._gain_db(ticks / _CONTROL_HZ, bed, first - margin)
        times = np.arange(first, first + count) * (_CONTROL_HZ / self._rate)
        gain = np.interp(times, ticks, 10 ** (gain_db / 20)).astype(np.float32)
        ducked: np.ndarray = bed[margin : margin + count] * gain
        return ducked

    def _gain_db(self, times_s: np.ndarray, bed: np.ndarray, bed_first: int) -> np.ndarray:
        """Total gain of the bed at each control time."""
        bed_gain_db = self._level_gain_db()
        depth = self._depth(times_s)
        power = uniform_filter1d(np.square(bed, dtype=np.float64), round(_LEVEL_WINDOW_S * self._rate), mode="nearest")
        places = np.clip(np.round(times_s * self._rate).astype(int) - bed_first, 0, len(power) - 1)
        level_db = 10 * np.log10(np.maximum(power[places], 1e-12)) + bed_gain_db
        excess_db = np.maximum(0.0, level_db - (self._speech_db - BED_BELOW_SPEECH_DB))
        roar_db = -excess_db * (1 - 1 / ROAR_RATIO)
        duck_db = np.minimum(DUCK_DB, self._speech_db - SPEECH_TO_BED_DB - (level_db + roar_db))
        return np.asarray(bed_gain_db + roar_db + depth * duck_db)

    def _depth(self, times_s: np.ndarray) -> np.ndarray:
        """0 far from speech … 1 under it, by the nearest stretches before and after each time."""
        if not len(self._starts):
            return np.zeros(len(times_s))
        after = np.searchsorted(self._starts, times_s, side="right")
        # Stretches may overlap: the latest end among those that have begun counts.
        latest_end = np.concatenate(([-np.inf], np.maximum.accumulate(self._ends)))[after]
        next_start = np.concatenate((self._starts, [np.inf]))[after]
        leaving = np.clip(1 - (times_s - latest_end - HOLD_S) / RELEASE_S, 0, 1)
        coming = np.clip(1 - (next_start - times_s) / ATTACK_S, 0, 1)
        return np.asarray(np.maximum(leaving, coming))

    def _level_gain_db(self) -> float:
        """Brings the background's usual level to `BED_BELOW_SPEECH_DB` under the speech; surveyed once."""
        if self._bed_gain_db is None:
            end_s = float(self._ends.max()) if len(self._ends) else 60.0
            levels = []
            for start_s in np.linspace(0, max(0.0, end_s - _SURVEY_S), _SURVEY_POINTS):
                power = float(np.mean(np.square(self._read_source(float(start_s), round(_SURVEY_S * self._rate)))))
                levels.append(10 * math.log10(max(power, 1e-12)))
            heard = [level for level in levels if level > _SILENCE_DBFS]
            usual_db = float(np.median(heard)) if heard else self._speech_db
            self._bed_gain_db = min(self._speech_db - BED_BELOW_SPEECH_DB - usual_db, _MAX_BED_GAIN_DB)
        return self._bed_gain_db

    def _read_source(self, start_s: float, count: int) -> np.ndarray:
        assert self._background is not None
        source_rate = self._background.sample_rate_hz
        if source_rate == self._rate:
            return self._background.read(start_s, count / self._rate)
        samples = soxr.resample(self._background.read(start_s, count / self._rate), source_rate, self._rate)
        return np.pad(samples[:count], (0, max(0, count - len(samples)))).astype(np.float32)
