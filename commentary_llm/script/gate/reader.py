"""From text to a reading: every word becomes part of a name, number, claim or harmless phrase, or is refused."""

from __future__ import annotations

from commentary_llm.script.facts import Facts
from commentary_llm.script.gate.lexicon import Lexicon
from commentary_llm.script.gate.numbers import read_number
from commentary_llm.script.gate.reading import Item, Reading
from commentary_llm.script.gate.verdict import Cause, Refused
from commentary_llm.script.names import Key, NameBook, name_book
from commentary_llm.script.tokens import Token, tokenize

_OWNERS = frozenset({"keeper", "goalkeeper", "referee", "assistant"})


class ClauseReader:
    """Reads clauses with one vocabulary."""

    def __init__(self, vocabulary: Lexicon) -> None:
        self._lexicon = vocabulary

    def read(self, clause: str, facts: Facts, context: str) -> Reading:
        lead_in = self._lead_in(context, facts)
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

    @staticmethod
    def _lead_in(context: str, facts: Facts) -> Item | None:
        """The last name of an unfinished sentence before the clause."""
        if not context.strip() or context.rstrip()[-1] in ".!?;…":
            return None
        tokens = tokenize(context)
        book = name_book(facts.state.info)
        found = [name for i in range(len(tokens)) if tokens[i].capital and (name := book.find(tokens, i)) is not None]
        last = max(found, key=lambda name: name[1], default=None)
        return Item("name", "the name before", keys=last[0], bound=True) if last is not None else None

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
