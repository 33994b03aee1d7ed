"""Candidates as they stream in, judged by the real gate."""

from __future__ import annotations

import pytest
from english import AnyGate, history
from hypothesis import given
from hypothesis import strategies as st

from commentary_llm.cue.choice import Room
from commentary_llm.cue.cue import Cue, Urgency
from commentary_llm.cue.facts import facts_of
from commentary_llm.generation import FinishReason, TokenChunk
from commentary_llm.match import EventType, MatchEvent, MatchInfo
from commentary_llm.match.match import Match
from commentary_llm.session.candidates import Candidate, best_of


@pytest.fixture(scope="module")
def cue(small_match: MatchInfo) -> Cue:
    event = MatchEvent(event_id="g", type=EventType.GOAL, period=1, elapsed_s=600, team="h", player="h4")
    state = Match(small_match).accept(event).state_after
    return Cue(facts_of(event, state), Urgency.URGENT, "goal", 20.0, 24, False, 0.8)


def candidate(cue: Cue, text: str, room: Room | None = None, *, nats: float = -0.1, number: int = 1) -> Candidate:
    made = Candidate(number, cue, room or Room(), AnyGate(), history())
    words = text.split(" ")
    for index, word in enumerate(words):
        last = index == len(words) - 1
        made.push(TokenChunk(0, word if last else word + " ", nats, 1, FinishReason.STOP if last else None))
    return made


def test_a_true_line_comes_out_sentence_by_sentence(cue: Cue) -> None:
    made = candidate(cue, "Emil Hart scores for Northport! Northport lead one-nil.")
    assert made.whole
    assert made.take() == ["Emil Hart scores for Northport!", "Northport lead one-nil."]
    assert made.take() == []


def test_what_was_taken_does_not_come_again(cue: Cue) -> None:
    made = Candidate(1, cue, Room(), AnyGate(), history())
    made.push(TokenChunk(0, "Emil Hart scores for Northport! ", -1.0, 8))
    assert (made.open, made.speakable) == (True, True)
    assert made.take() == ["Emil Hart scores for Northport!"]
    made.push(TokenChunk(0, "Northport lead one-nil.", -1.0, 6, FinishReason.STOP))
    assert made.take() == ["Northport lead one-nil."]


def test_it_ends_before_its_first_false_clause_and_on_a_full_stop(cue: Cue) -> None:
    made = Candidate(1, cue, Room(), AnyGate(), history())
    refused = made.push(TokenChunk(0, "Emil Hart scores for Northport, and it is four-nil! ", -1.0, 12))
    assert [refusal.cause for refusal in refused] == ["score"]
    assert made.whole
    assert made.take() == ["Emil Hart scores for Northport."]


def test_a_sentence_said_before_is_left_out(cue: Cue) -> None:
    said = history()
    said.add("Northport lead one-nil.", 500.0)
    made = Candidate(1, cue, Room(), AnyGate(), said)
    refused = made.push(TokenChunk(0, "Northport lead one-nil! Emil Hart scores for Northport! ", -1.0, 12))
    assert [refusal.cause for refusal in refused] == ["repetition"]
    assert made.take() == ["Emil Hart scores for Northport!"]
    # Half a sentence cannot be left out.
    part = Candidate(1, cue, Room(), AnyGate(), said)
    said.add("Emil Hart scores for Northport, it is one-nil.", 500.0)
    part.push(TokenChunk(0, "Emil Hart scores for Northport, and Northport lead one-nil. ", -1.0, 12))
    assert not part.open


def test_too_little_is_not_worth_saying_but_after_an_opener(cue: Cue) -> None:
    assert not candidate(cue, "He scores!").speakable
    assert candidate(cue, "He scores!", Room("Goal! Hart!")).speakable


def test_the_room_for_words_ends_it(cue: Cue) -> None:
    made = candidate(cue, "Emil Hart scores for Northport! Northport lead one-nil.", Room(words=6))
    assert made.take() == ["Emil Hart scores for Northport!"]


def test_the_best_true_one_is_found(cue: Cue) -> None:
    unlikely = candidate(cue, "Emil Hart finds the net for Northport!", nats=-3.0)
    likely = candidate(cue, "Emil Hart scores for Northport!", nats=-0.1)
    false = candidate(cue, "Max Ferrow scores for Northport!", nats=0.0)
    assert best_of([false, unlikely, likely]) is likely
    assert best_of([false]) is None
    assert best_of([]) is None


def test_with_little_time_the_short_one_is_best(cue: Cue) -> None:
    short = candidate(cue, "Hart scores for Northport!", nats=-1.0)
    long = candidate(cue, "Emil Hart scores for Northport! Northport lead one-nil.", nats=0.0)
    assert best_of([long, short]) is long
    assert best_of([long, short], 4) is short


def test_an_opener_is_not_said_twice(cue: Cue) -> None:
    again = candidate(cue, "Hart scores for Northport!", Room("Goal! Hart!"))
    assert again.speakable
    assert best_of([again]) is None


@given(st.lists(st.text("aHrt ,.!", max_size=8), max_size=12))
def test_nothing_refused_is_ever_handed_on(cue: Cue, pieces: list[str]) -> None:
    made, refused = Candidate(1, cue, Room(), AnyGate(), history()), []
    for piece in pieces:
        refused += made.push(TokenChunk(0, piece, -0.1, 1))
    handed = " ".join(made.take())
    for refusal in refused:
        assert refusal.text not in handed or not handed
    assert not refused or not made.open
