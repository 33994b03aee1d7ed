from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_tts.audio.reader import AudioReader
from asr_tts.recognizer import WhisperRecognizer, transcribe_around, word_error_rate, word_errors
from asr_tts.recognizer.decoding import GreedyDecoder, repeated_tail
from asr_tts.recognizer.features import log_mel
from asr_tts.recognizer.whisper import TAIL_S, clean_text, compression_ratio
from commentary_llm.ground.errors import ArtifactError, InputError

Speech = list[tuple[str, np.ndarray]]
Mix = Callable[[np.ndarray, float], np.ndarray]


@pytest.fixture(scope="module")
def reference(whisper_folder: Path) -> Any:
    module = pytest.importorskip("faster_whisper")
    return module.WhisperModel(str(whisper_folder), device="cpu", compute_type="float32", cpu_threads=1)


def heard_by_reference(reference: Any, samples: np.ndarray) -> str:
    segments, _ = reference.transcribe(
        samples, language="en", beam_size=1, temperature=0, without_timestamps=True, condition_on_previous_text=False
    )
    return " ".join(segment.text.strip() for segment in segments)


def rate(said: list[str], heard: list[str]) -> float:
    pairs = [word_errors(one, other) for one, other in zip(said, heard, strict=True)]
    return sum(errors for errors, _ in pairs) / sum(words for _, words in pairs)


def decode(recognizer: WhisperRecognizer, mel: np.ndarray) -> str:
    decoder: GreedyDecoder = recognizer._decoder
    ids = decoder.decode(recognizer._encoder.run({"mel": mel[None].astype(np.float32)})).ids
    return str(recognizer._tokenizer.decode(list(ids))).strip()


@pytest.mark.models
def test_same_words_as_faster_whisper(
    recognizer: WhisperRecognizer, reference: Any, speech: Speech, with_noise: Mix
) -> None:
    """Bar: within 2 % word error of each other in the same 30 s of features; and no worse in our own short window."""
    pause = np.zeros(3_200, np.float32)
    pairs = list(zip(speech[::2], speech[1::2], strict=True))
    said = [f"{first[0]} {second[0]}" for first, second in pairs]
    clean = [np.concatenate([first[1], pause, second[1]])[:160_000] for first, second in pairs]
    for samples in (clean, [with_noise(pcm, 15.0) for pcm in clean]):
        theirs = [heard_by_reference(reference, pcm) for pcm in samples]
        same_features = []
        for pcm in samples:
            # faster-whisper fills up with zeros after the logarithm, not with silence.
            mel = reference.feature_extractor(pcm)[:, :-1]
            same_features.append(decode(recognizer, np.pad(mel, ((0, 0), (0, 3_000 - mel.shape[1])))))
        assert rate(theirs, same_features) <= 0.02
        ours = [recognizer.transcribe(pcm).text for pcm in samples]
        assert rate(said, ours) <= rate(said, theirs) + 0.01


@pytest.mark.models
def test_same_words_and_no_speech_probability_in_the_same_window(
    recognizer: WhisperRecognizer, reference: Any, speech: Speech
) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    for _, pcm in speech[:4]:
        padded = np.zeros(round((recognizer.window_s + TAIL_S) * 16_000), np.float32)
        padded[: len(pcm)] = pcm
        features = ctranslate2.StorageView.from_array(log_mel(padded)[None])
        prompt = [[*recognizer._config.prompt_ids]]
        theirs = reference.model.generate(features, prompt, beam_size=1, return_no_speech_prob=True)[0]
        ours = recognizer.decode(pcm)
        assert list(ours.ids) == list(theirs.sequences_ids[0])
        assert ours.no_speech_prob == pytest.approx(theirs.no_speech_prob, abs=1e-3)


@pytest.mark.models
def test_silence_and_noise_are_not_heard(recognizer: WhisperRecognizer, with_noise: Mix) -> None:
    generator = np.random.default_rng(5)
    time_s = np.arange(160_000) / 16_000
    base = np.sin(2 * np.pi * 440 * time_s).astype(np.float32) * 1e-4
    swell = np.clip((time_s - 3) / 3, 0.1, 1.5)
    roar = with_noise(base, -60.0)
    roar = roar / np.abs(roar).max()
    cases = {
        "silence": np.zeros(160_000),
        "nothing": np.zeros(0),
        "faint hiss": generator.standard_normal(160_000) * 1e-4,
        "white": generator.standard_normal(160_000) * 0.1,
        "crowd": roar * 0.3,
        "loud crowd": roar,
        "swelling crowd": roar * swell * 0.5,
        "whistle": np.sin(2 * np.pi * 3_800 * time_s) * (np.abs(time_s - 5) < 0.4) * 0.3 + roar * 0.02,
        "hum": np.sin(2 * np.pi * 50 * time_s) * 0.2,
    }
    for name, samples in cases.items():
        assert recognizer.transcribe(samples.astype(np.float32)).text == "", name


