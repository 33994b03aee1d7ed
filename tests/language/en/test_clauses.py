"""The clause splitter: where it cuts, where it must not, and that chunking never matters."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commentary_llm.language.en.clauses import EnglishSplitter


def split(*pieces: str) -> list[str]:
    splitter = EnglishSplitter()
    clauses = [clause for piece in pieces for clause in splitter.push(piece)]
    return clauses + splitter.flush()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Goal! Messi scores.", ["Goal!", "Messi scores."]),
        ("90+4 on the clock. It is 3-2.", ["90+4 on the clock.", "It is 3-2."]),
        ("St. Louis attack. E. Martínez saves.", ["St. Louis attack.", "E. Martínez saves."]),
        ("The No. 10 shoots. No. 7 waits.", ["The No. 10 shoots.", "No. 7 waits."]),
        ("Oh no. Wide.", ["Oh no.", "Wide."]),
        ("Messi waits... and scores!", ["Messi waits...", "and scores!"]),
        ("Messi waits… and scores!", ["Messi waits…", "and scores!"]),
        ('"What a save!" Lloris stands tall.', ['"What a save!"', "Lloris stands tall."]),
        ("Messi, Di María, it is on.", ["Messi, Di María, it is on."]),
        (
            "Messi picks it up in midfield, and Argentina break.",
            ["Messi picks it up in midfield,", "and Argentina break."],
        ),
        ("Level at two — what a final!", ["Level at two —", "what a final!"]),
        ("Two goals; one winner: Argentina.", ["Two goals;", "one winner:", "Argentina."]),
        ("4-4-2 it is, on 1.5 touches.", ["4-4-2 it is, on 1.5 touches."]),
        ("GOAL!!! Unbelievable?!", ["GOAL!!!", "Unbelievable?!"]),
        ("", []),
        ("  \n ", []),
    ],
)
def test_cuts(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_clause_is_out_as_soon_as_it_is_complete() -> None:
    splitter = EnglishSplitter()
    assert splitter.push("Goal!") == []
    assert splitter.push(" Messi") == ["Goal!"]
    assert splitter.flush() == ["Messi"]
    assert splitter.flush() == []


_ALPHABET = st.text(alphabet='abI E.MéSt,;:!?…—- 0+3’"\n', max_size=120)


@given(_ALPHABET, st.lists(st.integers(0, 120), max_size=12))
def test_chunking_never_matters_and_nothing_is_lost(text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    clauses = split(*(text[a:b] for a, b in itertools.pairwise(edges)))
    assert clauses == split(text)
    assert " ".join(clauses).split() == text.split()
    assert all(clause == clause.strip() and clause for clause in clauses)


def test_text_without_marks_is_cut_in_the_end() -> None:
    splitter = EnglishSplitter(max_words=10)
    assert splitter.push("word " * 11) == [" ".join(["word"] * 10)]
