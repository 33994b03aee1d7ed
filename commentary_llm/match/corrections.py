"""Steps of the match fold: what a VAR decision takes back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from commentary_llm.ground.errors import InputError
from commentary_llm.match import incidents
from commentary_llm.match.clock import MatchTime
from commentary_llm.match.events import CardType, MatchEvent, VarDecision
from commentary_llm.match.tally import Booking, Goal, Penalty, ShootoutKick

if TYPE_CHECKING:
    from commentary_llm.match.state import MatchState

# A decision that does not say what it cancels is about something this recent at most.
REVIEW_WINDOW_S = 300.0

_KIND = {
    VarDecision.GOAL_DISALLOWED: (Goal, ShootoutKick),
    VarDecision.PENALTY_CANCELLED: (Penalty,),
    VarDecision.CARD_RESCINDED: (Booking,),
}
_NAMES = {Goal: "goal", ShootoutKick: "shoot-out kick", Penalty: "penalty", Booking: "card"}
_Timed = TypeVar("_Timed", Goal, Booking, Penalty)


def take_back(state: MatchState, event: MatchEvent, team: str | None, time: MatchTime) -> MatchState:
    """Without anything to take back (goal stands, no change, never reported) the state stays as it is."""
    if event.cancels is not None:
        return _remove(state, _named(state, event))
    target: Goal | Booking | Penalty | None = None
    if event.decision is VarDecision.GOAL_DISALLOWED:
        target = _latest(state.goals, event, team, time)
    elif event.decision is VarDecision.PENALTY_CANCELLED:
        target = _latest(state.penalties, event, team, time)
    elif event.decision is VarDecision.CARD_RESCINDED:
        target = _latest(state.cards, event, team, time)
    return state if target is None else _remove(state, target)


def _latest(found: tuple[_Timed, ...], event: MatchEvent, team: str | None, now: MatchTime) -> _Timed | None:
    for item in reversed(found):
        if item.time.period != now.period or now.elapsed_s - item.time.elapsed_s > REVIEW_WINDOW_S:
            return None
        same_player = event.player is None or isinstance(item, Penalty) or item.player in (None, event.player)
        # The side of a player who put it into his own net is not the side the goal is taken from.
        own = isinstance(item, Goal) and item.own_goal and item.player == event.player is not None
        if same_player and (team is None or item.team == team or own):
            return item
    return None


def _named(state: MatchState, event: MatchEvent) -> Goal | Booking | Penalty | ShootoutKick:
    standing: Iterable[Goal | Booking | Penalty | ShootoutKick] = (
        *state.goals,
        *state.cards,
        *state.penalties,
        *state.kicks,
    )
    for item in standing:
        if event.cancels == item.event_id or (isinstance(item, Booking) and event.cancels in item.merged):
            break
    else:
        gone = " (it has been taken back already)" if any(g.event_id == event.cancels for g in state.disallowed) else ""
        raise InputError(
            f"event {event.event_id!r} cancels {event.cancels!r}, which is no standing goal, card, penalty or "
            f"shoot-out kick{gone}; report that event first or mend the id"
        )
    if event.decision is not None and not isinstance(item, _KIND.get(event.decision, ())):
        raise InputError(
            f"event {event.event_id!r}: decision {event.decision.value!r} cannot cancel {event.cancels!r}, "
            f"a {_NAMES[type(item)]}"
        )
    return item


def _remove(state: MatchState, item: Goal | Booking | Penalty | ShootoutKick) -> MatchState:
    if isinstance(item, Goal):
        after = incidents.with_goals(state, tuple(goal for goal in state.goals if goal is not item))
        return replace(after, disallowed=(*state.disallowed, item))
    if isinstance(item, ShootoutKick):
        return incidents.with_kicks(state, tuple(kick for kick in state.kicks if kick is not item))
    if isinstance(item, Penalty):
        return replace(state, penalties=tuple(penalty for penalty in state.penalties if penalty is not item))
    after = replace(state, cards=tuple(booking for booking in state.cards if booking is not item))
    if item.player is None or item.card is CardType.YELLOW:
        return after
    # A man carded on the bench or after leaving goes back there, not onto the pitch.
    came_on = any(sub.player_on == item.player for sub in state.substitutions)
    went_off = any(sub.player_off == item.player for sub in state.substitutions)
    after = replace(after, sent_off=state.sent_off - {item.player})
    if (came_on or state.player(item.player).starter) and not went_off:
        pitch = state.on_pitch[item.team] | {item.player}
        after = replace(after, on_pitch={**state.on_pitch, item.team: pitch})
    return after
