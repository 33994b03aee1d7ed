"""What is about to happen: events after which one of a few outcomes is likely, and what each would mean.

An outcome is an event that has not happened, applied to a copy of the match. What is written for it may only be heard
when the real event has come and the fact gate holds the words true of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from commentary_llm.cue.cue import Cue
from commentary_llm.cue.excitement import excitement_of
from commentary_llm.cue.facts import facts_of, in_final_third, match_seconds
from commentary_llm.cue.rules import rule_for
from commentary_llm.ground.errors import InputError
from commentary_llm.match import EventType, MatchEvent, MatchState, ShotOutcome, Situation
from commentary_llm.match.clock import SHOOTOUT_PERIOD

_REGULAR_KICKS = 5
_GOAL, _SAVED, _OFF_TARGET = "goal", ShotOutcome.SAVED.value, ShotOutcome.OFF_TARGET.value


class BuildUpKind(str, Enum):
    """What makes an outcome likely. The value labels a metric."""

    PENALTY = "penalty"
    KICK = "kick"  # of a shoot-out
    SHOT = "shot"  # reported before its outcome
    FREE_KICK = "free_kick"  # near the goal


# How long the outcome may be in coming, in match seconds. A penalty waits for protests and the video referee.
_LASTS_S = {
    BuildUpKind.PENALTY: 420.0,
    BuildUpKind.KICK: 240.0,
    BuildUpKind.SHOT: 15.0,
    BuildUpKind.FREE_KICK: 25.0,
}
_ENDS_IT = frozenset({EventType.PERIOD_END, EventType.MATCH_END, EventType.VAR_DECISION, EventType.OWN_GOAL})


@dataclass(frozen=True)
class Outcome:
    """One way it may end: `name` is "goal" or a shot's outcome; `cue` is what the event would be spoken of with."""

    name: str
    cue: Cue


@dataclass(frozen=True)
class BuildUp:
    """`outcomes`, likeliest first, of what `event` begins for `side`."""

    kind: BuildUpKind
    event: MatchEvent
    side: str
    outcomes: tuple[Outcome, ...]

    def settled_by(self, event: MatchEvent, state: MatchState) -> str | None:
        """The name of the outcome that `event` is, among `outcomes` or not; None when it does not settle it."""
        if self.over_at(event) or _side_of(event, state) != self.side:
            return None
        return outcome_of(event)

    def over_at(self, event: MatchEvent) -> bool:
        """Whether by `event` nothing will come of it any more."""
        late = match_seconds(event) - match_seconds(self.event) > _LASTS_S[self.kind]
        return late or event.period != self.event.period or event.type in _ENDS_IT


def outcome_of(event: MatchEvent) -> str | None:
    """ "goal", "saved", "off_target", … for an attempt whose end is known, else None."""
    if event.type is EventType.GOAL:
        return _GOAL
    return event.outcome.value if event.type is EventType.SHOT and event.outcome is not None else None


def build_up_of(event: MatchEvent, state: MatchState) -> BuildUp | None:
    """What `event` begins, None for most events. `state` is the match right after it."""
    found = _kind_of(event, state)
    if found is None:
        return None
    kind, side = found
    outcomes = []
    for name in (_GOAL, _SAVED, _OFF_TARGET):
        cue = _cue_of(_imagined(event, kind, side, name, state), state)
        if cue is not None:
            outcomes.append(Outcome(name, cue))
    return BuildUp(kind, event, side, tuple(outcomes)) if outcomes else None


def _kind_of(event: MatchEvent, state: MatchState) -> tuple[BuildUpKind, str] | None:
    side = _side_of(event, state)
    if side is None:
        return None
    if event.period == SHOOTOUT_PERIOD:
        if event.type in (EventType.GOAL, EventType.SHOT) and not shootout_decided(state):
            return BuildUpKind.KICK, state.opponent_of(side).id
        return None
    if event.type is EventType.PENALTY_AWARDED:
        return BuildUpKind.PENALTY, side
    if event.type is EventType.SHOT and event.outcome is None:
        return BuildUpKind.SHOT, side
    if event.type is EventType.FREE_KICK and in_final_third(event):
        return BuildUpKind.FREE_KICK, side
    return None


def _imagined(event: MatchEvent, kind: BuildUpKind, side: str, name: str, state: MatchState) -> MatchEvent:
    """The attempt that would end as `name`. Who takes a penalty is not known before."""
    keeper = state.goalkeeper_of(state.opponent_of(side).id)
    known = event if kind in (BuildUpKind.SHOT, BuildUpKind.FREE_KICK) else None
    situation = {BuildUpKind.SHOT: event.situation, BuildUpKind.FREE_KICK: Situation.FREE_KICK}
    return MatchEvent(
        event_id=f"{event.event_id}?{name}",
        type=EventType.GOAL if name == _GOAL else EventType.SHOT,
        period=event.period,
        elapsed_s=event.elapsed_s,
        team=side,
        player=known.player if known else None,
        assist=known.assist if known else None,
        goalkeeper=keeper.id if keeper is not None else None,
        outcome=None if name == _GOAL else ShotOutcome(name),
        situation=situation.get(kind, Situation.PENALTY),
        body_part=known.body_part if known else None,
        x=known.x if known else None,
        y=known.y if known else None,
    )


def _cue_of(event: MatchEvent, state: MatchState) -> Cue | None:
    """The cue the director would make of an event that has not happened; None when it cannot happen."""
    try:
        after = state.apply(event)
    except InputError:
        return None
    facts = facts_of(event, after)
    rule = rule_for(facts)
    if rule is None:
        return None
    excitement = excitement_of(facts)
    return Cue(facts, rule.urgency, rule.reason, rule.deadline_s, rule.max_words, rule.interruptible, excitement)


def _side_of(event: MatchEvent, state: MatchState) -> str | None:
    if event.team is not None:
        return event.team
    return state.team_of(event.player).id if event.player is not None else None


def shootout_decided(state: MatchState) -> bool:
    """Whether no further kick is taken: one side is out of reach, or ahead after equally many kicks beyond five."""
    if state.shootout is None:
        return False
    home, away = state.info.home.id, state.info.away.id
    taken = {side: sum(kick.team == side for kick in state.kicks) for side in (home, away)}
    lead = state.shootout.home - state.shootout.away
    if max(taken.values()) > _REGULAR_KICKS or min(taken.values()) == _REGULAR_KICKS:
        return lead != 0 and taken[home] == taken[away]
    left = {side: _REGULAR_KICKS - count for side, count in taken.items()}
    return lead > left[away] or -lead > left[home]
