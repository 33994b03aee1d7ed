"""What the plain event line leaves unsaid, in a few words beside it: place, a player's count of goals, who was fouled.

A model can only say what its prompt tells; what it should be able to speak of has to stand there.
"""

from __future__ import annotations

from dataclasses import dataclass

from commentary_llm.cue.facts import Facts, check_declared
from commentary_llm.language.en.names import NameBook
from commentary_llm.match import EventType, ShotOutcome

_ATTEMPTS = frozenset({EventType.GOAL, EventType.SHOT})
_PLACED = frozenset({EventType.PASS, EventType.CARRY, EventType.DRIBBLE, EventType.CORNER, EventType.THROW_IN})
# Events whose line gives the side alone, and what goes before the player in a hint.
_TAKEN = {
    EventType.OFFSIDE: "",
    EventType.CORNER: "by ",
    EventType.FREE_KICK: "by ",
    EventType.THROW_IN: "by ",
    EventType.GOAL_KICK: "by ",
}
_MAX_HINTS = 3


@dataclass(frozen=True)
class Hint:
    """`text` beside the event line makes `flags` known."""

    text: str
    flags: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        check_declared(self.flags, f"hint {self.text!r}")


def hints_of(facts: Facts, names: NameBook) -> tuple[Hint, ...]:
    """The most telling hints first, at most three; none where the event line says it all."""
    return tuple([*_story(facts), *_people(facts, names), *_place(facts)][:_MAX_HINTS])


def hint_text(hints: tuple[Hint, ...]) -> str:
    """ "Also: brace, back in front." or nothing."""
    return f" Also: {', '.join(hint.text for hint in hints)}." if hints else ""


def _story(facts: Facts) -> list[Hint]:
    flags, found = facts.flags, []
    if facts.event.type is EventType.GOAL and "match_goal" in flags and facts.event.player is not None:
        count = facts.state.goals_by(facts.event.player)
        if "brace" in flags:
            found.append(_hint("second goal", "brace again_ok"))
        elif "hat_trick" in flags:
            found.append(_hint("hat-trick", "hat_trick again_ok"))
        elif "many_of_player" in flags:
            found.append(_hint(f"goal number {count}", "many_of_player again_ok"))
    for flag, text in (
        ("turnaround", "turned around"),
        ("from_two_down", "from two down"),
        ("restores_lead", "back in front"),
    ):
        if flag in flags:
            found.append(_hint(text, flag + " came_back" if flag != "restores_lead" else "restores_lead again_ok"))
            break
    if "sent_off" in flags and "ten_men" in flags and facts.roles["ten_men"] & facts.roles.get("side", frozenset()):
        found.append(_hint("down to ten", "ten_men"))
    if facts.event.type is EventType.CORNER and "after_save" in flags:
        found.append(_hint("after the save", "after_save"))
    return found


def _people(facts: Facts, names: NameBook) -> list[Hint]:
    event, flags = facts.event, facts.flags
    short = names.surnames
    found = []
    if event.type is EventType.SUBSTITUTION and "double_substitution" in flags:
        others = [sub for sub in facts.state.substitutions if sub.event_id != event.event_id]
        last = others[-1] if others else None
        if last is not None and f"p:{last.player_on}" in facts.roles.get("on", ()):
            text = f"with {short[last.player_on]} for {short[last.player_off]}"
            found.append(_hint(text, "double_substitution"))
    elif event.type is EventType.SUBSTITUTION and "many_substitutions" in flags:
        found.append(_hint("more changes", "many_substitutions"))
    fouled = [key[2:] for key in facts.roles.get("fouled", ()) if key.startswith("p:")]
    if event.type is EventType.CARD and len(fouled) == 1 and "after_foul" in flags:
        found.append(_hint(f"foul on {short[fouled[0]]}", "after_foul has_fouled"))
    if event.type in _TAKEN and event.player:
        found.append(_hint(f"{_TAKEN[event.type]}{short[event.player]}", "has_player"))
    preposition = {EventType.TACKLE: "on", EventType.DRIBBLE: "past"}.get(event.type)
    if event.type is EventType.SHOT and event.outcome is ShotOutcome.BLOCKED:
        preposition = "by"
    if preposition and event.opponent:
        found.append(_hint(f"{preposition} {short[event.opponent]}", "has_opponent"))
    return found


def _place(facts: Facts) -> list[Hint]:
    flags, event = facts.flags, facts.event
    found = []
    if event.type in _ATTEMPTS and "from_penalty" not in flags:
        for flag, text in (("over", "over the bar"), ("wide", "wide")):
            if flag in flags:
                found.append(_hint(text, flag))
        for flag, text in (("long_range", "long range"), ("close_range", "close range")):
            if flag in flags:
                found.append(_hint(text, flag))
    if event.type is EventType.FREE_KICK and "final_third" in flags:
        found.append(_hint("final third", "final_third"))
    if event.type is EventType.FOUL and "own_half" in flags and "midfield" not in flags:
        found.append(_hint("near the goal", "own_half"))
    if event.type in _PLACED:
        if event.type not in (EventType.CORNER, EventType.THROW_IN):
            for flag, text in (("final_third", "final third"), ("midfield", "midfield"), ("own_half", "own half")):
                if flag in flags:
                    found.append(_hint(text, flag))
                    break
        for flag, text in (("left_side", "left"), ("right_side", "right")):
            if flag in flags:
                found.append(_hint(text, flag))
    if event.type is EventType.CLEARANCE and "header" in flags:
        found.append(_hint("header", "header"))
    return found


def _hint(text: str, flags: str) -> Hint:
    return Hint(text, frozenset(flags.split()))
