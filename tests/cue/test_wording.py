"""Counting how varied words are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commentary_llm.cue import wording
from commentary_llm.cue.wording import without_opener
from commentary_llm.language.en.text_rules import ENGLISH_RULES


def bigrams(text: str) -> list[wording.Bigram]:
    return wording.bigrams(ENGLISH_RULES.words(text))


def distinct_2(texts: list[str]) -> float:
    return wording.distinct_2(map(ENGLISH_RULES.words, texts))


def exact_repeats(texts: list[str]) -> int:
    return wording.exact_repeats(map(ENGLISH_RULES.words, texts))


LINES = st.lists(st.text("ab ,.!", max_size=20))


def test_bigrams_know_neither_case_nor_marks() -> None:
    assert bigrams("Mbappé scores, Mbappé!") == [("mbappe", "scores"), ("scores", "mbappe")]
    assert bigrams("Goal!") == []


def test_distinct_2_of_known_texts() -> None:
    # the corner | corner is, corner is | is taken, the corner: 3 different of 5
    assert distinct_2(["The corner is.", "Corner is taken!", "The corner."]) == pytest.approx(3 / 5)
    assert distinct_2(["one two", "three four"]) == 1.0
    assert distinct_2(["Goal!", ""]) == 0.0


@given(LINES)
def test_distinct_2_is_a_share_and_order_does_not_matter(lines: list[str]) -> None:
    assert 0.0 <= distinct_2(lines) <= 1.0
    assert distinct_2(lines) == distinct_2(lines[::-1])


@given(LINES)
def test_saying_everything_twice_repeats_it_all(lines: list[str]) -> None:
    spoken = [line for line in lines if line.strip(" ,.!")]
    assert exact_repeats(lines * 2) - exact_repeats(lines) == len(spoken)
    assert distinct_2(lines * 2) == pytest.approx(distinct_2(lines) / 2)


def test_repeats_are_told_by_words() -> None:
    assert exact_repeats(["Corner, France.", "corner France!", "Corner to France.", "", ""]) == 1


def test_what_follows_the_opener() -> None:
    assert without_opener("Goal! Messi! He makes no mistake.", "Goal! Messi!") == "He makes no mistake."
    assert without_opener("Goal! Messi!", "Goal! Messi!") == ""
    assert without_opener("Goal —", "Goal! Messi!") == ""
    assert without_opener("Messi scores.", "") == "Messi scores."
    assert without_opener("Messi scores.", "Saved!") == "Messi scores."
