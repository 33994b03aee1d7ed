"""What may be said with and without the hints beside an event line.

`describe()` gives event, players, minute and score; `hints_of()` some of what it leaves out. A target that spoke of
more than the prompt shows would teach invention, so facts are cut down to what it does (`visible`).
"""

from __future__ import annotations

from dataclasses import replace

from commentary_llm.cue.facts import Facts
from commentary_llm.language.en.hints import Hint
from commentary_llm.language.en.names import NameBook
from commentary_llm.match import EventType

# True but not to be read from event line, minute and score.
_UNSEEN = frozenset(
    [
        "left_side", "right_side", "central", "final_third", "own_half", "opposing_half", "midfield", "in_box",
        "edge_of_box", "long_range", "close_range", "over", "wide", "after_save", "after_shot", "after_foul", "brace",
        "hat_trick", "many_of_player", "first_of_player", "restores_lead", "turnaround", "from_two_down", "came_back",
        "double_substitution", "many_substitutions", "ten_men", "short_handed", "again_ok", "has_opponent",
        "has_goalkeeper", "has_fouled",
    ]
)  # fmt: skip
# Flags the event line shows after all, by event type.
_SEEN_ON = {
    EventType.PERIOD_END: frozenset({"again_ok"}),
    EventType.PERIOD_START: frozenset({"again_ok"}),
}
_PEOPLE = ("player", "assist", "goalkeeper", "opponent", "receiver", "player_on")


def visible(facts: Facts, names: NameBook, hints: tuple[Hint, ...], line: str) -> Facts:
    """`facts` with no more than a reader of the event line and `hints`, together `line`, can know."""
    event = facts.event
    hidden = set(_UNSEEN - _SEEN_ON.get(event.type, frozenset()))
    if event.type is EventType.CLEARANCE:
        hidden.add("header")
    short = names.surnames
    for role in _PEOPLE:
        player = getattr(event, role)
        flag = f"has_{role}"
        if player is not None and short[player] in line:
            hidden.discard(flag)
        else:
            hidden.add(flag)
    told = frozenset().union(*(hint.flags for hint in hints))
    return replace(facts, flags=(facts.flags | told) - (hidden - told))
