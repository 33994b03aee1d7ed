"""What happened: events, the match state they fold into, and the feeds they come from."""

from commentary_llm.match.clock import MatchTime
from commentary_llm.match.events import (
    BodyPart,
    CardType,
    EventType,
    MatchEvent,
    MatchInfo,
    Player,
    Score,
    ShotOutcome,
    Situation,
    Team,
    VarDecision,
)
from commentary_llm.match.match import Accepted, Arrival, Match
from commentary_llm.match.state import (
    Booking,
    Goal,
    GoalContext,
    GoalEffect,
    MatchState,
    Penalty,
    Phase,
    ShootoutKick,
    Substitution,
)

__all__ = [
    "Accepted",
    "Arrival",
    "BodyPart",
    "Booking",
    "CardType",
    "EventType",
    "Goal",
    "GoalContext",
    "GoalEffect",
    "Match",
    "MatchEvent",
    "MatchInfo",
    "MatchState",
    "MatchTime",
    "Penalty",
    "Phase",
    "Player",
    "Score",
    "ShootoutKick",
    "ShotOutcome",
    "Situation",
    "Substitution",
    "Team",
    "VarDecision",
]
