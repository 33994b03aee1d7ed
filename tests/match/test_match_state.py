from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from commentary_llm.ground.errors import InputError
from commentary_llm.match import EventType, GoalEffect, MatchEvent, MatchInfo, MatchState, Phase, Player, Score, Team


def event(event_id: str, kind: str, minute: float = 10, period: int = 1, **fields: Any) -> MatchEvent:
    return MatchEvent(event_id=event_id, type=EventType(kind), period=period, elapsed_s=minute * 60, **fields)


def fold(info: MatchInfo, *events: MatchEvent) -> MatchState:
    state = MatchState.initial(info)
    for one in events:
        state = state.apply(one)
    return state


def test_starts_with_the_starters_on_the_pitch(info: MatchInfo) -> None:
    state = MatchState.initial(info)
    assert state.phase is Phase.PRE_MATCH
    assert state.score == Score(home=0, away=0)
    assert {len(players) for players in state.on_pitch.values()} == {11}
    assert state.shootout is None
    assert state.leader() is None


def test_goals_and_their_effects(info: MatchInfo) -> None:
    state = fold(
        info,
        event("1", "goal", 1, team="a", player="a9"),
        event("2", "goal", 2, team="a", player="a9"),
        event("3", "own_goal", 3, team="a", player="a2"),
        event("4", "goal", 4, team="h", player="h9", assist="h10"),
        event("5", "goal", 5, team="h", player="h9"),
        event("6", "goal", 6, team="h", player="h9", score={"home": 4, "away": 2}),
    )
    assert state.score == Score(home=4, away=2)
    assert state.goals_by("h9") == 3
    assert state.goals_by("a2") == 0
    assert state.score_of("h") == 4
    assert state.leader() == "h"
    contexts = [state.goal_context(goal.event_id) for goal in state.goals]
    assert [c.effect for c in contexts if c] == [
        GoalEffect.GO_AHEAD,
        GoalEffect.EXTENDS,
        GoalEffect.REDUCES,
        GoalEffect.EQUALISER,
        GoalEffect.GO_AHEAD,
        GoalEffect.EXTENDS,
    ]
    assert contexts[0] is not None
    assert contexts[0].opener
    assert contexts[3] is not None
    assert contexts[3].deficit_overcome == 2
    last = state.goal_context()
    assert last is not None
    assert (last.player_goals, last.before, last.after) == (3, Score(home=3, away=2), Score(home=4, away=2))


@pytest.mark.parametrize(
    "cards",
    [
        ["yellow", "second_yellow"],
        ["yellow", "yellow"],
        ["yellow", "yellow", "red"],
        ["yellow", "second_yellow", "red"],
    ],
)
def test_second_yellow_however_the_feed_tells_it(info: MatchInfo, cards: list[str]) -> None:
    events = [event("c0", "card", 5, card=cards[0], player="h4")]
    events += [event(f"c{n}", "card", 50 + n / 10, card=card, player="h4") for n, card in enumerate(cards[1:], 1)]
    state = fold(info, *events)
    assert [booking.card.value for booking in state.cards] == ["yellow", "second_yellow"]
    assert state.yellow_cards("h4") == 2
    assert state.sent_off == {"h4"}
    assert len(state.on_pitch["h"]) == 10
    back = state.apply(event("v", "var_decision", 53, decision="card_rescinded", cancels=events[-1].event_id))
    assert not back.sent_off
    assert len(back.on_pitch["h"]) == 11
    assert back.yellow_cards("h4") == 1


def test_a_straight_red_after_a_yellow_stays_a_red(info: MatchInfo) -> None:
    state = fold(
        info, event("1", "card", 5, card="yellow", player="h4"), event("2", "card", 6, card="red", player="h4")
    )
    assert [booking.card.value for booking in state.cards] == ["yellow", "red"]


