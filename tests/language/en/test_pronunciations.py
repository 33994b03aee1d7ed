"""The names that English spelling rules get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.en.speech import ENGLISH_SPEECH
from commentary_llm.language.en.speech.text import possessive, read_pronunciations


def test_every_listed_name_is_in_the_voices_phonemes() -> None:
    known = ENGLISH_SPEECH.names("en-us")
    assert len(known) > 200
    strange = {name: ipa for name, ipa in known.items() if any(symbol not in DEFAULT_PHONEME_ID_MAP for symbol in ipa)}
    assert not strange


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("# fine\nXavi\ttʃˈɑːvi\nno tab here\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"names.txt:3: found 'no tab here'"):
        read_pronunciations(path)


def test_other_voices_have_other_symbols() -> None:
    assert ENGLISH_SPEECH.names("en-gb-x-rp") == {}


@pytest.mark.parametrize(("ipa", "ending"), [("mˈɛsi", "z"), ("fˈuːks", "ᵻz"), ("mʊˈæp", "s")])
def test_possessives_follow_the_last_sound(ipa: str, ending: str) -> None:
    assert possessive(ipa) == ending
