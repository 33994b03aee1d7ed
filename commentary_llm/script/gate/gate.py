"""The fact gate: lets a clause through only if every word of it is known and every claim in it is true.

Vocabulary is closed (data files beside this module). Each token has to be part of a name of this match, a number
phrase that is checked, a claim whose conditions hold and whose names fill the right parts, or a word that asserts
nothing. Whatever the gate does not understand it refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from commentary_llm.script.cue import Cue
from commentary_llm.script.facts import Facts, facts_of, match_seconds
from commentary_llm.script.gate.counts import NumberJudge
from commentary_llm.script.gate.lexicon import Claim, Lexicon, lexicon
from commentary_llm.script.gate.numbers import NumberClaim, read_number
from commentary_llm.script.gate.verdict import PASSED, Cause, Refused, Verdict
from commentary_llm.script.history import LineHistory
from commentary_llm.script.names import Key, NameBook, name_book
from commentary_llm.script.tokens import Token, tokenize

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
_STOPS = frozenset(".!?;…")
_CONJUNCTIONS = frozenset({"and", "but", "as", "while", "who", "then", "so", "now"})
# Nouns that turn "the France …" into the place or men of the side under attack.
_OPPOSED_NOUNS = frozenset(
    [
        "box",
        "area",
        "goal",
        "half",
        "defence",
        "defenders",
        "defender",
        "keeper",
        "goalkeeper",
        "wall",
        "goalmouth",
        "penalty",
        "back",
        "line",
    ]
)
_LETTERS = re.compile(r"[^\W\d_]")
_ALLOWED = re.compile(r"[\w\s.,;:!?…'’‘\"“”()\-–—+&/]*", re.UNICODE)
_DANGLING = frozenset(
    [
        "a",
        "an",
        "the",
        "and",
        "or",
        "of",
        "to",
        "from",
        "by",
        "with",
        "his",
        "her",
        "their",
        "its",
        "at",
        "into",
        "for",
        "as",
        "is",
        "are",
        "was",
        "this",
        "that",
        "these",
        "those",
        "my",
    ]
)


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
            if item.kind == "mark" and item.text in _STOPS:
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
                or item.text in _CONJUNCTIONS
                or (item.kind == "mark" and item.text in _BREAKS)
            ):
                break
            elif item.text in _PREPOSITIONS:
                preposition = item.text
            elif item.text not in ("the", "a"):
                direct = False
        return found


class FactGate:
    """Judges clauses one by one. Stateless; safe to share between threads."""

    def __init__(self, vocabulary: Lexicon | None = None) -> None:
        self._lexicon = vocabulary or lexicon()

    def check(self, clause: str, cue: Cue, said_before: LineHistory | None = None, context: str = "") -> Verdict:
        """Whether `clause` may be said now about `cue.event`, against `cue.state`.

        `said_before`: refuses what was said within its window of match time; None leaves repetition unchecked.
        `context`: the clauses of the same line before this one; a name in them may be what "who scores" speaks of.
        """
        try:
            self._check_form(clause, cue)
            facts = facts_of(cue.event, cue.state)
            reading = self._read(clause, facts, self._lead_in(context, facts))
            self._resolve_names(reading)
            self._check_claims(reading)
            NumberJudge(reading).check()
            self._check_loose_names(reading)
        except Refused as refused:
            return refused.verdict
        if said_before is not None and said_before.said(clause, match_seconds(cue.event)):
            return Verdict(ok=False, cause=Cause.REPETITION, detail=clause)
        return PASSED

    # Form

    @staticmethod
    def _check_form(clause: str, cue: Cue) -> None:
        text = clause.strip()
        if not _LETTERS.search(text):
            raise Refused(Cause.FORM, "no words")
        if not _ALLOWED.fullmatch(text) or any(ord(char) > 0x24F and char not in "…’‘“”–—" for char in text):
            raise Refused(Cause.FORM, "characters that are no English prose")
        if len(text.split()) > max(cue.max_words, 4) + 4:
            raise Refused(Cause.FORM, f"{len(text.split())} words, at most {cue.max_words}")
        if "?" in text:
            raise Refused(Cause.UNCERTAIN, "a question")
        if text.endswith("-") or text.split()[-1].lower() in _DANGLING:
            raise Refused(Cause.FORM, f"broken off after {text.split()[-1]!r}")

    # Reading

    def _lead_in(self, context: str, facts: Facts) -> Item | None:
        """The last name of an unfinished sentence before the clause."""
        if not context.strip() or context.rstrip()[-1] in ".!?;…":
            return None
        tokens = tokenize(context)
        book = name_book(facts.state.info)
        found = [name for i in range(len(tokens)) if tokens[i].capital and (name := book.find(tokens, i)) is not None]
        last = max(found, key=lambda name: name[1], default=None)
        return Item("name", "the name before", keys=last[0], bound=True) if last is not None else None

    def _read(self, clause: str, facts: Facts, lead_in: Item | None = None) -> Reading:
        tokens = tokenize(clause)
        book = name_book(facts.state.info)
        items: list[Item] = [lead_in] if lead_in is not None else []
        i = 0
        while i < len(tokens):
            if tokens[i].kind == "mark":
                items.append(Item("mark", tokens[i].text))
                i += 1
                continue
            item, i = self._read_item(tokens, i, book)
            items.append(item)
        return Reading(items, facts)

    def _read_item(self, tokens: list[Token], i: int, book: NameBook) -> tuple[Item, int]:
        vocabulary = self._lexicon
        token = tokens[i]
        name = book.find(tokens, i)
        if name is not None and (token.capital or tokens[name[1] - 1].capital or not self._ordinary(tokens, i)):
            keys, end = name
            return Item("name", tokens[end - 1].text, keys=keys, possessive=tokens[end - 1].possessive), end
        claim = vocabulary.longest_claim(tokens, i)
        relation = vocabulary.longest_relation(tokens, i)
        refused = vocabulary.longest_refused(tokens, i)
        neutral = vocabulary.longest_neutral(tokens, i)
        number = read_number(tokens, i)
        ends = {
            "number": number.end if number else 0,
            "claim": claim[1] if claim else 0,
            "refused": refused[1] if refused else 0,
            "neutral": neutral[1] if neutral else 0,
        }
        longest = max(ends.values())
        if relation is not None and relation[1] >= longest and self._between_names(tokens, i, relation[1], book):
            return Item("relation", " ".join(relation[0]), claims=vocabulary.relations[relation[0]]), relation[1]
        if claim is not None and ends["claim"] == longest:
            return Item("claim", " ".join(claim[0]), claims=vocabulary.claims[claim[0]]), claim[1]
        if refused is not None and ends["refused"] == longest:
            raise Refused(vocabulary.refused[refused[0]], " ".join(refused[0]))
        if neutral is not None and ends["neutral"] == longest:
            if tokens[neutral[1] - 1].possessive and len(neutral[0]) == 1 and neutral[0][0] not in _OWNERS:
                raise Refused(Cause.UNKNOWN_WORD, tokens[neutral[1] - 1].raw)
            if len(neutral[0]) == 1 and neutral[0][0] in ("keeper", "goalkeeper"):
                return Item("name", neutral[0][0], keys=frozenset({"k"}), possessive=token.possessive), neutral[1]
            return Item("word", " ".join(neutral[0])), neutral[1]
        if number is not None:
            return Item("number", " ".join(t.raw for t in tokens[i : number.end]), number=number), number.end
        capital = token.capital and i > 0 and tokens[i - 1].text not in '.!?"'
        raise Refused(Cause.UNKNOWN_NAME if capital else Cause.UNKNOWN_WORD, token.raw)

    def _ordinary(self, tokens: list[Token], i: int) -> bool:
        vocabulary = self._lexicon
        return (
            vocabulary.longest_neutral(tokens, i) is not None
            or vocabulary.longest_claim(tokens, i) is not None
            or vocabulary.longest_refused(tokens, i) is not None
        )

    @staticmethod
    def _between_names(tokens: list[Token], start: int, end: int, book: NameBook) -> bool:
        def player(found: tuple[frozenset[Key], int] | None) -> bool:
            return found is not None and all(key.startswith("p:") for key in found[0])

        before = any(
            (found := book.find(tokens, j)) is not None and found[1] == start and player(found)
            for j in range(max(0, start - 5), start)
        )
        return before and end < len(tokens) and player(book.find(tokens, end))

    # Names

    def _resolve_names(self, reading: Reading) -> None:
        facts = reading.facts
        reading.participants = frozenset().union(*facts.roles.values()) if facts.roles else frozenset()
        for item in reading.items:
            if item.kind != "name":
                continue
            if len(item.keys) == 1:
                item.key = next(iter(item.keys))
            else:
                meant = item.keys & reading.participants
                if len(meant) != 1:
                    raise Refused(Cause.AMBIGUOUS_NAME if meant else Cause.PLAYER, item.text)
                item.key = next(iter(meant))
            if item.key.startswith("p:") and item.key not in reading.participants:
                raise Refused(Cause.PLAYER, f"{item.text} has no part in this event")
            if item.key == "k" and "keeper" not in facts.roles and "keeper_actor" not in facts.roles:
                raise Refused(Cause.PLAYER, "no goalkeeper has a part in this event")

    # Claims

    def _check_claims(self, reading: Reading) -> None:
        for index, item in enumerate(reading.items):
            if item.kind not in ("claim", "relation"):
                continue
            failures = []
            for claim in item.claims:
                failure = self._try_claim(reading, index, claim)
                if failure is None:
                    break
                failures.append(failure)
            else:
                # A wrong name says more than a wrong fact when both readings fail.
                raise next((f for f in failures if f.verdict.cause in (Cause.PLAYER, Cause.TEAM)), failures[0])

    @staticmethod
    def _try_claim(reading: Reading, index: int, claim: Claim) -> Refused | None:
        facts = reading.facts
        if not facts.holds(claim.condition):
            return Refused(claim.cause, claim.phrase)
        if claim.cause is Cause.SCORE and not facts.flags & {"takes_lead", "equaliser"} and _caused(reading, index):
            return Refused(Cause.SCORE, f"nobody brought about {claim.phrase!r} here")
        bound = []
        for name, preposition in reading.names_after(index):
            roles = claim.after if preposition is None else claim.prepositions.get(preposition)
            if roles is None and preposition is None:
                continue
            if roles is None:
                if not (preposition == "against" and name.key in facts.keys("other")):
                    return _wrong(name, claim)
            elif name.key not in facts.keys(roles):
                return _wrong(name, claim)
            bound.append(name)
        before = reading.name_before(index) if claim.before is not None else None
        if before is not None:
            if before.key in facts.keys(claim.before or ""):
                bound.append(before)
            elif not (claim.noun and bound):
                return _wrong(before, claim)
        for name in bound:
            name.bound = True
        return None

    @staticmethod
    def _check_loose_names(reading: Reading) -> None:
        """Names no claim has placed: they may only be those the event is about."""
        facts = reading.facts
        focus = facts.keys("focus")
        for index, item in enumerate(reading.items):
            if item.kind != "name" or item.bound or item.key is None or item.key[0] in "xc":
                continue
            if item.key.startswith("t:"):
                following = reading.items[index + 1] if index + 1 < len(reading.items) else None
                opposed = following is not None and following.text in _OPPOSED_NOUNS
                before = reading.items[index - 1] if index else None
                opposed = opposed or (before is not None and before.text == "against")
                sides = facts.roles.get("other" if opposed else "side", frozenset())
                if facts.event.team is None and facts.event.player is None:
                    continue  # a period or the clock: both sides are in it
                if item.key not in sides:
                    raise Refused(Cause.TEAM, item.text)
            elif item.key not in focus:
                raise Refused(Cause.PLAYER, item.text)


def _caused(reading: Reading, index: int) -> bool:
    """Whether the words say that somebody makes a side lead or be level: "sends Argentina ahead".

    Where no goal did that, only the side itself may stand before the words, not a verb with the side as object.
    """
    items = reading.items[:index]
    while items and items[-1].kind in ("word", "number") and items[-1].text not in _CONJUNCTIONS:
        items = items[:-1]
    if not items or items[-1].kind != "name" or not (items[-1].key or "").startswith("t:"):
        return False
    items = items[:-1]
    while items and items[-1].text in ("the", "los", "les"):
        items = items[:-1]
    return bool(items) and items[-1].kind == "word" and items[-1].text not in _BEFORE_SUBJECT


_BEFORE_SUBJECT = frozenset(
    [
        "and",
        "but",
        "as",
        "so",
        "now",
        "still",
        "with",
        "while",
        "then",
        "though",
        "although",
        "because",
        "where",
        "here",
        "for",
        "of",
        "again",
        "yet",
        "that",
        "it",
        "is",
    ]
)
_OWNERS = frozenset({"keeper", "goalkeeper", "referee", "assistant"})


def _wrong(name: Item, claim: Claim) -> Refused:
    cause = Cause.TEAM if (name.key or "").startswith("t:") else Cause.PLAYER
    return Refused(cause, f"{name.text} with {claim.phrase!r}")
