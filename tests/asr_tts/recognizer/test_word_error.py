from __future__ import annotations

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_tts.recognizer.stitch import stitch
from asr_tts.recognizer.word_error import normalise_words, word_error_rate, word_errors

WORDS = st.lists(st.sampled_from(["goal", "for", "france", "messi", "saves", "it", "now"]), max_size=12)


@given(said=WORDS.filter(bool), heard=WORDS)
def test_equals_jiwer(said: list[str], heard: list[str]) -> None:
    found = jiwer.process_words(" ".join(said), " ".join(heard))
    errors = found.substitutions + found.deletions + found.insertions
    assert word_errors(" ".join(said), " ".join(heard)) == (errors, len(said))


def fewest_edits(said: list[str], heard: list[str]) -> int:
    """Levenshtein's distance as it is defined."""
    row = list(range(len(heard) + 1))
    for count, word in enumerate(said, start=1):
        before, row = row, [count]
        for column, other in enumerate(heard, start=1):
            row.append(min(before[column - 1] + (word != other), before[column] + 1, row[-1] + 1))
    return row[-1]


@given(said=WORDS, heard=WORDS)
def test_equals_the_definition(said: list[str], heard: list[str]) -> None:
    assert word_errors(" ".join(said), " ".join(heard)) == (fewest_edits(said, heard), len(said))


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("Goal in the 80th minute!", "goal in the eightieth minute"),
        ("Mbappé's late goal", "mbappes late goal"),
        ("It is 3-2", "it is three two"),
        ("twenty-five yards", "25 yards"),
        ("88,966 spectators", "88966 spectators"),
    ],
)
def test_spelling_does_not_count(said: str, heard: str) -> None:
    assert word_error_rate(said, heard) == 0.0


def test_rate_of_empty_texts() -> None:
    assert word_error_rate("", "") == 0.0
    assert word_error_rate("goal for France", "") == 1.0
    assert word_error_rate("", "thank you") == 2.0
    assert normalise_words("…") == []


@pytest.mark.parametrize(
    ("older", "newer", "joined"),
    [
        (
            "The referee shows a yellow card for a late tack",
            "card for a late tackle near the halfway line.",
            "The referee shows a yellow card for a late tackle near the halfway line.",
        ),
        ("Goal for Argentina!", "Argentina, scored by Messi.", "Goal for Argentina, scored by Messi."),
        ("Goal for the", "the keeper saves", "Goal for the the keeper saves"),
        ("", "Goal!", "Goal!"),
        ("Goal!", "", "Goal!"),
    ],
)
def test_stitch(older: str, newer: str, joined: str) -> None:
    assert stitch(older, newer) == joined
