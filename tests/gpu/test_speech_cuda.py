"""Recogniser and voice in ONNX Runtime on a real GPU, against the CPU; no times."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import soxr

from asr_tts.interfaces import SpeechStyle
from asr_tts.recognizer import WhisperRecognizer, open_recognizer
from asr_tts.runtime.cuda import Cuda
from asr_tts.runtime.onnxruntime_cuda import check_library
from asr_tts.synthesizer import PiperSynthesizer
from commentary_llm.ground.errors import ArtifactError, ConfigError
from commentary_llm.ground.home import ASR_MODEL, TTS_MODEL, models_dir
from commentary_llm.speech import speech_text_of

pytestmark = [pytest.mark.gpu, pytest.mark.models]
LINES = (
    "Goal!",
    "Messi scores from the penalty spot.",
    "Mbappé, then! A corner for France, with eight minutes left.",
)
# Sums in another order, through all of VITS: six steps of 16 bit, the tolerance of fixed shapes on the CPU.
PCM_TOLERANCE = 2e-4


@pytest.fixture(scope="module")
def gpu() -> None:
    try:
        check_library()
        Cuda()
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def voice(gpu: None, fixed_speech: Path) -> PiperSynthesizer:
    loaded = PiperSynthesizer.load(fixed_speech / "tts", speech_text_of, device="cuda")
    loaded.warm_up()
    return loaded


@pytest.fixture(scope="module")
def recognizer(gpu: None, fixed_speech: Path) -> WhisperRecognizer:
    loaded = open_recognizer(fixed_speech / "asr", device="cuda")
    loaded.warm_up()
    return loaded


@pytest.fixture(scope="module")
def exact() -> PiperSynthesizer:
    return PiperSynthesizer.load(models_dir() / TTS_MODEL, speech_text_of)


def said(voice: PiperSynthesizer, text: str, style: SpeechStyle = SpeechStyle()) -> np.ndarray:  # noqa: B008
    return np.concatenate([chunk.samples for chunk in voice.synthesize(text, style)])


@pytest.mark.parametrize("style", [SpeechStyle(), SpeechStyle(1.2, 0.0), SpeechStyle(0.8, 1.2, 3.0)])
def test_says_the_same_samples(voice: PiperSynthesizer, exact: PiperSynthesizer, style: SpeechStyle) -> None:
    for line in LINES:
        expected, samples = said(exact, line, style), said(voice, line, style)
        assert len(samples) == len(expected)
        assert np.abs(samples - expected).max() < PCM_TOLERANCE
        np.testing.assert_array_equal(said(voice, line, style), samples)


def test_hears_the_same_words(recognizer: WhisperRecognizer, exact: PiperSynthesizer) -> None:
    plain = open_recognizer(models_dir() / ASR_MODEL)
    for line in LINES:
        samples = soxr.resample(said(exact, line), exact.sample_rate_hz, 16_000)
        found, expected = recognizer.decode(samples), plain.decode(samples)
        assert found.ids == expected.ids
        assert found.mean_logprob == pytest.approx(expected.mean_logprob, abs=1e-3)
        assert found.no_speech_prob == pytest.approx(expected.no_speech_prob, abs=1e-3)


def test_voices_and_recogniser_at_once(voice: PiperSynthesizer, recognizer: WhisperRecognizer) -> None:
    """Contexts, streams and graphs keep apart: the same samples and words as alone."""
    alone = {line: said(voice, line) for line in LINES}
    window = soxr.resample(alone[LINES[2]], voice.sample_rate_hz, 16_000)
    heard = recognizer.decode(window)
    wrong: list[object] = []

    def speak(first: int) -> None:
        try:
            for turn in range(12):
                line = LINES[(first + turn) % len(LINES)]
                if not np.array_equal(said(voice, line), alone[line]):
                    wrong.append(line)
        except BaseException as error:
            wrong.append(error)

    def hear() -> None:
        try:
            wrong.extend(found for found in (recognizer.decode(window) for _ in range(6)) if found.ids != heard.ids)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=speak, args=(number,)) for number in range(3)]
    threads += [threading.Thread(target=hear) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_networks_of_any_shape_are_refused(gpu: None) -> None:
    """Among them operators that have no kernel on a GPU; nothing of them runs on the CPU instead."""
    with pytest.raises(ArtifactError, match=r"text_encoder\.onnx"):
        PiperSynthesizer.load(models_dir() / TTS_MODEL, speech_text_of, device="cuda")