@pytest.mark.models
def test_a_full_window_does_not_go_in_circles(recognizer: WhisperRecognizer, speech: Speech) -> None:
    stream = np.concatenate([pcm for _, pcm in speech])
    said = " ".join(text for text, _ in speech).split()
    for start in range(0, len(stream) - 160_000, 48_000):
        heard = recognizer.transcribe(stream[start : start + 160_000])
        # 10 s of this voice hold 19 to 34 words; the network may stop early after a sentence that it heard cut off.
        assert 1 <= len(heard.text.split()) <= 40 < len(said)
        assert heard.mean_logprob > -1.0
        assert heard.no_speech_prob < 0.6


@pytest.mark.models
def test_a_batch_hears_what_windows_hear_alone(recognizer: WhisperRecognizer, speech: Speech, with_noise: Mix) -> None:
    """Words alike in any company, each window ended where it ends alone: short ones, long ones, noise, silence."""
    pause = np.zeros(3_200, np.float32)
    long = np.concatenate([speech[0][1], pause, speech[1][1]])[:160_000]
    windows = [
        (speech[2][1], 0.0),
        (np.zeros(160_000, np.float32), 10.0),
        (long, 20.0),
        (with_noise(speech[5][1], 5.0), 30.0),
        (speech[4][1][:8_000], 40.0),
        (np.random.default_rng(3).standard_normal(160_000).astype(np.float32) * 0.1, 50.0),
    ]
    alone = [recognizer.transcribe(*window) for window in windows]
    assert recognizer.best_batch > 1
    together = recognizer.transcribe_many(windows)
    assert [heard.text for heard in together] == [heard.text for heard in alone]
    assert len({len(heard.text) for heard in alone}) >= 4
    for one, other in zip(alone, together, strict=True):
        assert (one.start_s, one.end_s) == (other.start_s, other.end_s)
        assert other.no_speech_prob == pytest.approx(one.no_speech_prob, abs=1e-4)
        assert other.mean_logprob == pytest.approx(one.mean_logprob, abs=1e-3)
    assert recognizer.transcribe_many([]) == []


@pytest.mark.models
def test_transcribe_around_a_moment(recognizer: WhisperRecognizer, speech: Speech, tmp_path: Path) -> None:
    text, pcm = speech[1]
    sound = np.zeros(16_000 * 40, np.float32)
    sound[16_000 * 20 : 16_000 * 20 + len(pcm)] = pcm
    soundfile.write(tmp_path / "a.wav", sound, 16_000)
    with AudioReader(tmp_path / "a.wav") as reader:
        heard = transcribe_around(recognizer, reader, 22.0)
        assert word_error_rate(text, heard.text) < 0.2
        assert (heard.start_s, heard.end_s) == (17.0, 27.0)
        assert transcribe_around(recognizer, reader, 5.0).text == ""
        assert transcribe_around(recognizer, reader, 2.0).start_s == -3.0
    with pytest.raises(InputError, match="read at 22050 Hz; expected 16000 Hz"):
        transcribe_around(recognizer, AudioReader(tmp_path / "a.wav", sample_rate_hz=22_050), 5.0)
    with pytest.raises(InputError, match=r"\(176000,\); expected \(N,\) with N at most 160000"):
        recognizer.transcribe(np.zeros(176_000, np.float32))


def test_loops_are_recognised() -> None:
    assert repeated_tail([1, 2, 3] * 2) is None
    assert repeated_tail([9, 9, 9, 9]) is None  # "no, no, no, no" may be said
    assert repeated_tail([9] * 8) == (1, 8)
    assert repeated_tail([5, 6, 7, *[1, 2, 3] * 4]) == (3, 4)
    assert repeated_tail([1, 2, 3, 4, 5, 6, 7, 8]) is None
    assert repeated_tail([]) is None


def test_cleaning() -> None:
    assert clean_text(" Thank you.") == ""
    assert clean_text("Goal for France!  Thank you for watching.") == "Goal for France!"
    assert clean_text("Thank you for your support tonight.") == "Thank you for your support tonight."
    assert (
        clean_text("Goal for France! Goal for France! 2-1. Goal for France!")
        == "Goal for France! 2-1. Goal for France!"
    )
    assert clean_text(" ...\ufffd . ") == ""
    assert clean_text("A 3.5 rating \n for Mr. Messi") == "A 3.5 rating for Mr. Messi"
    assert compression_ratio("") == 0.0
    assert compression_ratio("Goal for France. " * 20) > 2.4


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    from asr_tts.recognizer import open_recognizer

    with pytest.raises(ArtifactError, match=r"config\.json.*checkpoints setup"):
        open_recognizer(tmp_path)