def test_var_takes_back_a_goal_by_name_or_by_recency(info: MatchInfo) -> None:
    scored = fold(info, event("1", "goal", 10, team="h", player="h9"), event("2", "goal", 14, team="h", player="h10"))
    named = scored.apply(event("v", "var_decision", 15, decision="goal_disallowed", cancels="1"))
    assert [goal.event_id for goal in named.goals] == ["2"]
    assert [goal.event_id for goal in named.disallowed] == ["1"]
    recent = scored.apply(event("v", "var_decision", 15, decision="goal_disallowed", team="h"))
    assert [goal.event_id for goal in recent.goals] == ["1"]
    too_late = scored.apply(event("v", "var_decision", 20, decision="goal_disallowed", team="h"))
    assert too_late.score == Score(home=2, away=0)
    other = scored.apply(event("v", "var_decision", 15, decision="goal_disallowed", team="a"))
    assert other.score == Score(home=2, away=0)
    kept = scored.apply(event("v", "var_decision", 15, decision="goal_stands", team="h"))
    assert kept.score == Score(home=2, away=0)


def test_var_cancels_a_penalty(info: MatchInfo) -> None:
    state = fold(info, event("p", "penalty_awarded", 10, team="h"))
    assert [penalty.event_id for penalty in state.penalties] == ["p"]
    assert not state.apply(event("v", "var_decision", 12, decision="penalty_cancelled", team="h")).penalties


def test_shootout_is_apart_from_the_score(info: MatchInfo) -> None:
    state = fold(
        info,
        event("1", "goal", 1, team="h", player="h9"),
        event("2", "goal", 2, team="a", player="a9"),
        event("s", "period_start", 0, 5),
        event("k1", "goal", 1, 5, team="h", player="h9", score={"home": 1, "away": 1}),
        event("k2", "shot", 2, 5, team="a", player="a9", outcome="saved"),
    )
    assert state.phase is Phase.SHOOTOUT
    assert state.score == Score(home=1, away=1)
    assert state.shootout == Score(home=1, away=0)
    assert [(kick.order, kick.scored) for kick in state.kicks] == [(1, True), (2, False)]
    assert state.goals_by("h9") == 1
    ended = state.apply(event("e", "match_end", 3, 5))
    assert ended.leader() is None
    assert ended.winner() == "h"
    retaken = state.apply(event("v", "var_decision", 2.5, 5, decision="goal_disallowed", cancels="k1"))
    assert retaken.shootout == Score(home=0, away=0)
    assert retaken.kicks[0].order == 1


def test_phases_stoppage_and_substitutions(info: MatchInfo) -> None:
    state = fold(info, event("1", "period_start", 0), event("2", "stoppage_time", 44, minutes_added=3))
    assert state.stoppage_minutes == {1: 3}
    assert state.phase is Phase.PLAYING
    state = state.apply(event("3", "period_end", 48))
    assert state.phase is Phase.BREAK
    state = state.apply(event("4", "substitution", 0, 2, team="h", player="h9", player_on="h15"))
    assert state.phase is Phase.PLAYING
    assert "h15" in state.on_pitch["h"]
    assert "h9" not in state.on_pitch["h"]
    assert state.substitutions[0].player_on == "h15"
    assert state.apply(event("5", "match_end", 50, 2)).phase is Phase.ENDED


def test_recent_keeps_the_last_of_interest(info: MatchInfo) -> None:
    events = [event(f"s{n}", "shot", n, team="h", player="h9", outcome="saved") for n in range(20)]
    events.append(event("pass", "pass", 21, team="h", player="h9"))
    state = fold(info, *events)
    assert [one.event_id for one in state.recent] == [f"s{n}" for n in range(8, 20)]
    assert state.last_event is events[-1]


