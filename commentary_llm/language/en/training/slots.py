"""Slots beyond those of the engine's templates: the score and the clock in many wordings."""

from __future__ import annotations

import random

from commentary_llm.cue.cue import Cue
from commentary_llm.cue.facts import Facts, minute_of
from commentary_llm.language.en.names import NameBook, called
from commentary_llm.language.en.templates.slots import fill_slots, number_word
from commentary_llm.match import EventType, MatchState

_PEOPLE = ("p", "P", "assist", "keeper", "opp", "recv", "on", "off", "on2", "off2", "fouled")


def all_slots(cue: Cue, facts: Facts, names: NameBook, line: str, rng: random.Random) -> dict[str, str]:
    """Slot -> text for one line; slots without a true value are absent, and so are people not named in `line`."""
    event, state = cue.event, cue.state
    slots = fill_slots(cue, facts, names, rng)
    for person in _PEOPLE:
        # A model shown a surname alone cannot know the given name, and nobody may come out of nothing.
        if person in slots and slots[person] not in line:
            del slots[person]
    if event.type in (EventType.GOAL, EventType.SHOT):
        slots.setdefault("keeper", "the keeper")
    if "score_for" in slots and "credited" in slots:
        slots["Credited_make"] = f"{slots['credited']} make"
    plain = _score(state, rng)
    slots["score_sentence"], slots["Score_sentence"] = plain, _upper(plain)
    still = _still(state, rng)
    slots["score_sentence_still"], slots["Score_sentence_still"] = still, _upper(still)
    slots["score_sentence_still_now"] = still
    high, low = max(state.score.home, state.score.away), min(state.score.home, state.score.away)
    slots["high"], slots["low"] = number_word(high), number_word(low)
    # By itself after a comma: the gate wants words there, not "2-1!" alone.
    words = f"{number_word(high)}-{'all' if high == low else number_word(low)}"
    slots["level_words" if high == low else "score_words"] = words
    if state.shootout is not None:
        kicks = sorted((state.shootout.home, state.shootout.away))
        slots["shootout_words"] = f"{number_word(kicks[1])}-{number_word(kicks[0])}"
    if "level_score" in slots:
        level = rng.choice(("it's {s}", "all square at {s}", "level at {s}")).format(s=slots["level_score"])
        slots["Level_sentence"] = _upper(level)
    played = _played(cue, rng)
    if played is not None:
        slots["played"], slots["Played"] = played, _upper(played)
    if event.type is EventType.GOAL and event.player is not None and event.period < 5:
        slots["ngoals"] = number_word(state.goals_by(event.player))
    if "n" in slots:
        slots["N"] = _upper(slots["n"])
    if state.info.competition:
        slots["comp"] = state.info.competition
    if state.info.venue:
        slots["venue"] = state.info.venue
    return slots


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


def _score(state: MatchState, rng: random.Random) -> str:
    home, away = state.score.home, state.score.away
    high, low = max(home, away), min(home, away)
    if high == low == 0:
        return rng.choice(("it's goalless", "it's 0-0", "no goals yet", "it's level at 0-0"))
    if high == low:
        return rng.choice((f"it's {high}-{high}", f"it's {number_word(high)}-all", f"it's level at {high}-{high}",
                           f"it's all square at {high}-{high}"))  # fmt: skip
    home_leads = home > away
    ahead, behind = (state.info.home, state.info.away) if home_leads else (state.info.away, state.info.home)
    lead, trail = called(ahead), called(behind)
    words = f"{number_word(high)}-{number_word(low)}"
    return rng.choice(
        (
            f"it's {high}-{low} to {lead}",
            f"it's {words} to {lead}",
            f"{lead} lead {high}-{low}",
            f"{lead} lead {words}",
            f"{lead} {number_word(high)}, {trail} {number_word(low)}",
            f"it's {high}-{low}",
        )
    )


def _still(state: MatchState, rng: random.Random) -> str:
    home, away = state.score.home, state.score.away
    high, low = max(home, away), min(home, away)
    if high == low == 0:
        return rng.choice(("still goalless", "it's still 0-0", "still no goals", "it's still goalless"))
    if high == low:
        return rng.choice(
            (f"still {high}-{high}", f"it's still {number_word(high)}-all", f"still level at {high}-{high}")
        )
    lead = called(state.info.home if home > away else state.info.away)
    return rng.choice(
        (
            f"{lead} still lead {high}-{low}",
            f"it's still {high}-{low} to {lead}",
            f"{lead} lead {number_word(high)}-{number_word(low)}",
            f"still {high}-{low} to {lead}",
            f"it's {high}-{low} to {lead}",
        )
    )


def _played(cue: Cue, rng: random.Random) -> str | None:
    """The clock as the event line shows it; no arithmetic, which a small model gets wrong."""
    event = cue.event
    if event.period == 5 or event.type in (EventType.PERIOD_START, EventType.PERIOD_END, EventType.MATCH_END):
        return None
    minute, added = minute_of(event)
    if added:
        return rng.choice(("in stoppage time", "deep into stoppage time" if added > 2 else "in added time"))
    if minute < 2:
        return None
    forms = (
        "with {m} minutes played",
        "{m} minutes gone",
        "with {m} minutes gone",
        "{m} minutes played",
        "{m} minutes in",
    )
    return rng.choice((*forms, f"in the {_ordinal(minute)} minute")).format(m=minute)


def _ordinal(value: int) -> str:
    ending = "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"
