"""The sound of a stadium crowd, synthesised: murmur that swells, roars and applause after exciting moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve

_TEXTURE_S = (11.3, 13.7, 17.9, 9.1)  # incommensurate loops: their sum repeats after hours
_CONTROL_HZ = 50.0  # gains are computed at this rate and interpolated
_MURMUR_DBFS = -32.0
_ROAR_DBFS = -16.0  # at excitement 1
_APPLAUSE_DBFS = -24.0


@dataclass(frozen=True)
class Moment:
    """Something the crowd answers, `excitement` from 0 to 1."""

    time_s: float
    excitement: float


class CrowdNoise:
    """A `Background` without end: the same seed and moments give the same samples wherever reading starts."""

    def __init__(self, moments: Sequence[Moment] = (), sample_rate_hz: int = 16_000, seed: int = 0) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._moments = sorted(moments, key=lambda moment: moment.time_s)
        rng = np.random.default_rng(seed)
        # (centre Hz, octaves, weight): vowels of many throats; a roar is an open "aah", a murmur a closed mouth.
        murmur = ((220, 1.2, 1.0), (480, 0.9, 0.9), (1500, 0.8, 0.20), (2600, 0.9, 0.06))
        roar = ((330, 1.0, 0.6), (780, 0.7, 1.0), (1250, 0.6, 0.8), (2700, 0.8, 0.30))
        self._textures = [
            _babble(rng, sample_rate_hz, _TEXTURE_S[0], murmur, liveliness=0.3),
            _babble(rng, sample_rate_hz, _TEXTURE_S[1], murmur, liveliness=0.4),
            _babble(rng, sample_rate_hz, _TEXTURE_S[2], roar, liveliness=0.2),
            _applause(rng, sample_rate_hz, _TEXTURE_S[3]),
        ]
        self._swells = [(rng.uniform(6, 70), rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.6)) for _ in range(6)]

    def read(self, start_s: float, duration_s: float) -> np.ndarray:
        """(round(duration_s * rate),) float32; peaks stay within [-1, 1]. 150 minutes take some seconds."""
        rate = self.sample_rate_hz
        first, count = round(start_s * rate), round(duration_s * rate)
        mixed = np.zeros(count, dtype=np.float32)
        if not count:
            return mixed
        step = rate / _CONTROL_HZ
        ticks = np.arange(int(first // step), int((first + count) // step) + 2)
        times_s = ticks / _CONTROL_HZ
        places = (np.arange(first, first + count) / step).astype(np.float64)
        for texture, gain in zip(self._textures, self._gains(times_s), strict=True):
            if not np.any(gain > 1e-5):
                continue
            envelope = np.interp(places, ticks, gain).astype(np.float32)
            mixed += envelope * _circular(texture, first, count)
        return np.clip(mixed, -1.0, 1.0)

    def _gains(self, times_s: np.ndarray) -> tuple[np.ndarray, ...]:
        """Amplitudes of the textures (unit RMS) at each time."""
        swell_db = sum(depth * np.sin(2 * np.pi * times_s / period + phase) for period, phase, depth in self._swells)
        roar, applause = np.zeros(len(times_s)), np.zeros(len(times_s))
        for moment in self._moments:
            since_s = times_s - moment.time_s
            if since_s[-1] < 0 or since_s[0] > 60:
                continue
            level = moment.excitement
            roar = np.maximum(roar, level**1.5 * _rise_and_fall(since_s, 0.15, 0.9, 1 + 5 * level, 5.0))
            applause = np.maximum(applause, level * _rise_and_fall(since_s, 2.0, 2.5, 2 + 6 * level, 4.0))
        murmur = 10 ** ((_MURMUR_DBFS + swell_db) / 20) * (1 + 0.8 * roar)
        drift = 0.5 + 0.5 * np.sin(2 * np.pi * times_s / 23.7)
        return (
            murmur * np.sqrt(0.3 + 0.7 * drift),
            murmur * np.sqrt(1.0 - 0.7 * drift),
            roar * 10 ** (_ROAR_DBFS / 20),
            applause * 10 ** (_APPLAUSE_DBFS / 20),
        )


def _rise_and_fall(since_s: np.ndarray, delay_s: float, rise_s: float, hold_s: float, fall_s: float) -> np.ndarray:
    """0 before `delay_s`, a smooth rise to 1, held, then an exponential fall."""
    after = since_s - delay_s
    rise = np.sin(np.clip(after / rise_s, 0, 1) * np.pi / 2) ** 2
    fall: np.ndarray = np.exp(-np.maximum(after - rise_s - hold_s, 0) / fall_s)
    return rise * fall


def _circular(texture: np.ndarray, first: int, count: int) -> np.ndarray:
    start = first % len(texture)
    if count > len(texture):
        return np.resize(np.roll(texture, -start), count)
    return np.concatenate((texture[start : start + count], texture[: max(0, start + count - len(texture))]))


def _shaped_noise(
    rng: np.random.Generator, rate: int, count: int, bands: Sequence[tuple[float, float, float]]
) -> np.ndarray:
    """Periodic noise whose spectrum is a sum of bumps on a logarithmic frequency axis."""
    frequencies = np.fft.rfftfreq(count, 1 / rate)
    octaves = np.log2(np.maximum(frequencies, 1.0))
    shape = sum(weight * np.exp(-0.5 * ((octaves - np.log2(centre)) / width) ** 2) for centre, width, weight in bands)
    spectrum = shape * np.exp(2j * np.pi * rng.random(len(frequencies)))
    spectrum[frequencies < 60] = 0
    noise = np.fft.irfft(spectrum, count)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)))


def _babble(
    rng: np.random.Generator,
    rate: int,
    duration_s: float,
    bands: Sequence[tuple[float, float, float]],
    liveliness: float,
) -> np.ndarray:
    """Noise in which groups of voices come and go at the pace of syllables: unit RMS, float32, loops seamlessly."""
    count = round(duration_s * rate)
    mixed = np.zeros(count)
    for _ in range(8):
        shifted = [(centre * 2 ** rng.normal(0, 0.15), width, weight) for centre, width, weight in bands]
        frequencies = np.fft.rfftfreq(count, 1 / rate)
        syllables = np.exp(-0.5 * (np.log2(np.maximum(frequencies, 0.05) / 2.5) / 1.2) ** 2) * (frequencies < 12)
        modulation = np.fft.irfft(syllables * np.exp(2j * np.pi * rng.random(len(frequencies))), count)
        modulation /= np.sqrt(np.mean(modulation**2))
        mixed += _shaped_noise(rng, rate, count, shifted) * np.exp(liveliness * modulation)
    return np.asarray(mixed / np.sqrt(np.mean(mixed**2)), dtype=np.float32)


def _applause(rng: np.random.Generator, rate: int, duration_s: float) -> np.ndarray:
    """Thousands of hands: band-passed clicks at random times, far and near, in a long echo."""
    count = round(duration_s * rate)
    sound = np.zeros(count)
    clap_s = np.arange(round(0.02 * rate)) / rate
    for _ in range(24):  # pairs of hands differ; one kind alone would ring
        impulses = np.zeros(count)
        places = rng.integers(0, count, size=round(40 * duration_s))
        np.add.at(impulses, places, rng.exponential(1.0, size=len(places)) * rng.choice((-1, 1), size=len(places)))
        pitches_hz, decay_s = rng.uniform(700, 2800, size=3), rng.uniform(0.0015, 0.004)
        clap = np.exp(-clap_s / decay_s) * sum(np.sin(2 * np.pi * pitch_hz * clap_s) for pitch_hz in pitches_hz)
        looped = np.concatenate((impulses[-len(clap) :], impulses))
        sound += fftconvolve(looped, clap)[len(clap) : len(clap) + count]
    return np.asarray(sound / np.sqrt(np.mean(sound**2)), dtype=np.float32)
