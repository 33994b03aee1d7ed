"""How varied words are, and what telling lines apart needs of a language."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Protocol

from commentary_llm.ground.text import fold

Bigram = tuple[str, str]


class ClauseSplitter(Protocol):
    """Streaming text in, whole clauses out; joined with single spaces they are the text up to whitespace."""

    def push(self, piece: str) -> list[str]:
        """Adds `piece`; returns the clauses that are complete now."""
        ...

    def flush(self) -> list[str]:
        """The rest as the last clause, if any; the splitter is empty afterwards."""
        ...


class TextRules(Protocol):
    """How a language takes a text apart. Safe to share between threads."""

    def words(self, text: str) -> tuple[str, ...]:
        """Words and numbers as the ear tells them apart: case, marks and punctuation aside."""
        ...

    def telling(self, text: str) -> frozenset[str]:
        """Those words that carry news by themselves: no articles, no prepositions."""
        ...

    def splitter(self) -> ClauseSplitter:
        """A new splitter."""
        ...


def clauses_of(text: str, rules: TextRules) -> tuple[str, ...]:
    """The clauses of a whole text."""
    splitter = rules.splitter()
    return (*splitter.push(text), *splitter.flush())


def bigrams(words: Sequence[str]) -> list[Bigram]:
    """Pairs of neighbouring words of one text, in order."""
    return list(pairwise(words))


def distinct_2(texts: Iterable[Sequence[str]]) -> float:
    """Different pairs of neighbouring words over all of them, in [0, 1] (Li et al. 2016, arXiv:1510.03055).

    `texts` in words. Pairs are counted within each text, not across two. 0 without any.
    """
    pairs = [pair for words in texts for pair in bigrams(words)]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def exact_repeats(texts: Iterable[Sequence[str]]) -> int:
    """How many texts, in words, had been said before, word for word. Empty ones do not count."""
    lines = [tuple(words) for words in texts if words]
    return len(lines) - len(set(lines))


def without_opener(text: str, opener: str) -> str:
    """What follows `opener` in the line `text`; nothing when the line was cut off within its opener."""
    if not opener:
        return text
    if text.startswith(opener):
        return text[len(opener) :].strip()
    said, begun = ("".join(filter(str.isalnum, fold(each))) for each in (text, opener))
    return "" if begun.startswith(said) else text
