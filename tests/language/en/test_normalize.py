"""What is written, and what is said."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commentary_llm.language.en.speech.normalize import normalize

SPOKEN = {
    "It's 3-2!": "It's three two!",
    "0-0 at the break": "nil nil at the break",
    "1–0 to France": "one nil to France",
    "Goal, 90+4'": "Goal, ninety plus four",
    "45'+2'": "forty five plus two",
    "in the 23rd minute": "in the twenty third minute",
    "the 23' goal": "the twenty third minute goal",
    "after 1'": "after one minute",
    "a 4-4-2 against a 4-2-3-1": "a four four two against a four two three one",
    "20-25 yards out": "twenty to twenty five yards out",
    "4-2 on penalties": "four two on penalties",
    "No. 10": "number ten",
    "the #9": "the number nine",
    "a €100m bid": "a one hundred million euros bid",
    "£45.5m": "forty five point five million pounds",
    "$1": "one dollar",
    "VAR check for PSG": "vee ay are check for pea ess gee",
    "an xG of 0.85": "an ex gee of zero point eight five",
    "UEFA and FIFA": "you ayfa and Fifa",
    "AFC Bournemouth": "ay eff see Bournemouth",
    "K. De Bruyne": "kay De Bruyne",
    "J.J. Okocha": "jay jay Okocha",
    "Brighton & Hove Albion": "Brighton and Hove Albion",
    "the 2022 World Cup": "the twenty twenty two World Cup",
    "in 2005 and 1966": "in two thousand and five and nineteen sixty six",
    "2000 fans": "two thousand fans",
    "88,966 spectators": "eighty eight thousand nine hundred and sixty six spectators",
    "2021/22": "twenty twenty one twenty two",
    "2022-12-18": "December eighteenth twenty twenty two",
    "20:45": "twenty forty five",
    "60%": "sixty percent",
    "25m out": "twenty five metres out",
    "U21s": "under twenty one",
    "the 1990s": "the nineteen nineties",
    "Modrić, Müller & Szczęsny": "Modrich, Muller and Szczensny",
    "Koundé": "Kounday",
    "Партизан": "Partizan",
    "GOAL!!! MESSI!": "Goal! Messi!",
    "he's done it – again…": "he's done it, again.",
    "“What a goal!”": "What a goal!",
    "St. James' Park": "saint James Park",
    "日本": "",
    "...": "",
}


@pytest.mark.parametrize(("written", "spoken"), SPOKEN.items())
def test_spoken_form(written: str, spoken: str) -> None:
    assert normalize(written) == spoken


def test_known_names_keep_their_spelling() -> None:
    assert normalize("Mbappé's and Modrić", {"mbappe"}) == "Mbappe's and Modrich"


WRITTEN = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="0123456789-+'/.,:€%&#°x GA Noéćł", max_size=30),
    st.lists(st.sampled_from([*SPOKEN, "No.", "vs.", "3", "-", "'", "x", "G", "A.", "90+", "€"]), max_size=6).map(
        "".join
    ),
)


@settings(max_examples=300, deadline=None)
@given(WRITTEN)
def test_any_text_becomes_sayable_and_stays_so(text: str) -> None:
    spoken = normalize(text)
    assert re.fullmatch(r"(?:[A-Za-z']+[.,!?;:]? ?)*", spoken), spoken
    assert not re.search(r"(?<![A-Za-z])'|'(?![A-Za-z])", spoken)
    assert normalize(spoken) == spoken


@given(st.integers(0, 10**12))
def test_every_number_has_words(number: int) -> None:
    assert normalize(f"about {number} of them").startswith("about ")
    assert len(normalize(f"about {number} of them").split()) >= 4
