"""From text to a reading: every word becomes part of a name, number, claim or harmless phrase, or is refused."""

from __future__ import annotations

from commentary_llm.cue.facts import Facts
from commentary_llm.cue.facts.keys import Key
from commentary_llm.language.contract import Cause
from commentary_llm.language.en.gate.lexicon import Lexicon
from commentary_llm.language.en.gate.numbers import read_number
from commentary_llm.language.en.gate.reading import OBJECT_PRONOUNS, STOPS, Item, Reading
from commentary_llm.language.en.gate.refusal import Refused
from commentary_llm.language.en.names import NameBook
from commentary_llm.language.en.tokens import Token, tokenize

_KEEPERS = frozenset({"keeper", "goalkeeper"})
_PRONOUNS = frozenset(["he", "she", "they", "his", "her", "their", *OBJECT_PRONOUNS])
_OWNERS = frozenset({"keeper", "goalkeeper", "referee", "assistant"})


class ClauseReader:
    """Reads clauses of one match with one vocabulary."""

    def __init__(self, vocabulary: Lexicon, names: NameBook) -> None:
        self._lexicon = vocabulary
        self._names = names

    def read(self, clause: str, facts: Facts, context: str) -> Reading:
        """Raises Refused for a word or name outside the vocabulary.

        `context`: what the line has said before; its names are what pronouns of the clause may stand for, and the last
        name of an unfinished sentence is the subject that the clause goes on with.
        """
        earlier = self._names_by_sentence(context)
        tokens = tokenize(clause)
        items: list[Item] = []
        if earlier and earlier[-1] and context.rstrip()[-1] not in ".!?;…":
            items.append(Item("name", "the name before", keys=earlier[-1][-1], bound=True))
        i = 0
        while i < len(tokens):
            if tokens[i].kind == "mark":
                items.append(Item("mark", tokens[i].text))
                i += 1
                continue
            item, i = self._read_item(tokens, i, facts)
            items.append(item)
        return Reading(items, facts, earlier)

    def _names_by_sentence(self, context: str) -> tuple[tuple[frozenset[Key], ...], ...]:
        tokens = tokenize(context)
        sentences: list[list[frozenset[Key]]] = [[]]
        i = 0
        while i < len(tokens):
            if tokens[i].kind == "mark" and tokens[i].text in STOPS:
                sentences.append([])
            found = self._names.find(tokens, i) if tokens[i].capital else None
            if found is not None:
                sentences[-1].append(found[0])
            elif tokens[i].text in _KEEPERS:
                sentences[-1].append(frozenset({"k"}))
            i = found[1] if found is not None else i + 1
        return tuple(tuple(names) for names in (sentences if sentences[-1] else sentences[:-1]))

    def _read_item(self, tokens: list[Token], i: int, facts: Facts) -> tuple[Item, int]:
        vocabulary = self._lexicon
        token = tokens[i]
        name = self._names.find(tokens, i)
        if name is not None and (token.capital or tokens[name[1] - 1].capital or not self._ordinary(tokens, i)):
            keys, end = name
            return Item("name", tokens[end - 1].text, keys=keys, possessive=tokens[end - 1].possessive), end
        claim = vocabulary.longest_claim(tokens, i)
        relation = vocabulary.longest_relation(tokens, i)
        refused = vocabulary.longest_refused(tokens, i)
        neutral = vocabulary.longest_neutral(tokens, i)
        number = read_number(tokens, i)
        if claim is not None and (score := read_number(tokens, claim[1] - 1)) is not None and score.kind == "score":
            claim = None  # "by three goals to two": the number is a score, not a margin
        ends = {
            "number": number.end if number else 0,
            "claim": claim[1] if claim else 0,
            "refused": refused[1] if refused else 0,
            "neutral": neutral[1] if neutral else 0,
        }
        longest = max(ends.values())
        if (
            relation is not None
            and relation[1] >= longest
            and any(facts.holds(claim.condition) for claim in vocabulary.relations[relation[0]])
            and self._between_names(tokens, i, relation[1])
        ):
            return Item("relation", " ".join(relation[0]), claims=vocabulary.relations[relation[0]]), relation[1]
        if claim is not None and ends["claim"] == longest:
            return Item("claim", " ".join(claim[0]), claims=vocabulary.claims[claim[0]]), claim[1]
        if refused is not None and ends["refused"] == longest:
            raise Refused(vocabulary.refused[refused[0]], " ".join(refused[0]))
        if neutral is not None and ends["neutral"] == longest:
            if tokens[neutral[1] - 1].possessive and len(neutral[0]) == 1 and neutral[0][0] not in _OWNERS:
                raise Refused(Cause.UNKNOWN_WORD, tokens[neutral[1] - 1].raw)
            if len(neutral[0]) == 1 and neutral[0][0] in _KEEPERS:
                return Item("name", neutral[0][0], keys=frozenset({"k"}), possessive=token.possessive), neutral[1]
            text = " ".join(neutral[0])
            return Item("pronoun" if text in _PRONOUNS else "word", text), neutral[1]
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

    def _between_names(self, tokens: list[Token], start: int, end: int) -> bool:
        def player(found: tuple[frozenset[Key], int] | None) -> bool:
            return found is not None and all(key.startswith("p:") for key in found[0])

        before = any(
            tokens[start - 1].capital
            and (found := self._names.find(tokens, j)) is not None
            and found[1] == start
            and player(found)
            for j in range(max(0, start - 5), start)
        )
        return before and end < len(tokens) and player(self._names.find(tokens, end))
