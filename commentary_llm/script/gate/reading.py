"""A clause taken apart: its parts in order, and which names a part reaches."""

from __future__ import annotations

from dataclasses import dataclass, field

from commentary_llm.script.facts import Facts
from commentary_llm.script.gate.lexicon import Claim
from commentary_llm.script.gate.numbers import NumberClaim
from commentary_llm.script.names import Key

_PREPOSITIONS = frozenset(
    [
        "for",
        "by",
        "from",
        "to",
        "past",
        "against",
        "of",
        "off",
        "on",
        "at",
        "with",
        "into",
        "over",
        "under",
        "beyond",
        "towards",
        "between",
        "through",
        "behind",
    ]
)
_BREAKS = frozenset(',;:!?.…—–()"“”')
STOPS = frozenset(".!?;…")
CONJUNCTIONS = frozenset({"and", "but", "as", "while", "who", "then", "so", "now"})


@dataclass
class Item:
    """One part of a clause: a name, claim, number phrase, plain word or mark."""

    kind: str  # name, claim, relation, number, word, mark
    text: str
    keys: frozenset[Key] = frozenset()
    key: Key | None = None  # the one meant, once resolved
    possessive: bool = False
    claims: tuple[Claim, ...] = ()
    number: NumberClaim | None = None
    bound: bool = False


@dataclass
class Reading:
    """A clause taken apart, with what it is judged against."""

    items: list[Item]
    facts: Facts
    participants: frozenset[Key] = field(default_factory=frozenset)

    def name_before(self, index: int) -> Item | None:
        """The nearest name before `index` in the same sentence."""
        for item in reversed(self.items[:index]):
            if item.kind == "mark" and item.text in STOPS:
                return None
            if item.kind == "name" and not (item.key or "").startswith("x:"):
                return item
        return None

    def names_after(self, index: int) -> list[tuple[Item, str | None]]:
        """Names bound by what ends at `index`, with the preposition before each: "foul by Messi on Rabiot".

        A mark, a conjunction or another claim ends the reach; so does a second name without a preposition.
        """
        found: list[tuple[Item, str | None]] = []
        preposition = None
        direct = True
        for item in self.items[index + 1 :]:
            if item.kind == "name":
                if (item.key or "").startswith("x:") or (preposition is None and (found or not direct)):
                    break
                if item.possessive:
                    break  # "Argentina's second": the name belongs to what follows
                found.append((item, preposition))
                preposition = None
            elif (
                item.kind in ("claim", "relation", "number")
                or item.text in CONJUNCTIONS
                or (item.kind == "mark" and item.text in _BREAKS)
            ):
                break
            elif item.text in _PREPOSITIONS:
                preposition = item.text
            elif item.text not in ("the", "a"):
                direct = False
        return found
