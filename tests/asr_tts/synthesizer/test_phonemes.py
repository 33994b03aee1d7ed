"""Phonemes and ids as the voices were trained on them."""

from __future__ import annotations

import pytest
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP, phonemes_to_ids
from piper.phonemize_espeak import EspeakPhonemizer

from asr_tts.synthesizer.phonemes import Phonemizer
from commentary_llm.language.en.speech import ENGLISH_SPEECH

LINES = ["Goal!", "What a strike, from thirty yards; unbelievable. He turns away!", "and that is a corner"]


def plain() -> Phonemizer:
    return Phonemizer("en-us", DEFAULT_PHONEME_ID_MAP)


@pytest.mark.parametrize("text", LINES)
def test_ids_are_those_of_piper(text: str) -> None:
    expected = [phonemes_to_ids(list(phonemes)) for phonemes in EspeakPhonemizer().phonemize("en-us", text)]
    assert [list(sentence.ids) for sentence in plain().sentences(text)] == expected


def said(text: str, **names: str) -> list[str]:
    phonemizer = Phonemizer("en-us", DEFAULT_PHONEME_ID_MAP, names, ENGLISH_SPEECH.endings)
    spoken = ENGLISH_SPEECH.normalize(text, phonemizer.known_names)
    return ["".join(phonemes) for phonemes in phonemizer.phonemes(spoken)]


def test_names_are_said_as_listed() -> None:
    assert said("Goal! Mbappé.", Mbappe="əmbˈæpeɪ") == ["ɡˈoʊl!", "əmbˈæpeɪ."]
    assert said("It is Xavi, Xavi's ball", Xavi="tʃˈɑːvi") == ["ɪɾ ˈɪz tʃˈɑːvi, tʃˈɑːviz bˈɔːl"]
    assert said("Xavi! Xavi", Xavi="tʃˈɑːvi") == ["tʃˈɑːvi!", "tʃˈɑːvi"]


def test_ordinary_words_and_longer_words_keep_their_sound() -> None:
    assert "MANE" not in said("The mane of a lion", mane="MANE")[0]
    assert "MANE" not in said("Manes", mane="MANE")[0]
    assert "MANE" in said("Mané", mane="MANE")[0]


def test_the_longest_name_wins() -> None:
    spoken = said("Ángel Di María shoots", **{"Di Maria": "SHORT", "Angel Di Maria": "LONG"})[0]
    assert spoken.startswith("LONG")


def test_word_ends_lie_after_each_word() -> None:
    (sentence,) = plain().sentences("He shoots, wide")
    assert len(sentence.word_ends) == 3
    assert sentence.word_ends[-1] <= len(sentence.ids)
    assert list(sentence.word_ends) == sorted(sentence.word_ends)
    assert sentence.terminator == ""
    assert [item.terminator for item in plain().sentences("Goal! Is it? Yes.")] == ["!", "?", "."]


def test_nothing_to_say() -> None:
    assert plain().sentences("") == ()
    assert plain().sentences(". , !") == ()
