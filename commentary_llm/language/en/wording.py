"""How varied words are: pairs of neighbouring words, and what counts as the same line."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from commentary_llm.language.en.tokens import normalize_line

Bigram = tuple[str, str]


def bigrams(text: str) -> list[Bigram]:
    """Pairs of neighbouring words of one text, in order; case, diacritics and punctuation do not tell words apart."""
    return list(pairwise(normalize_line(text).split()))


def distinct_2(texts: Iterable[str]) -> float:
    """Different pairs of neighbouring words over all of them, in [0, 1] (Li et al. 2016, arXiv:1510.03055).

    Pairs are counted within each text, not across two. 0 without any.
    """
    pairs = [pair for text in texts for pair in bigrams(text)]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def exact_repeats(texts: Iterable[str]) -> int:
    """How many texts had been said before, word for word; case and punctuation aside. Empty ones do not count."""
    lines = [line for line in map(normalize_line, texts) if line]
    return len(lines) - len(set(lines))


def without_opener(text: str, opener: str) -> str:
    """What follows `opener` in the line `text`; nothing when the line was cut off within its opener."""
    if not opener:
        return text
    if text.startswith(opener):
        return text[len(opener) :].strip()
    said, begun = normalize_line(text), normalize_line(opener)
    return "" if begun.startswith(said) else text
