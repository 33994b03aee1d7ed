"""Whisper's log-mel spectrogram."""

from __future__ import annotations

import functools

import numpy as np

SAMPLE_RATE_HZ = 16_000
FFT_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms: 100 frames a second


@functools.cache
def mel_filters(mels: int) -> np.ndarray:
    """Triangular filters of equal area on the Slaney mel scale from 0 to 8 kHz: (mels, 201) float32.

    Slaney's scale (Auditory Toolbox, 1998): linear up to 1 kHz with 15 mel, then 27 mel for each factor of 6.4.
    """
    highest_mel = 15.0 + 27.0 * np.log(SAMPLE_RATE_HZ / 2 / 1000.0) / np.log(6.4)
    edges_mel = np.linspace(0.0, highest_mel, mels + 2)
    edges_hz = np.where(
        edges_mel < 15.0, edges_mel * 200.0 / 3.0, 1000.0 * np.exp((edges_mel - 15.0) * np.log(6.4) / 27.0)
    )
    bins_hz = np.fft.rfftfreq(FFT_SAMPLES, 1.0 / SAMPLE_RATE_HZ)
    low, centre, high = (edges_hz[offset : offset + mels, None] for offset in range(3))
    rising = (bins_hz - low) / (centre - low)
    falling = (high - bins_hz) / (high - centre)
    filters = np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (high - low)
    return filters.astype(np.float32)


@functools.cache
def _window() -> np.ndarray:
    return np.hanning(FFT_SAMPLES + 1)[:-1].astype(np.float32)  # periodic


def log_mel(samples: np.ndarray, mels: int = 80) -> np.ndarray:
    """(mels, N // 160) float32 of N >= 201 samples, float32 mono at 16 kHz in [-1, 1]; frame k centres on sample 160 k.

    log10 of the mel power, at most 8 (80 dB) below its maximum, then (x + 4) / 4; ends are mirrored. As OpenAI's
    `whisper/audio.py`.
    """
    padded = np.pad(samples.astype(np.float32, copy=False), FFT_SAMPLES // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[: len(samples) : HOP_SAMPLES]
    frames = frames[: len(samples) // HOP_SAMPLES]
    spectrum = np.fft.rfft(frames * _window(), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    log_power = np.log10(np.maximum(mel_filters(mels) @ power.T, 1e-10))
    return ((np.maximum(log_power, log_power.max() - 8.0) + 4.0) / 4.0).astype(np.float32, copy=False)
