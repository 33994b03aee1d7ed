"""Openers: true whatever the state, ready ahead of the match, and varied."""

from __future__ import annotations

import contextlib
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from english import AnyGate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from script_helpers import cue_for, cues_of

from commentary_llm.cue.cue import Cue
from commentary_llm.cue.excitement import Mood, mood_of
from commentary_llm.cue.wording import clauses_of
from commentary_llm.ground.errors import InputError
from commentary_llm.language.contract import OpenerSentence
from commentary_llm.language.en.names import name_book
from commentary_llm.language.en.openers import OpenerBook
from commentary_llm.language.en.text_rules import ENGLISH_RULES
from commentary_llm.match import (
    BodyPart,
    CardType,
    EventType,
    Match,
    MatchEvent,
    MatchInfo,
    Player,
    ShotOutcome,
    Situation,
    VarDecision,
)
from commentary_llm.match.feeds import builtin_match_path, load_provider, read_jsonl

GATE = AnyGate()
FINAL = read_jsonl(builtin_match_path())


def check_all(book: OpenerBook, cue: Cue, ready: frozenset[OpenerSentence]) -> None:
    """Every line that may open `cue` passes the gate and is made of sentences that are ready."""
    lines = [text for _, text in book.fitting(cue)]
    assert lines, (cue.event, cue.excitement)
    for line in lines:
        verdict = GATE.check(line, cue)
        assert verdict.ok, (line, verdict, cue.event)
        sentences = clauses_of(line, ENGLISH_RULES)
        assert " ".join(sentences) == line
        assert {OpenerSentence(text, mood_of(cue.excitement)) for text in sentences} <= ready, line


def test_every_opener_of_the_built_in_match_is_true_and_ready() -> None:
    book = OpenerBook(name_book(FINAL.info))
    ready = frozenset(book.inventory())
    for cue in cues_of(FINAL):
        if cue.reason != "none":
            check_all(book, cue, ready)


def test_every_opener_of_a_provider_match_is_true_and_ready(shared_data: Path) -> None:
    folder = shared_data / "statsbomb"
    recording = load_provider(
        "statsbomb", {"events": folder / "15946_event.json", "lineups": folder / "15946_lineup.json"}
    )
    book = OpenerBook(name_book(recording.info))
    ready = frozenset(book.inventory())
    cues = [cue for cue in cues_of(recording) if cue.reason != "none"]
    for cue in [cue for i, cue in enumerate(cues) if cue.urgency > 0 or i % 20 == 0]:
        check_all(book, cue, ready)


@pytest.fixture(scope="module")
def odd_match(small_match: MatchInfo) -> MatchInfo:
    """Two men of one surname in a side, one in each side, marked goalkeepers, a club's long name."""

    def renamed(player: Player) -> Player:
        names = {"h4": "Emil Hart", "h9": "Jon Hart", "a9": "Ivo Silk"}
        keeper = {"position": "goalkeeper"} if player.id in ("h1", "a1", "h12") else {}
        return player.model_copy(update={"name": names.get(player.id, player.name), **keeper})

    home, away = (
        team.model_copy(update={"players": tuple(map(renamed, team.players))})
        for team in (small_match.home, small_match.away)
    )
    return small_match.model_copy(
        update={"home": home, "away": away.model_copy(update={"name": "Sport Club Eastvale FC"})}
    )


people = st.sampled_from([f"{side}{n}" for side in "ha" for n in (1, 4, 5, 7, 9, 12, 13)])
anything = st.fixed_dictionaries(
    {"type": st.sampled_from(EventType), "wait_s": st.sampled_from([1, 10, 60, 600]), "side": st.sampled_from("ha")},
    optional={
        "team": st.booleans(),
        **dict.fromkeys(("player", "player_on", "assist", "goalkeeper", "opponent", "receiver"), people),
        "outcome": st.sampled_from(ShotOutcome),
        "situation": st.sampled_from(Situation),
        "body_part": st.sampled_from(BodyPart),
        "card": st.sampled_from(CardType),
        "decision": st.sampled_from(VarDecision),
        "minutes_added": st.integers(0, 14),
        "completed": st.booleans(),
        "formation": st.just("4-3-3"),
        "x": st.floats(0, 1),
        "y": st.floats(0, 1),
        "note": st.sampled_from(["just wide", "over the bar"]),
    },
)
_NEEDED = {
    EventType.CARD: "card",
    EventType.SUBSTITUTION: "player_on",
    EventType.VAR_DECISION: "decision",
    EventType.STOPPAGE_TIME: "minutes_added",
    EventType.FORMATION: "formation",
}


