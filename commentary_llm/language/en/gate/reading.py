"""A clause taken apart: its parts in order, and which names and pronouns a part reaches."""

from __future__ import annotations

from dataclasses import dataclass, field

from commentary_llm.cue.facts import Facts
from commentary_llm.cue.facts.keys import Key
from commentary_llm.language.en.gate.lexicon import Claim
from commentary_llm.language.en.gate.numbers import NumberClaim

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
_BODY = frozenset({"toes", "path", "way"})
OBJECT_PRONOUNS = frozenset({"him", "them", "himself", "herself", "themselves"})
CONJUNCTIONS = frozenset({"and", "but", "as", "while", "who", "then", "so", "now"})


@dataclass
class Item:
    """One part of a clause: a name, claim, number phrase, plain word or mark."""

    kind: str  # name, pronoun, claim, relation, number, word, mark
    text: str
    keys: frozenset[Key] = frozenset()
    key: Key | None = None  # the one meant, once resolved
    possessive: bool = False
    claims: tuple[Claim, ...] = ()
    number: NumberClaim | None = None
    bound: bool = False
    is_object: bool = False  # placed by a claim before it
    # Pronoun: whom it may stand for. Empty while nobody has been named: then it claims nothing.
    antecedents: frozenset[Key] = frozenset()


@dataclass
class Reading:
    """A clause taken apart, with what it is judged against."""

    items: list[Item]
    facts: Facts
    earlier: tuple[tuple[frozenset[Key], ...], ...] = ()  # names of the line's sentences before, sentence by sentence
    participants: frozenset[Key] = field(default_factory=frozenset)
    parts: list[tuple[Key, str]] = field(default_factory=list)  # names that claims have placed, with the roles

    def subject_before(self, index: int) -> Item | None:
        """The nearest name or pronoun before `index` in the same sentence."""
        for item in reversed(self.items[:index]):
            if item.kind == "mark" and item.text in STOPS:
                return None
            if item.kind == "name" and not (item.key or "").startswith("x:"):
                return item
            if item.kind == "pronoun" and item.text not in OBJECT_PRONOUNS:
                return item
        return None

    def _of_body(self, name: Item) -> bool:
        """ "off Messi's toes": the name stands for the man."""
        at = next(i for i, item in enumerate(self.items) if item is name)
        return at + 1 < len(self.items) and self.items[at + 1].text in _BODY

    def joined_before(self, name: Item) -> list[Item]:
        """Free players joined to `name` by "and": the others of "Messi and Álvarez combine"."""
        at = next(i for i, item in enumerate(self.items) if item is name)
        joined = []
        while at >= 2 and self.items[at - 1].text == "and":
            other = self.items[at - 2]
            if other.kind != "name" or other.bound or other.possessive or (other.key or " ")[0] not in "pk":
                break
            joined.append(other)
            at -= 2
        return joined

    def words_before(self, index: int) -> set[str]:
        """The plain words between a part and the name, mark, claim or conjunction before it."""
        words: set[str] = set()
        for item in reversed(self.items[:index]):
            if item.kind != "word" or item.text in CONJUNCTIONS:
                break
            words.update(item.text.split())
        return words

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
                if item.possessive and not self._of_body(item):
                    break  # "Argentina's second": the name belongs to what follows
                found.append((item, preposition))
                preposition = None
            elif item.kind == "pronoun" and item.text in OBJECT_PRONOUNS and (direct or preposition is not None):
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
