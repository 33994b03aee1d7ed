"""Steps of the match fold: goals, shoot-out kicks, cards and substitutions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from commentary_llm.ground.errors import InputError
from commentary_llm.match.clock import SHOOTOUT_PERIOD, MatchTime
from commentary_llm.match.events import CardType, EventType, MatchEvent, Score
from commentary_llm.match.tally import Booking, Goal, Phase, ShootoutKick, Substitution

if TYPE_CHECKING:
    from commentary_llm.match.state import MatchState

# One dismissal may be told by two events (second yellow and red) this far apart at most.
SAME_CARD_S = 120.0


def tally_score(state: MatchState, credited: list[str]) -> Score:
    """The score made of `credited`: the id of the side each goal or kick counts for."""
    home = credited.count(state.info.home.id)
    return Score(home=home, away=len(credited) - home)


def with_goals(state: MatchState, goals: tuple[Goal, ...]) -> MatchState:
    return replace(state, goals=goals, score=tally_score(state, [goal.team for goal in goals]))


def with_kicks(state: MatchState, kicks: tuple[ShootoutKick, ...]) -> MatchState:
    kicks = tuple(replace(kick, order=order) for order, kick in enumerate(kicks, start=1))
    return replace(state, kicks=kicks, shootout=tally_score(state, [kick.team for kick in kicks if kick.scored]))


def _refuse_absent(state: MatchState, event: MatchEvent, did: str) -> None:
    player = event.player
    if player is None:
        return
    name = state.player(player).name
    if player in state.sent_off:
        raise InputError(f"event {event.event_id!r}: {name} was sent off and cannot have {did}")
    if any(sub.player_off == player for sub in state.substitutions):
        raise InputError(f"event {event.event_id!r}: {name} had been substituted and cannot have {did}")


def goal(state: MatchState, event: MatchEvent, team: str | None, time: MatchTime) -> MatchState:
    assert team is not None
    if event.period == SHOOTOUT_PERIOD:
        raise InputError(f"event {event.event_id!r}: a shoot-out has no own goals; report the taker's goal or shot")
    if state.phase is Phase.ENDED:
        raise InputError(f"event {event.event_id!r}: a goal after the match has ended")
    _refuse_absent(state, event, "scored")
    own = event.type is EventType.OWN_GOAL
    scored = Goal(
        event_id=event.event_id,
        team=state.roster.opponent[team] if own else team,
        player=event.player,
        own_goal=own,
        situation=event.situation,
        assist=event.assist,
        time=time,
    )
    return with_goals(state, (*state.goals, scored))


def shootout_kick(state: MatchState, event: MatchEvent, team: str | None) -> MatchState:
    if team is None:
        raise InputError(f"event {event.event_id!r}: a shoot-out kick needs a team (or a player who tells it)")
    if state.phase is Phase.ENDED:
        raise InputError(f"event {event.event_id!r}: a shoot-out kick after the match has ended")
    _refuse_absent(state, event, "taken a kick")
    kick = ShootoutKick(event.event_id, team, event.player, event.type is EventType.GOAL, len(state.kicks) + 1)
    return with_kicks(state, (*state.kicks, kick))


def _seconds_between(earlier: MatchTime, later: MatchTime) -> float:
    """Within a period; across periods the time is unknown and counts as long."""
    return later.elapsed_s - earlier.elapsed_s if earlier.period == later.period else float("inf")


def card(state: MatchState, event: MatchEvent, team: str | None, time: MatchTime) -> MatchState:
    assert team is not None
    assert event.card is not None
    player, kind = event.player, event.card
    if player is None:
        return replace(state, cards=(*state.cards, Booking(event.event_id, team, None, kind, time)))
    if player in state.sent_off:
        return _same_dismissal(state, event, time)
    if kind is CardType.YELLOW and state.yellow_cards(player):
        kind = CardType.SECOND_YELLOW
    cards = (*state.cards, Booking(event.event_id, team, player, kind, time))
    if kind is CardType.YELLOW:
        return replace(state, cards=cards)
    on_pitch = {**state.on_pitch, team: state.on_pitch[team] - {player}}
    return replace(state, cards=cards, sent_off=state.sent_off | {player}, on_pitch=on_pitch)


def _same_dismissal(state: MatchState, event: MatchEvent, time: MatchTime) -> MatchState:
    index, booking = next(
        (i, b)
        for i, b in reversed(list(enumerate(state.cards)))
        if b.player == event.player and b.card is not CardType.YELLOW
    )
    if _seconds_between(booking.time, time) > SAME_CARD_S:
        raise InputError(
            f"event {event.event_id!r}: {state.player(booking.player or '').name} was already sent off in minute "
            f"{booking.time.label} (event {booking.event_id!r}) and cannot get another card"
        )
    merged = replace(booking, merged=(*booking.merged, event.event_id))
    return replace(state, cards=(*state.cards[:index], merged, *state.cards[index + 1 :]))


def substitution(state: MatchState, event: MatchEvent, team: str | None, time: MatchTime) -> MatchState:
    assert team is not None
    off, on = event.player, event.player_on
    assert off is not None
    assert on is not None
    pitch = state.on_pitch[team]
    if off not in pitch:
        why = "was sent off" if off in state.sent_off else "is not on the pitch"
        raise InputError(f"event {event.event_id!r}: {state.player(off).name} {why} and cannot be substituted")
    why_not = (
        "is on the pitch already"
        if on in pitch
        else "was sent off"
        if on in state.sent_off
        else "has been substituted off before"
        if any(sub.player_off == on for sub in state.substitutions)
        else None
    )
    if why_not is not None:
        raise InputError(f"event {event.event_id!r}: {state.player(on).name} {why_not} and cannot come on")
    return replace(
        state,
        substitutions=(*state.substitutions, Substitution(event.event_id, team, off, on, time)),
        on_pitch={**state.on_pitch, team: (pitch - {off}) | {on}},
    )
