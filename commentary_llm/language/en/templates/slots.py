"""Fills the slots of a line from what is true at the cue."""

from __future__ import annotations

import random

from commentary_llm.cue.cue import Cue
from commentary_llm.cue.facts import Facts, minute_of
from commentary_llm.language.en.names import NameBook, called
from commentary_llm.match import EventType, MatchState

_SMALL = ["nil", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def number_word(value: int) -> str:
    """Up to twelve in words, as written English has it."""
    return _SMALL[value] if 0 <= value < len(_SMALL) else str(value)


def fill_slots(cue: Cue, facts: Facts, names: NameBook, rng: random.Random) -> dict[str, str]:
    """Slot -> text. A slot that has no true value here is absent. `rng` picks among equal phrasings."""
    event, state = cue.event, cue.state
    short = names.surnames
    slots: dict[str, str] = {}
    people = {
        "p": event.player,
        "assist": event.assist,
        "keeper": event.goalkeeper,
        "opp": event.opponent,
        "recv": event.receiver,
        "on": event.player_on,
    }
    for slot, player in people.items():
        if player is not None:
            slots[slot] = short[player]
    if event.player is not None:
        slots["P"] = state.player(event.player).name
    if event.type in (EventType.SHOT, EventType.GOAL):
        slots.setdefault("keeper", "the keeper")
    if event.type is EventType.SUBSTITUTION and event.player is not None:
        slots["off"] = slots.pop("p")
        _pair_substitution(slots, cue, facts, short)
    fouled = [key[2:] for key in facts.roles.get("fouled", ()) if key.startswith("p:")]
    if len(fouled) == 1:
        slots["fouled"] = short[fouled[0]]
    _team_slots(slots, facts, state)
    _score_slots(slots, facts, state, rng)
    minute, added = minute_of(event)
    # In the first minute nothing has been played yet.
    if event.period < 5 and not added and minute > 1:
        slots["minute_played"] = f"{minute} minutes"
    if event.minutes_added is not None and event.minutes_added > 1:
        slots["n"] = number_word(event.minutes_added)
    if event.formation is not None and event.formation.count("-") >= 2:
        slots["formation"] = event.formation
    return slots


def _pair_substitution(slots: dict[str, str], cue: Cue, facts: Facts, short: dict[str, str]) -> None:
    event = cue.event
    if "double_substitution" not in facts.flags:
        return
    other = next(
        (
            sub
            for sub in reversed(cue.state.substitutions)
            if f"p:{sub.player_on}" in facts.roles["on"] and sub.player_on != event.player_on
        ),
        None,
    )
    if other is not None:
        slots["on2"], slots["off2"] = short[other.player_on], short[other.player_off]


def _team_slots(slots: dict[str, str], facts: Facts, state: MatchState) -> None:
    slots["home"], slots["away"] = called(state.info.home), called(state.info.away)
    for slot, role in (
        ("t", "side"),
        ("o", "other"),
        ("credited", "credited"),
        ("winner", "winner"),
        ("loser", "loser"),
        ("leader", "leader"),
        ("trailer", "trailer"),
    ):
        for key in facts.roles.get(role, ()):
            slots[slot] = called(state.team(key[2:]))


def _score_slots(slots: dict[str, str], facts: Facts, state: MatchState, rng: random.Random) -> None:
    home, away = state.score.home, state.score.away
    high, low = max(home, away), min(home, away)
    if home == away:
        slots["level_score"] = (
            f"{home}-{home}" if home == 0 else rng.choice((f"{home}-{home}", f"{number_word(home)}-all"))
        )
        slots["score"] = f"{home}-{home}"
    else:
        slots["score"] = rng.choice((f"{high}-{low}", f"{number_word(high)}-{number_word(low)}"))
    line = rng.choice(_score_lines(state, high, low))
    slots["score_line"] = line + "."
    slots["score_line_bang"] = line + "!"
    # In mid-sentence only what begins with a name keeps its capital.
    slots["score_line_low"] = (
        line[0].lower() + line[1:] + "." if line.startswith(("It's", "Still", "All", "Level")) else line + "."
    )
    credited = facts.roles.get("credited", frozenset())
    for key in credited:
        mine = state.score_of(key[2:])
        theirs = home + away - mine
        slots["score_for"] = f"{mine}-{theirs}" if mine >= theirs else f"{theirs}-{mine}"
    if state.shootout is not None:
        _shootout_slots(slots, state, rng)


def _score_lines(state: MatchState, high: int, low: int) -> list[str]:
    home, away = state.info.home, state.info.away
    if high == low == 0:
        return ["It's still goalless", "Still no goals", "It's still 0-0", "Goalless so far"]
    if high == low:
        return [
            f"It's {high}-{low}",
            f"All square at {high}-{low}",
            f"Level at {number_word(high)}-all",
            f"It's {number_word(high)} apiece",
        ]
    leader_id = state.leader()
    leader, trailer = (home, away) if leader_id == home.id else (away, home)
    ahead, behind = called(leader), called(trailer)
    words = f"{number_word(high)}-{number_word(low)}"
    return [
        f"{ahead} lead {high}-{low}",
        f"It's {words} to {ahead}",
        f"{ahead} {number_word(high)}, {behind} {number_word(low)}",
        f"It's {high}-{low} to {ahead}",
        f"{ahead} are {words} up",
    ]


def _shootout_slots(slots: dict[str, str], state: MatchState, rng: random.Random) -> None:
    assert state.shootout is not None
    home, away = state.shootout.home, state.shootout.away
    high, low = max(home, away), min(home, away)
    slots["shootout_score"] = f"{high}-{low}"
    if home == away:
        lines = [
            f"It's {high}-{low} in the shoot-out.",
            f"Level at {high}-{low} on penalties.",
            f"{number_word(high)}-all.".capitalize(),
        ]
    else:
        team = state.info.home if home > away else state.info.away
        name = called(team)
        lines = [
            f"{name} lead {high}-{low} on penalties.",
            f"It's {high}-{low} to {name}.",
            f"{name} lead the shoot-out {high}-{low}.",
            f"{high}-{low}, {name}.",
        ]
    slots["shootout_line"] = rng.choice(lines)
