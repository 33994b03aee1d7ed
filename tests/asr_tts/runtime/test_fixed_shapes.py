"""Recogniser and voice over networks of fixed shapes hear and say the same as over those of any shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soxr

from asr_tts.interfaces import SpeechStyle
from asr_tts.recognizer import WhisperRecognizer, open_recognizer
from asr_tts.synthesizer import PiperSynthesizer
from asr_tts.synthesizer.vits import ClauseTooLongError, decoder_windows
from checkpoints.engines.material import speak
from commentary_llm.ground.errors import ArtifactError, EngineError
from commentary_llm.ground.home import ASR_MODEL, TTS_MODEL, models_dir
from commentary_llm.speech import speech_text_of

pytestmark = pytest.mark.models

LINES = (
    "Goal!",
    "Messi scores from the penalty spot.",
    "Mbappé, then! A corner for France, with eight minutes left.",
)
LONG = (
    "He shoots from outside the box, and it hits the crossbar, comes back into play, and the keeper gathers it safely "
    "at the second attempt while the whole bench is already on its feet."
)


@pytest.fixture(scope="module")
def voices(fixed_speech: Path) -> tuple[PiperSynthesizer, PiperSynthesizer]:
    return PiperSynthesizer.load(models_dir() / TTS_MODEL, speech_text_of), PiperSynthesizer.load(
        fixed_speech / "tts", speech_text_of
    )


@pytest.fixture(scope="module")
def recognizers(fixed_speech: Path) -> tuple[WhisperRecognizer, WhisperRecognizer]:
    return open_recognizer(models_dir() / ASR_MODEL), open_recognizer(fixed_speech / "asr")


def said(voice: PiperSynthesizer, text: str, style: SpeechStyle = SpeechStyle()) -> np.ndarray:  # noqa: B008
    return np.concatenate([chunk.samples for chunk in voice.synthesize(text, style)])


@pytest.mark.parametrize("style", [SpeechStyle(), SpeechStyle(1.2, 0.0), SpeechStyle(0.8, 1.2, 3.0)])
def test_the_voice_sounds_the_same(voices: tuple[PiperSynthesizer, PiperSynthesizer], style: SpeechStyle) -> None:
    for line in LINES:
        free, fixed = (voice.speak(line, style) for voice in voices)
        chunks = [np.concatenate([chunk.samples for chunk in speech]) for speech in (free, fixed)]
        assert len(chunks[0]) == len(chunks[1])
        # Sums of a longer array are made in another order: 7e-5 was the most seen, six steps of 16 bit allowed.
        assert np.abs(chunks[0] - chunks[1]).max() < 2e-4
        assert free.word_edges_s == fixed.word_edges_s


def test_padding_is_inert(voices: tuple[PiperSynthesizer, PiperSynthesizer]) -> None:
    """Latent and PCM do not depend on what stands behind the sentence."""
    free, fixed = (voice.voice for voice in voices)
    rng = np.random.default_rng(3)
    for count in (1, 2, 17, 128):
        ids = [1, *rng.integers(4, 120, count - 1).tolist()]
        latents = [v.encode(ids, rate=1.1, energy=1.0, rng=np.random.default_rng(4)) for v in (free, fixed)]
        np.testing.assert_array_equal(latents[0].durations, latents[1].durations)
        np.testing.assert_allclose(latents[1].frames, latents[0].frames, atol=2e-4)
        exact, padded = (np.concatenate(list(v.decode_chunks(latents[0]))) for v in (free, fixed))
        np.testing.assert_allclose(padded, exact, atol=2e-5)
        np.testing.assert_allclose(fixed.decode(latents[0]), free.decode(latents[0]), atol=2e-5)


def test_long_lines_are_split_between_words(
    voices: tuple[PiperSynthesizer, PiperSynthesizer], recognizers: tuple[WhisperRecognizer, WhisperRecognizer]
) -> None:
    free, fixed = (voice.speak(LONG) for voice in voices)
    whole, parts = (np.concatenate([chunk.samples for chunk in speech]) for speech in (free, fixed))
    assert len(free.word_edges_s) == len(fixed.word_edges_s)
    assert len(parts) == pytest.approx(len(whole), rel=0.15)
    heard = recognizers[0].transcribe(soxr.resample(parts, fixed.sample_rate_hz, 16_000)[:160_000]).text.lower()
    for word in ("shoots", "crossbar", "keeper", "second attempt"):
        assert word in heard


def test_a_slow_clause_that_needs_too_many_frames_is_split(fixed_speech: Path) -> None:
    voice = PiperSynthesizer.load(fixed_speech / "tts", speech_text_of)
    ids = [1, *[20] * 120, 2]
    with pytest.raises(ClauseTooLongError, match="its encoder makes 448 at most"):
        voice.voice.encode(ids, rate=0.1, energy=0.0, rng=np.random.default_rng(0))
    with pytest.raises(EngineError, match="129 phoneme ids in a clause; its encoder takes 128"):
        voice.voice.encode([20] * 129, rate=1.0, energy=0.0, rng=np.random.default_rng(0))
    line = "A long ball over the top, but the defender reads it well and clears."
    whole = voice.speak(line, SpeechStyle(rate=0.8))
    samples = np.concatenate([chunk.samples for chunk in whole])
    encode = voice.voice.encode
    limit = 150

    def short_encoder(ids: object, **how: object) -> object:
        latent = encode(ids, **how)  # type: ignore[arg-type]
        if len(latent) > limit:
            raise ClauseTooLongError("too long")
        return latent

    voice.voice.encode = short_encoder  # type: ignore[method-assign, assignment]
    speech = voice.speak(line, SpeechStyle(rate=0.8))
    split = np.concatenate([chunk.samples for chunk in speech])
    assert len(speech.word_edges_s) == len(whole.word_edges_s)
    assert len(split) == pytest.approx(len(samples), rel=0.3)


def test_chunks_are_cut_to_the_decoder_s_windows(voices: tuple[PiperSynthesizer, PiperSynthesizer]) -> None:
    voice = voices[1].voice
    before, after = voice.description.decoder_context_frames
    assert decoder_windows(voice.description) == (
        12 + after,
        before + 24 + after,
        before + 48 + after,
        before + 96 + after,
    )
    assert [profile["latent"][2] for profile in voice._decoder.profiles] == list(decoder_windows(voice.description))
    with pytest.raises(EngineError, match=r"it was made for latent \(1, 192, 23\), mask \(1, 1, 23\) or"):
        voice._decoder.run({"latent": np.zeros((1, 192, 24), np.float32), "mask": np.zeros((1, 1, 24), np.float32)})


def test_the_recogniser_decodes_the_same_tokens(
    voices: tuple[PiperSynthesizer, PiperSynthesizer], recognizers: tuple[WhisperRecognizer, WhisperRecognizer]
) -> None:
    free, fixed = recognizers
    for utterance in speak(LINES, voices[0]):
        for samples in (utterance.clean, utterance.noisy):
            expected, found = free.decode(samples), fixed.decode(samples)
            assert found.ids == expected.ids
            assert found.mean_logprob == pytest.approx(expected.mean_logprob, abs=1e-4)
            assert found.no_speech_prob == pytest.approx(expected.no_speech_prob, abs=1e-4)
            assert fixed.transcribe(samples).text == free.transcribe(samples).text
        assert fixed.best_batch == 1  # its networks take one window; more come one by one
        both = [(utterance.clean, 0.0), (utterance.noisy, 10.0)]
        assert [heard.text for heard in fixed.transcribe_many(both)] == [fixed.transcribe(*each).text for each in both]


def test_warm_up_runs_every_shape(
    voices: tuple[PiperSynthesizer, PiperSynthesizer], recognizers: tuple[WhisperRecognizer, WhisperRecognizer]
) -> None:
    for stage in (voices[1], recognizers[1], recognizers[0]):
        stage.warm_up()


def test_a_window_of_another_length_is_refused(fixed_speech: Path) -> None:
    with pytest.raises(ArtifactError, match=r"made for 1100 mel frames; a window of 5 s has 600\. Rebuild with"):
        open_recognizer(fixed_speech / "asr", window_s=5.0)
