from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commentary_llm.ground.errors import InputError
from commentary_llm.match import Arrival, EventType, Match, MatchEvent, MatchInfo, MatchState, Score

LIMITED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def goal(event_id: str, elapsed_s: float, team: str = "h", **fields: Any) -> MatchEvent:
    return MatchEvent(event_id=event_id, type=EventType.GOAL, period=1, elapsed_s=elapsed_s, team=team, **fields)


def test_counts_new_duplicate_and_late(info: MatchInfo) -> None:
    match = Match(info)
    assert match.accept(goal("2", 100)).kind is Arrival.NEW
    assert match.accept(goal("2", 100)).kind is Arrival.DUPLICATE
    late = match.accept(goal("1", 50, "a"))
    assert late.kind is Arrival.LATE
    assert late.state_after.score == Score(home=1, away=1)
    assert [one.event_id for one in match.state.goals] == ["1", "2"]
    assert (match.accepted, match.duplicates, match.late, match.rejected) == (2, 1, 1, 0)


def test_refuses_events_of_another_match(info: MatchInfo) -> None:
    match = Match(info)
    with pytest.raises(InputError, match="event 'x' is of match 'm2', but this is match 'm1'"):
        match.accept(goal("x", 1, match_id="m2"))
    match.accept(goal("y", 1, match_id="m1"))
    assert (match.accepted, match.rejected) == (1, 1)
    assert not match.held


def test_a_goal_that_came_before_the_one_it_builds_on_is_taken_in_later(info: MatchInfo) -> None:
    match = Match(info)
    second = goal("2", 100, score={"home": 2, "away": 0})
    with pytest.raises(InputError, match="claims the score 2-0"):
        match.accept(second)
    assert match.state.score == Score(home=0, away=0)
    after = match.accept(goal("1", 50, score={"home": 1, "away": 0}))
    assert after.recovered == (second,)
    assert after.state_after.score == Score(home=2, away=0)
    assert not match.held


def test_a_late_event_that_contradicts_later_ones_is_refused_whole(info: MatchInfo) -> None:
    match = Match(info)
    match.accept(goal("2", 100, score={"home": 1, "away": 0}))
    with pytest.raises(InputError, match="event '1' contradicts what came after it: event '2' claims the score 1-0"):
        match.accept(goal("1", 50))
    assert match.state.score == Score(home=1, away=0)


@st.composite
def streams(draw: st.DrawFn, team_size: int = 18) -> list[MatchEvent]:
    """Consistent random matches with distinct event times, scores claimed here and there."""
    times = sorted(draw(st.sets(st.integers(0, 2 * 5400 - 1), min_size=1, max_size=25)))
    on = {side: [f"{side}{n}" for n in range(1, 12)] for side in "ha"}
    bench = {side: [f"{side}{n}" for n in range(12, team_size + 1)] for side in "ha"}
    yellow: set[str] = set()
    goals: list[tuple[str, str, int]] = []
    score = {"h": 0, "a": 0}
    events = []
    for number, time in enumerate(times):
        side = draw(st.sampled_from("ha"))
        other = "a" if side == "h" else "h"
        player = draw(st.sampled_from(on[side]))
        kind = draw(st.sampled_from(["goal", "own_goal", "card", "substitution", "var", "corner", "shot"]))
        fields: dict[str, Any] = {"team": side, "player": player}
        if kind in ("goal", "own_goal"):
            credited = side if kind == "goal" else other
            score[credited] += 1
            goals.append((f"e{number}", credited, time))
        elif kind == "card":
            if player in yellow:
                kind = "foul"
            else:
                yellow.add(player)
                fields["card"] = "yellow"
        elif kind == "substitution":
            if not bench[side]:
                kind = "foul"
            else:
                fields["player_on"] = bench[side].pop()
                on[side].remove(player)
                on[side].append(fields["player_on"])
        elif kind == "var":
            kind = "corner"
            if goals:
                kind, (cancelled, credited, _) = "var_decision", goals.pop()
                score[credited] -= 1
                fields = {"decision": "goal_disallowed", "cancels": cancelled}
        if draw(st.booleans()):
            fields["score"] = {"home": score["h"], "away": score["a"]}
        period = 1 if time < 5400 else 2
        events.append(
            MatchEvent(event_id=f"e{number}", type=EventType(kind), period=period, elapsed_s=time % 5400, **fields)
        )
    return events


@LIMITED
@given(events=streams())
def test_fold_invariants(info: MatchInfo, events: list[MatchEvent]) -> None:
    state = MatchState.initial(info)
    for one in events:
        state = state.apply(one)
        assert state.score.home + state.score.away == len(state.goals)
        assert state.score.home == sum(g.team == "h" for g in state.goals)
        assert all(len(players) == 11 for players in state.on_pitch.values())
        assert state.time is not None
    scored = sum(one.type in (EventType.GOAL, EventType.OWN_GOAL) for one in events)
    assert len(state.goals) + len(state.disallowed) == scored


@LIMITED
@given(events=streams(), data=st.data())
def test_any_arrival_order_ends_in_the_same_state(
    info: MatchInfo, events: list[MatchEvent], data: st.DataObject
) -> None:
    ordered = Match(info)
    for one in events:
        ordered.accept(one)
    shuffled = Match(info)
    for one in data.draw(st.permutations(events)):
        try:
            shuffled.accept(one)
        except InputError:
            assert any(held is one for held, _ in shuffled.held)
    assert shuffled.events == ordered.events
    assert shuffled.state == ordered.state


@LIMITED
@given(events=streams(), data=st.data())
def test_duplicates_change_nothing(info: MatchInfo, events: list[MatchEvent], data: st.DataObject) -> None:
    match = Match(info)
    for one in events:
        match.accept(one)
    state = match.state
    repeated = data.draw(st.lists(st.sampled_from(events), max_size=10))
    for one in repeated:
        assert match.accept(one).kind is Arrival.DUPLICATE
    assert match.state is state
    assert match.duplicates == len(repeated)