IMPOSSIBLE = [
    ([], event("x", "goal", team="q"), "event 'x': unknown team 'q'; the sides are 'h' \\(Home\\), 'a' \\(Away\\)"),
    ([], event("x", "goal", team="h", player="zz"), "player 'zz' is not on the line-up of Home"),
    ([], event("x", "goal", team="h", player="a9"), "Away Player9 plays for Away, not for Home"),
    ([], event("x", "goal", team="h", player="h9", assist="a1"), "assist Away Player1 plays for Away"),
    ([], event("x", "goal"), "a goal needs a team"),
    ([], event("x", "own_goal", 1, 5, team="h", player="h2"), "a shoot-out has no own goals"),
    ([], event("x", "substitution", player="h15", player_on="h16"), "Home Player15 is not on the pitch"),
    ([], event("x", "substitution", player="h1", player_on="h2"), "Home Player2 is on the pitch already"),
    (
        [event("s", "substitution", 5, player="h9", player_on="h15")],
        event("x", "substitution", player="h9", player_on="h16"),
        "Home Player9 is not on the pitch and cannot be substituted",
    ),
    (
        [event("s", "substitution", 5, player="h9", player_on="h15")],
        event("x", "substitution", player="h15", player_on="h9"),
        "Home Player9 has been substituted off before and cannot come on",
    ),
    (
        [event("s", "substitution", 5, player="h9", player_on="h15")],
        event("x", "goal", team="h", player="h9"),
        "Home Player9 had been substituted and cannot have scored",
    ),
    (
        [event("r", "card", 5, card="red", player="h9")],
        event("x", "goal", team="h", player="h9"),
        "Home Player9 was sent off and cannot have scored",
    ),
    (
        [event("r", "card", 5, card="red", player="h9")],
        event("x", "card", card="yellow", player="h9"),
        "was already sent off in minute 6 \\(event 'r'\\)",
    ),
    ([event("e", "match_end", 5)], event("x", "goal", team="h"), "a goal after the match has ended"),
    (
        [],
        event("x", "var_decision", decision="goal_disallowed", cancels="nope"),
        "event 'x' cancels 'nope', which is no standing goal",
    ),
    (
        [event("p", "penalty_awarded", 5, team="h")],
        event("x", "var_decision", decision="goal_disallowed", cancels="p"),
        "decision 'goal_disallowed' cannot cancel 'p', a penalty",
    ),
    (
        [event("g", "goal", 5, team="h")],
        event("x", "corner", team="h", score={"home": 0, "away": 0}),
        "event 'x' claims the score 0-0, but the goals that stand make it 1-0: a score goes back only by",
    ),
    (
        [event("g", "goal", 5, team="h")],
        event("x", "goal", team="h", score={"home": 3, "away": 0}),
        "event 'x' claims the score 3-0, but the goals that stand make it 2-0: report the missing goal",
    ),
]


@pytest.mark.parametrize(("before", "wrong", "message"), IMPOSSIBLE)
def test_refuses_the_impossible(info: MatchInfo, before: list[MatchEvent], wrong: MatchEvent, message: str) -> None:
    state = fold(info, *before)
    with pytest.raises(InputError, match=message):
        state.apply(wrong)


def test_a_bench_player_may_act_when_his_substitution_was_lost(info: MatchInfo) -> None:
    assert fold(info, event("1", "goal", team="h", player="h15")).score == Score(home=1, away=0)


def test_missing_lineup_says_what_to_add(info: MatchInfo) -> None:
    with pytest.raises(InputError, match="home team 'X' has no line-up; add its players"):
        MatchState.initial(MatchInfo(id="m", home=Team(id="x", name="X"), away=info.away))
    few = Team(id="x", name="X", players=(Player(id="1", name="One"),))
    with pytest.raises(InputError, match="has 1 starters; expected 7 to 11"):
        MatchState.initial(MatchInfo(id="m", home=few, away=info.away))


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("card", {"player": "h1"}, "a card needs card"),
        ("substitution", {"player": "h1"}, "a substitution needs player_on"),
        ("foul", {"card": "red"}, "card belongs to a card"),
        ("stoppage_time", {}, "needs minutes_added"),
    ],
)
def test_fields_have_to_fit_the_type(kind: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        event("x", kind, **fields)
