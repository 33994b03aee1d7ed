"""What happened: events, the match state they fold into, and the feeds they come from."""

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
from commentary_llm.match.state import MatchState

__all__ = [
    "BodyPart",
    "CardType",
    "EventType",
    "MatchEvent",
    "MatchInfo",
    "MatchState",
    "Player",
    "Score",
    "ShotOutcome",
    "Situation",
    "Team",
    "VarDecision",
]
