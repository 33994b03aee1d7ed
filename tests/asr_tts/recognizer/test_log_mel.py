from __future__ import annotations

import numpy as np
import pytest

from asr_tts.recognizer.features import log_mel, mel_filters


@pytest.mark.parametrize("mels", [80, 128])
def test_filters_and_spectrogram_equal_the_reference(mels: int) -> None:
    module = pytest.importorskip("faster_whisper.feature_extractor")
    reference = module.FeatureExtractor(feature_size=mels)
    assert np.abs(mel_filters(mels) - reference.mel_filters).max() < 1e-6
    generator = np.random.default_rng(0)
    sweep = np.sin(2 * np.pi * np.cumsum(np.linspace(50, 7900, 48_123)) / 16_000) * np.linspace(0, 1, 48_123)
    for samples in (generator.standard_normal(160_000) * 0.1, sweep, np.zeros(16_000)):
        samples = samples.astype(np.float32)
        ours, theirs = log_mel(samples, mels), reference(samples, padding=0)
        assert ours.dtype == np.float32
        assert ours.shape == (mels, len(samples) // 160)
        assert np.abs(ours - theirs[:, : ours.shape[1]]).max() < 1e-4
