"""The openers' sound: made once, kept, put together from sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from session_fakes import RATE, WORD_S, ScriptedSpeech, ScriptedSynthesizer

from asr_tts.interfaces import SpeechStyle
from asr_tts.synthesizer.clips import ClipCache
from asr_tts.synthesizer.piper import pause_after_s
from asr_tts.synthesizer.style import style_for
from commentary_llm.cue.excitement import Mood
from commentary_llm.language.contract import OpenerSentence
from commentary_llm.session.sound_bank import SoundBank
from commentary_llm.station.openers import OpenerMaker

SENTENCES = [OpenerSentence(text, Mood.HOT) for text in ("Goal!", "It's in!", "Messi!")]


class Counting(ScriptedSynthesizer):
    def __init__(self) -> None:
        self.spoken: list[tuple[str, SpeechStyle]] = []

    def speak(self, text: str, style: SpeechStyle = SpeechStyle(), *, at_leisure: bool = False) -> ScriptedSpeech:  # noqa: B008
        assert at_leisure
        self.spoken.append((text, style))
        return ScriptedSpeech(text)


def made(synthesizer: Counting, cache: ClipCache | None) -> tuple[SoundBank, list[float]]:
    bank, shares = SoundBank(), list[float]()
    maker = OpenerMaker(bank, synthesizer, cache, lambda: False)
    try:
        maker.open("m", SENTENCES, in_background=False)
        maker.make_now("m", shares.append)
    finally:
        maker.close()
    return bank, shares


def test_sounds_are_made_once_and_then_found(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    bank, shares = made(first, ClipCache(tmp_path))
    assert len(bank) == 3
    assert sorted(first.spoken) == sorted((s.text, style_for(Mood.HOT.excitement)) for s in SENTENCES)
    assert shares == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert len(made(second, ClipCache(tmp_path))[0]) == 3
    assert second.spoken == []
    assert len(list(tmp_path.iterdir())) == 3


def test_what_is_missing_or_damaged_alone_is_made_again(tmp_path: Path) -> None:
    made(Counting(), ClipCache(tmp_path))
    lost, damaged, _ = sorted(tmp_path.iterdir())
    lost.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1])
    synthesizer = Counting()
    assert len(made(synthesizer, ClipCache(tmp_path))[0]) == 3
    assert len(synthesizer.spoken) == 2


def test_an_opener_whose_clip_is_lost_later_is_not_there(tmp_path: Path) -> None:
    bank, _ = made(Counting(), ClipCache(tmp_path))
    assert bank.speech(["Goal!"], Mood.HOT) is not None
    for path in tmp_path.iterdir():
        path.unlink()
    assert bank.speech(["Goal!"], Mood.HOT) is None
    assert OpenerSentence("Goal!", Mood.HOT) not in bank  # a match that opens later has it made again


def test_an_opener_is_its_sentences_with_a_pause_between() -> None:
    bank, _ = made(Counting(), None)
    speech = bank.speech(["It's in!", "Messi!"], Mood.HOT)
    assert speech is not None
    pause = round(pause_after_s("It's in!", style_for(Mood.HOT.excitement).rate) * RATE)
    words = round(WORD_S * RATE)
    assert len(speech.samples) == 3 * words + pause
    assert speech.samples.dtype == np.float32
    assert np.all(speech.samples[2 * words : 2 * words + pause] == 0)
    assert speech.word_edges_s == pytest.approx((WORD_S, 2 * WORD_S, 3 * WORD_S + pause / RATE))
    assert bank.speech(["Goal!"], Mood.CALM) is None
    assert bank.speech(["Goal!", "Ronaldo!"], Mood.HOT) is None


def test_an_error_while_making_sounds_is_passed_on() -> None:
    class Broken(Counting):
        def speak(self, text: str, style: SpeechStyle = SpeechStyle(), *, at_leisure: bool = False) -> ScriptedSpeech:  # noqa: B008
            raise RuntimeError("no voice")

    with pytest.raises(RuntimeError, match="no voice"):
        made(Broken(), None)
