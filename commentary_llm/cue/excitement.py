"""How excited the voice is about an event: 0 calm … 1 a late winner."""

from __future__ import annotations

from enum import Enum

from commentary_llm.cue.facts import Condition, Facts


class Mood(str, Enum):
    """How the voice takes an event. Few, so that what is synthesised ahead of a match can be shared."""

    CALM = "calm"
    LIVELY = "lively"
    HOT = "hot"

    @property
    def excitement(self) -> float:
        """The one excitement in [0, 1] that all of a mood's lines are spoken with."""
        return _SPOKEN_AT[self]


_SPOKEN_AT = {Mood.CALM: 0.2, Mood.LIVELY: 0.5, Mood.HOT: 0.85}
_LIVELY_FROM, _HOT_FROM = 0.36, 0.68


def mood_of(excitement: float) -> Mood:
    """The mood of an excitement in [0, 1]."""
    if excitement >= _HOT_FROM:
        return Mood.HOT
    return Mood.LIVELY if excitement >= _LIVELY_FROM else Mood.CALM


def _table(*rows: tuple[str, float]) -> tuple[tuple[Condition, float], ...]:
    return tuple((Condition.parse(condition, f"a table of {__name__}"), value) for condition, value in rows)


# First match wins.
_BASE = _table(
    ("goal/own_goal !kick", 0.75),
    ("kick", 0.8),
    ("shot from_penalty", 0.85),
    ("penalty_awarded", 0.7),
    ("goal_disallowed/penalty_cancelled", 0.6),
    ("card sent_off", 0.65),
    ("match_over", 0.6),
    ("post", 0.65),
    ("saved close_range", 0.6),
    ("saved", 0.5),
    ("off_target close_range", 0.6),
    ("off_target in_box", 0.5),
    ("off_target/blocked", 0.4),
    ("var_decision/var_review", 0.5),
    ("period_start shootout", 0.6),
    ("corner", 0.3),
    ("free_kick final_third", 0.3),
    ("yellow", 0.25),
    ("dribble final_third", 0.3),
    ("pass final_third", 0.25),
    ("period_start/period_end", 0.3),
)
_MORE = _table(
    ("match_goal equaliser", 0.1),
    ("match_goal takes_lead", 0.05),
    ("match_goal late", 0.15),
    ("match_goal stoppage_late", 0.1),
    ("match_goal hat_trick", 0.15),
    ("match_goal turnaround", 0.1),
    ("match_goal extends_lead margin_3/margin_more", -0.2),
    ("match_over won_on_penalties", 0.4),
    ("shot late level/margin_1", 0.1),
    ("own_goal", -0.1),
    ("extra_time", 0.05),
)


def excitement_of(facts: Facts) -> float:
    """In [0, 1], from what happened, when, and what it meant for the score."""
    value = next((base for condition, base in _BASE if facts.holds(condition)), 0.15)
    value += sum(more for condition, more in _MORE if facts.holds(condition))
    return round(min(1.0, max(0.0, value)), 3)
