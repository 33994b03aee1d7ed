"""Levels, loudness, true peaks and the limiter, against references."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_tts.audio.levels import first_audible, last_audible, rms_dbfs
from asr_tts.audio.limiter import TruePeakLimiter
from asr_tts.audio.loudness import LoudnessMeter, true_peak_dbtp

RATE = 22_050


def in_pieces(samples: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    return np.split(samples, np.cumsum(sizes)[np.cumsum(sizes) < len(samples)])


def programme(seed: int = 0, rate: int = RATE, seconds: float = 20.0) -> np.ndarray:
    """Noise with loud and quiet stretches, so that the gates have work."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(0, 0.1, round(seconds * rate))
    steps = np.repeat(rng.choice([0.001, 0.05, 0.4, 1.0, 2.0], round(seconds * 2)), rate // 2)
    return np.asarray(samples[: len(steps)] * steps, dtype=np.float32)


@pytest.mark.parametrize("rate", [16_000, RATE, 48_000])
def test_loudness_is_that_of_the_reference(rate: int) -> None:
    samples = programme(rate, rate)
    meter = LoudnessMeter(rate)
    for piece in in_pieces(samples, [7, 10_001, 64, 50_000]):
        meter.push(piece)
    expected = pyloudnorm.Meter(rate).integrated_loudness(samples.astype(float))
    assert meter.integrated_lufs() == pytest.approx(expected, abs=0.05)


def test_silence_has_no_loudness() -> None:
    meter = LoudnessMeter(RATE)
    assert meter.integrated_lufs() == -np.inf
    meter.push(np.zeros(5 * RATE))
    assert meter.integrated_lufs() == -np.inf
    assert true_peak_dbtp(np.zeros(100, dtype=np.float32)) == -np.inf


def test_true_peak_between_samples_is_found() -> None:
    """A sine at a quarter of the rate, sampled at 45 degrees: samples reach 0.707, the wave reaches 1."""
    phase = np.arange(4000) * np.pi / 2 + np.pi / 4
    sine = (np.sin(phase) * np.hanning(4000)).astype(np.float32)
    assert 20 * np.log10(np.abs(sine).max()) < -3
    assert true_peak_dbtp(sine) == pytest.approx(0.0, abs=0.15)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 40.0), st.lists(st.integers(1, 9000), min_size=1, max_size=8))
def test_the_limiter_keeps_the_ceiling_and_the_length(seed: int, gain: float, sizes: list[int]) -> None:
    rng = np.random.default_rng(seed)
    samples = (rng.standard_normal(12_000) * 0.1 * gain).astype(np.float32)
    samples[rng.integers(0, len(samples), 5)] += np.float32(gain)
    limiter = TruePeakLimiter(RATE, -1.0)
    out = np.concatenate([*(limiter.push(piece) for piece in in_pieces(samples, sizes)), limiter.finish()])
    assert len(out) == len(samples)
    assert true_peak_dbtp(out) <= -1.0
    whole = TruePeakLimiter(RATE, -1.0)
    np.testing.assert_allclose(out, np.concatenate((whole.push(samples), whole.finish())), atol=1e-5)


def test_the_limiter_leaves_quiet_sound_alone() -> None:
    samples = programme() * 0.2
    limiter = TruePeakLimiter(RATE)
    np.testing.assert_array_equal(np.concatenate((limiter.push(samples), limiter.finish())), samples)


def test_audible_edges() -> None:
    samples = np.zeros(RATE, dtype=np.float32)
    assert first_audible(samples, RATE) is None
    assert last_audible(samples[:0], RATE) is None
    samples[5000:6000] = 0.05 * np.sin(np.arange(1000) / 5)
    start, end = first_audible(samples, RATE), last_audible(samples, RATE)
    assert start is not None
    assert end is not None
    assert 5000 - 220 <= start <= 5000 + 220
    assert 6000 - 220 <= end <= 6000 + 220
    assert rms_dbfs(np.ones(10)) == 0.0
