"""Choosing among true lines, and the history that the choice looks at."""

from __future__ import annotations

import pytest
from english import history
from hypothesis import given
from hypothesis import strategies as st

from commentary_llm.cue.choice import UNSAYABLE, ChoiceWeights, Draft, Room, repeats_opener, score
from commentary_llm.cue.history import REPEAT_WINDOW_S, WHOLE_MATCH_S, LineHistory
from commentary_llm.language.en.text_rules import ENGLISH_RULES

ROOM = Room(words=12)


def worth(text: str, history: LineHistory, room: Room = ROOM, nats: float = -0.3, **weights: float) -> float:
    words = len(text.split())
    return score(Draft(text, nats * words, words), room, history, 5000.0, ChoiceWeights(**weights))


def history_of(*lines: str) -> LineHistory:
    said = history(WHOLE_MATCH_S)
    for number, line in enumerate(lines):
        said.add(line, 10.0 * number)
    return said


def test_the_likelier_of_two_new_lines_wins() -> None:
    empty = history()
    assert worth("Messi drives at the defence.", empty, nats=-0.2) > worth(
        "Messi drives at the defence.", empty, nats=-2
    )


def test_the_newer_of_two_likely_lines_wins() -> None:
    said = history_of("Messi finds the net again today.")
    assert worth("Nobody can stop that little man.", said) > worth("Messi finds the net from afar.", said)


def test_what_was_said_before_is_unsayable_for_the_whole_match() -> None:
    said = history_of("Messi scores!")
    assert worth("MESSI scores.", said) == UNSAYABLE
    assert worth("Messi shoots.", said) > UNSAYABLE


def test_what_follows_an_opener_must_not_be_said_twice_either() -> None:
    said = history(WHOLE_MATCH_S)
    said.add("Goal! Messi! From the spot.", 10.0, opener="Goal! Messi!")
    assert worth("From the spot.", said, Room("Yes! Mbappé!")) == UNSAYABLE
    # The opener itself comes back on purpose.
    assert worth("Cool as you like.", said, Room("Goal! Messi!")) > UNSAYABLE
    assert not said.said("Goal! Messi!", 20.0)


@pytest.mark.parametrize(
    ("text", "opener", "again"),
    [
        ("Messi from the spot!", "Goal! Messi!", True),
        ("A cool finish from Messi!", "Goal! Messi!", True),
        ("Argentina's goal!", "Goal! Messi!", True),
        ("He makes no mistake from the spot.", "Goal! Messi!", False),
        ("It is in off the post.", "It's in!", False),
        ("Messi scores.", "", False),
    ],
)
def test_the_openers_words_do_not_come_again(text: str, opener: str, again: bool) -> None:
    assert repeats_opener(text, opener, ENGLISH_RULES) is again
    assert (worth(text, history(), Room(opener)) == UNSAYABLE) is again


def test_a_line_too_long_for_the_time_loses() -> None:
    text = "France have men over on the far side and Mbappé is free"
    assert worth(text, history(), Room(words=12)) > worth(text, history(), Room(words=7))
    assert worth(text, history(), Room(words=7)) > worth(text, history(), Room(words=1)) - 1e-9


def test_a_line_that_tells_something_wins() -> None:
    assert worth("Hart curls one over the wall.", history()) > worth("And it is there, and so it is.", history())


@given(st.text("abc ", max_size=30), st.floats(-50, 0), st.integers(1, 40))
def test_scores_are_bounded(text: str, logprob: float, tokens: int) -> None:
    weights = ChoiceWeights()
    value = score(Draft(text, logprob, tokens), ROOM, history(), 0.0, weights)
    assert value <= weights.novelty + weights.fit + weights.content + 1e-9
    assert value >= weights.likelihood * logprob / tokens


def test_new_share_of_known_words() -> None:
    said = history_of("Messi finds the net.")
    assert said.new_share("Messi finds Di María.") == pytest.approx(2 / 3)  # finds-di, di-maria
    assert said.new_share("Messi finds the net") == 0.0
    assert said.new_share("Goal!") == 1.0
    # The same pair twice within one line is new once.
    assert history().new_share("on and on and on") == pytest.approx(2 / 4)


def test_the_window_of_a_history() -> None:
    narrow, whole = history(REPEAT_WINDOW_S), history(WHOLE_MATCH_S)
    for said in (narrow, whole):
        said.add("Messi finds the net.", 0.0)
    assert not narrow.said("Messi finds the net.", 901.0)
    assert whole.said("Messi finds the net.", 7200.0)
    assert whole.last(3) == ["Messi finds the net."]