def random_event(number: int, period: int, elapsed_s: float, fields: dict[str, Any]) -> MatchEvent | None:
    """An event of the right side's people as far as the fields allow; None where they contradict each other."""
    values = {name: value for name, value in fields.items() if name not in ("wait_s", "side", "team")}
    side = fields["side"]
    other = "a" if side == "h" else "h"
    for role, of in (("player", side), ("player_on", side), ("assist", side), ("receiver", side), ("opponent", other)):
        if role in values:
            values[role] = of + values[role][1:]
    if "goalkeeper" in values:
        values["goalkeeper"] = other + values["goalkeeper"][1:]
    if fields.get("team", True):
        values["team"] = side
    for kind, name in _NEEDED.items():
        if values["type"] is not kind and name not in ("formation", "minutes_added"):
            values.pop(name, None)
    with contextlib.suppress(ValidationError):
        return MatchEvent(event_id=f"e{number}", period=period, elapsed_s=elapsed_s, **values)
    return None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stream=st.lists(anything, min_size=1, max_size=25), periods=st.lists(st.integers(1, 5), min_size=25, max_size=25)
)
def test_openers_are_true_and_ready_in_any_match(
    odd_match: MatchInfo, stream: list[dict[str, Any]], periods: list[int]
) -> None:
    match, book = Match(odd_match), OpenerBook(name_book(odd_match))
    ready = frozenset(book.inventory())
    now_s = 0.0
    for number, (fields, period) in enumerate(zip(stream, sorted(periods), strict=False)):
        now_s += fields["wait_s"]
        event = random_event(number, period, now_s % 3000, fields)
        if event is None:
            continue
        with contextlib.suppress(InputError):
            cue = cue_for(event, match.accept(event).state_after)
            if cue.reason != "none":
                check_all(book, cue, ready)
                assert book.choose(cue)


def test_no_shape_comes_twice_running_and_words_vary() -> None:
    book = OpenerBook(name_book(FINAL.info))
    said = [book.choose(cue) for cue in cues_of(FINAL) if cue.urgency > 0]
    assert all(first != second for first, second in pairwise(said))
    assert max(Counter(said).values()) <= 2
    words = [pair for line in said for pair in pairwise(line.split())]
    assert len(set(words)) >= 0.8 * len(words)


def test_one_event_over_and_over_never_repeats_its_shape(final_cues: dict[str, Cue]) -> None:
    cue = final_cues["wcf-008"]
    book = OpenerBook(name_book(FINAL.info))
    said = [book.choose(cue) for _ in range(12)]
    assert all(first != second for first, second in pairwise(said))
    assert len(set(said)) >= 8


def test_shared_surnames_are_told_apart(odd_match: MatchInfo) -> None:
    texts = {entry.text for entry in OpenerBook(name_book(odd_match)).inventory()}
    assert {"Emil Hart!", "Jon Hart!"} <= texts
    assert "Hart!" not in texts
    assert "Corner to Eastvale." in texts


def test_inventory_is_small_ordered_and_without_doubles() -> None:
    inventory = OpenerBook(name_book(FINAL.info)).inventory()
    assert len(inventory) == len(set(inventory)) <= 1500
    place = {entry: i for i, entry in enumerate(inventory)}
    goal, messi = OpenerSentence("Goal!", Mood.HOT), OpenerSentence("Messi!", Mood.HOT)
    bench = OpenerSentence("Dybala!", Mood.HOT)
    assert place[goal] < place[messi] < place[bench]
