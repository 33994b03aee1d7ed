"""A cue: the director's order that something be said about an event."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from commentary_llm.cue.facts import Facts
from commentary_llm.match import MatchEvent, MatchState


class Urgency(IntEnum):
    """How much a cue matters; a higher one goes first, and URGENT may cut speech off at a word edge."""

    FILL = 0  # build-up and colour: only into silence
    NOTE = 1  # worth a line: corner, foul, chance wide
    KEY = 2  # must be heard soon: card, substitution, save, period
    URGENT = 3  # goal, penalty, red card, VAR verdict, shoot-out kick


@dataclass(frozen=True)
class Cue:
    """What to speak about, how urgently, and until when it is worth hearing.

    `facts` are what is true right after the event, found once: all that is written and judged rests on them.
    """

    facts: Facts
    urgency: Urgency
    reason: str  # the director's rule that let it through: "goal", "red card", …
    deadline_s: float  # first sound at the latest so long after the event, in stream time; else dropped as stale
    max_words: int
    interruptible: bool  # False: nothing cuts it off (a goal call)
    excitement: float  # 0 calm … 1 a late winner; drives rate, energy and gain of the voice

    @property
    def event(self) -> MatchEvent:
        return self.facts.event

    @property
    def state(self) -> MatchState:
        """The match right after the event."""
        return self.facts.state
