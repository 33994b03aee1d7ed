"""The vocabulary of a match: who plays (`MatchInfo`) and what happens (`MatchEvent`).

Match time is always the pair (period, seconds since that period's kick-off); see `clock.py` for how it is written.
Everything here is immutable.
"""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self


class EventType(str, Enum):
    """What happened. Goals are `GOAL` or `OWN_GOAL`, also in a shoot-out (period 5); every other attempt is `SHOT`."""

    PERIOD_START = "period_start"
    PERIOD_END = "period_end"
    MATCH_END = "match_end"
    GOAL = "goal"
    OWN_GOAL = "own_goal"  # `team`/`player` are those of the unlucky player; the goal counts for the other side
    SHOT = "shot"
    PENALTY_AWARDED = "penalty_awarded"  # `team` is the side that takes it
    CARD = "card"
    SUBSTITUTION = "substitution"
    FOUL = "foul"
    OFFSIDE = "offside"
    CORNER = "corner"
    FREE_KICK = "free_kick"
    THROW_IN = "throw_in"
    GOAL_KICK = "goal_kick"
    SAVE = "save"  # a goalkeeper's action not already told by a SHOT with outcome `saved`
    TACKLE = "tackle"
    INTERCEPTION = "interception"
    CLEARANCE = "clearance"
    PASS = "pass"
    CARRY = "carry"
    DRIBBLE = "dribble"
    INJURY = "injury"
    STOPPAGE_TIME = "stoppage_time"  # the board goes up: `minutes_added`
    VAR_REVIEW = "var_review"
    VAR_DECISION = "var_decision"  # `decision`, and `cancels` when it takes an event back
    FORMATION = "formation"  # tactical change: `formation`


class ShotOutcome(str, Enum):
    """How a `SHOT` ended (a scored one is a `GOAL`)."""

    SAVED = "saved"
    OFF_TARGET = "off_target"
    BLOCKED = "blocked"
    POST = "post"


class Situation(str, Enum):
    """The play a shot, goal or pass came from."""

    OPEN_PLAY = "open_play"
    PENALTY = "penalty"
    FREE_KICK = "free_kick"
    CORNER = "corner"
    THROW_IN = "throw_in"
    GOAL_KICK = "goal_kick"
    KICK_OFF = "kick_off"
    COUNTER_ATTACK = "counter_attack"


class BodyPart(str, Enum):
    RIGHT_FOOT = "right_foot"
    LEFT_FOOT = "left_foot"
    HEAD = "head"
    OTHER = "other"


class CardType(str, Enum):
    YELLOW = "yellow"
    SECOND_YELLOW = "second_yellow"
    RED = "red"


class VarDecision(str, Enum):
    GOAL_DISALLOWED = "goal_disallowed"
    GOAL_STANDS = "goal_stands"
    PENALTY_CANCELLED = "penalty_cancelled"
    PENALTY_STANDS = "penalty_stands"
    CARD_RESCINDED = "card_rescinded"
    NO_CHANGE = "no_change"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Player(_Frozen):
    """One name on a line-up."""

    id: str
    name: str = Field(description='what a commentator calls him or her: "Lionel Messi", "Neymar"')
    full_name: str | None = None
    shirt: int | None = Field(default=None, ge=0, le=999)
    position: str | None = Field(default=None, description='free text: "goalkeeper", "centre-back", …')
    starter: bool = True


class Team(_Frozen):
    id: str
    name: str = Field(description='"Argentina", "Barcelona"')
    short_name: str | None = None
    nicknames: tuple[str, ...] = Field(default=(), description='other true names: "the Albiceleste"')
    players: tuple[Player, ...] = ()
    formation: str | None = Field(default=None, description='"4-3-3"')
    coach: str | None = None


class MatchInfo(_Frozen):
    """What is known before kick-off."""

    id: str
    home: Team
    away: Team
    competition: str | None = None
    stage: str | None = Field(default=None, description='"final", "matchday 1"')
    venue: str | None = None
    date: str | None = Field(default=None, description="ISO 8601 day")
    referee: str | None = None
    source: str | None = Field(default=None, description='where the data is from: "StatsBomb", shown with the output')

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        if self.home.id == self.away.id:
            raise ValueError(f"home and away have the same id {self.home.id!r}")
        seen: set[str] = set()
        for player in (*self.home.players, *self.away.players):
            if player.id in seen:
                raise ValueError(f"player id {player.id!r} ({player.name}) is on the line-ups twice")
            seen.add(player.id)
        return self


class Score(_Frozen):
    home: int = Field(ge=0)
    away: int = Field(ge=0)


# Fields without which an event of that type says nothing; a goal or card may lack its player until it is confirmed.
REQUIRED_FIELDS: dict[EventType, tuple[str, ...]] = {
    EventType.CARD: ("card",),
    EventType.SUBSTITUTION: ("player", "player_on"),
    EventType.VAR_DECISION: ("decision",),
    EventType.STOPPAGE_TIME: ("minutes_added",),
    EventType.FORMATION: ("team", "formation"),
}
# Fields that would contradict any other type.
_ONLY_ON: dict[str, EventType] = {
    "card": EventType.CARD,
    "player_on": EventType.SUBSTITUTION,
    "decision": EventType.VAR_DECISION,
    "cancels": EventType.VAR_DECISION,
}


class MatchEvent(_Frozen):
    """One thing that happened, as a match-state tracker reports it.

    Players and teams are ids of the match's line-ups. `period`: 1 and 2 the halves, 3 and 4 extra time, 5 the
    penalty shoot-out. `elapsed_s`: seconds since that period's kick-off (in period 1, 2,760 s is minute 45+1).
    """

    event_id: str
    type: EventType
    period: int = Field(ge=1, le=5)
    elapsed_s: float = Field(ge=0, le=7200)
    match_id: str | None = Field(default=None, description="checked against the match where given")
    team: str | None = Field(default=None, description="the acting side's id")
    player: str | None = Field(default=None, description="who did it; on a substitution the player going off")
    player_on: str | None = Field(default=None, description="substitution: who comes on")
    assist: str | None = None
    goalkeeper: str | None = Field(default=None, description="who faced the shot")
    opponent: str | None = Field(default=None, description="fouled, tackled or beaten player of the other side")
    receiver: str | None = Field(default=None, description="pass: who gets it")
    outcome: ShotOutcome | None = None
    completed: bool | None = Field(default=None, description="pass, dribble, tackle: whether it came off")
    situation: Situation | None = None
    body_part: BodyPart | None = None
    card: CardType | None = None
    decision: VarDecision | None = None
    cancels: str | None = Field(default=None, description="VAR: event_id taken back")
    minutes_added: int | None = Field(default=None, ge=0, le=60)
    formation: str | None = None
    x: float | None = Field(default=None, ge=0, le=1, description="0 own goal line … 1 the opponents'")
    y: float | None = Field(default=None, ge=0, le=1, description="0 left touchline … 1 right, facing the opponents")
    score: Score | None = Field(default=None, description="score after the event as the tracker claims it; checked")
    note: str | None = Field(default=None, max_length=200, description="free text for the prompt, not checked")

    @model_validator(mode="after")
    def _fields_fit_the_type(self) -> Self:
        missing = [name for name in REQUIRED_FIELDS.get(self.type, ()) if getattr(self, name) is None]
        if missing:
            raise ValueError(f"a {self.type.value} needs {' and '.join(missing)}")
        for name, kind in _ONLY_ON.items():
            if getattr(self, name) is not None and self.type is not kind:
                raise ValueError(f"{name} belongs to a {kind.value}, not to a {self.type.value}")
        return self
