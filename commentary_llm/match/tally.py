"""The small records a match state is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from commentary_llm.match.clock import MatchTime
from commentary_llm.match.events import CardType, Score, Situation


class Phase(str, Enum):
    """Where the match stands."""

    PRE_MATCH = "pre_match"
    PLAYING = "playing"
    BREAK = "break"
    SHOOTOUT = "shootout"
    ENDED = "ended"


class GoalEffect(str, Enum):
    """What a goal did to the score."""

    GO_AHEAD = "go_ahead"  # from level to leading
    EQUALISER = "equaliser"
    EXTENDS = "extends"  # the leaders score again
    REDUCES = "reduces"  # still behind


@dataclass(frozen=True)
class Goal:
    """A goal; `team` is the id of the side it counts for, `player` who put it in (of the other side on an own goal)."""

    event_id: str
    team: str
    player: str | None
    own_goal: bool
    situation: Situation | None
    assist: str | None
    time: MatchTime


@dataclass(frozen=True)
class GoalContext:
    """How a goal changed the match.

    `player_goals`: the scorer's tally with this one (0 for an own goal or unnamed scorer); 3 is a hat-trick.
    `deficit_overcome`: the most goals the side had been behind by before drawing level or going ahead, else 0.
    """

    goal: Goal
    effect: GoalEffect
    before: Score
    after: Score
    player_goals: int
    deficit_overcome: int

    @property
    def opener(self) -> bool:
        """The first goal of the match."""
        return self.before.home == self.before.away == 0


@dataclass(frozen=True)
class Booking:
    """A card; `player` is None for staff. `merged`: ids of further events that told of the same card."""

    event_id: str
    team: str
    player: str | None
    card: CardType
    time: MatchTime
    merged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Substitution:
    event_id: str
    team: str
    player_off: str
    player_on: str
    time: MatchTime


@dataclass(frozen=True)
class Penalty:
    """A penalty awarded to `team` in play."""

    event_id: str
    team: str
    time: MatchTime


@dataclass(frozen=True)
class ShootoutKick:
    """`order` counts the standing kicks of the shoot-out, both sides together, from 1."""

    event_id: str
    team: str
    player: str | None
    scored: bool
    order: int
