"""What is about to happen, and what settles it."""

from __future__ import annotations

from typing import Any

import pytest

from commentary_llm.cue.buildup import BuildUp, BuildUpKind, build_up_of, outcome_of, shootout_decided
from commentary_llm.match import EventType, MatchEvent, MatchInfo, MatchState, ShotOutcome, Situation
from commentary_llm.match.match import Match


def event(event_id: str, kind: EventType, elapsed_s: float = 600.0, **fields: Any) -> MatchEvent:
    return MatchEvent(**{"event_id": event_id, "type": kind, "period": 1, "elapsed_s": elapsed_s, **fields})


def begun(info: MatchInfo, *events: MatchEvent) -> tuple[BuildUp | None, MatchState]:
    match = Match(info)
    for each in events:
        match.accept(each)
    return build_up_of(events[-1], match.state), match.state


PENALTY = event("p", EventType.PENALTY_AWARDED, team="h")


def test_a_penalty_may_go_in_or_not(small_match: MatchInfo) -> None:
    found, state = begun(small_match, PENALTY)
    assert found is not None
    assert (found.kind, found.side) == (BuildUpKind.PENALTY, "h")
    assert [outcome.name for outcome in found.outcomes] == ["goal", "saved", "off_target"]
    goal = found.outcomes[0].cue
    assert (goal.event.type, goal.event.situation, goal.event.player) == (EventType.GOAL, Situation.PENALTY, None)
    assert (goal.state.score.home, state.score.home) == (1, 0)  # of a copy: the match itself is untouched
    assert goal.reason == "penalty goal"


def test_what_settles_a_penalty(small_match: MatchInfo) -> None:
    found, state = begun(small_match, PENALTY)
    assert found is not None
    assert found.settled_by(event("g", EventType.GOAL, 660, team="h", player="h4"), state) == "goal"
    assert found.settled_by(event("g", EventType.GOAL, 660, player="h4"), state) == "goal"
    post = event("s", EventType.SHOT, 660, team="h", outcome=ShotOutcome.POST)
    assert found.settled_by(post, state) == "post"
    assert found.settled_by(event("g", EventType.GOAL, 660, team="a", player="a9"), state) is None
    assert found.settled_by(event("c", EventType.CORNER, 660, team="h"), state) is None
    assert found.settled_by(event("g", EventType.GOAL, 1200, team="h", player="h4"), state) is None
    assert found.settled_by(event("g", EventType.GOAL, 5, period=2, team="h", player="h4"), state) is None


@pytest.mark.parametrize("kind", [EventType.PERIOD_END, EventType.OWN_GOAL])
def test_what_ends_a_build_up(kind: EventType, small_match: MatchInfo) -> None:
    found, _ = begun(small_match, PENALTY)
    assert found is not None
    assert found.over_at(event("e", kind, 610))
    assert not found.over_at(event("c", EventType.CORNER, 610, team="a"))
    assert found.over_at(event("c", EventType.CORNER, 1100, team="a"))


def test_a_free_kick_counts_only_near_the_goal(small_match: MatchInfo) -> None:
    near, _ = begun(small_match, event("f", EventType.FREE_KICK, team="h", player="h9", x=0.8, y=0.5))
    far, _ = begun(small_match, event("f", EventType.FREE_KICK, team="h", player="h9", x=0.3, y=0.5))
    assert far is None
    assert near is not None
    assert near.kind is BuildUpKind.FREE_KICK
    assert {outcome.cue.event.player for outcome in near.outcomes} == {"h9"}


def test_a_shot_counts_only_before_its_outcome(small_match: MatchInfo) -> None:
    open_shot, _ = begun(small_match, event("s", EventType.SHOT, team="h", player="h9"))
    told, _ = begun(small_match, event("s", EventType.SHOT, team="h", player="h9", outcome=ShotOutcome.SAVED))
    assert told is None
    assert open_shot is not None
    assert open_shot.kind is BuildUpKind.SHOT
    assert outcome_of(event("s", EventType.SHOT, team="h")) is None


def test_what_cannot_happen_is_no_outcome(small_match: MatchInfo) -> None:
    over = event("e", EventType.MATCH_END, 590)
    found, _ = begun(small_match, over, event("s", EventType.SHOT, 600, team="h", player="h9"))
    assert found is None or "goal" not in [outcome.name for outcome in found.outcomes]


def kicks(results: str) -> list[MatchEvent]:
    """ "1" scored, "0" saved; home begins."""
    made = [event("start", EventType.PERIOD_START, 0, period=5)]
    for number, result in enumerate(results):
        side = "ha"[number % 2]
        fields: dict[str, Any] = {"period": 5, "team": side, "player": f"{side}{2 + number // 2}"}
        if result == "0":
            fields["outcome"] = ShotOutcome.SAVED
        kind = EventType.GOAL if result == "1" else EventType.SHOT
        made.append(event(f"k{number}", kind, 30.0 * (number + 1), **fields))
    return made


def test_the_next_kick_is_the_other_sides(small_match: MatchInfo) -> None:
    found, _ = begun(small_match, *kicks("1"))
    assert found is not None
    assert (found.kind, found.side) == (BuildUpKind.KICK, "a")
    assert found.outcomes[0].cue.state.shootout == found.outcomes[0].cue.state.shootout.model_copy(
        update={"home": 1, "away": 1}
    )
    first, _ = begun(small_match, *kicks(""))
    assert first is None  # who begins is not told


@pytest.mark.parametrize(
    ("results", "decided"),
    [
        ("1", False),
        ("10101", False),  # 3-0 after five: two kicks left for the other side cannot level
        ("101010", True),
        ("1111111110", True),
        ("1111111111", False),
        ("11111111111", False),
        ("111111111110", True),
        ("0101010100", True),
    ],
)
def test_when_a_shootout_is_decided(results: str, decided: bool, small_match: MatchInfo) -> None:
    match = Match(small_match)
    for each in kicks(results):
        match.accept(each)
    assert shootout_decided(match.state) is decided
    assert (build_up_of(each, match.state) is None) is decided
