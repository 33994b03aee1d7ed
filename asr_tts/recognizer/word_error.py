"""Word error rate between what was said and what was heard."""

from __future__ import annotations

import re

from num2words import num2words
from rapidfuzz.distance import Levenshtein

from commentary_llm.ground.text import fold

_NUMBER = re.compile(r"\d+")
_ORDINAL = re.compile(r"\b(\d+)(?:st|nd|rd|th)\b")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_APOSTROPHE = re.compile(r"['`]")
_NOT_WORD = re.compile(r"[^a-z0-9]+")


def normalise_words(text: str) -> list[str]:
    """Words for comparison: lower case, accents and punctuation dropped, numbers in words ("80th": "eightieth")."""
    plain = _THOUSANDS.sub("", fold(text))
    plain = _ORDINAL.sub(lambda match: f" {num2words(int(match[1]), to='ordinal')} ", plain)
    plain = _NUMBER.sub(lambda match: f" {num2words(int(match[0]))} ", plain)
    return _NOT_WORD.sub(" ", _APOSTROPHE.sub("", plain)).split()


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """(errors, words said); errors are substitutions, deletions and insertions, the fewest possible (Levenshtein)."""
    reference, found = normalise_words(said), normalise_words(heard)
    return Levenshtein.distance(reference, found), len(reference)


def word_error_rate(said: str, heard: str) -> float:
    """Errors per word said; above 1 when more was heard than said, 0 when neither holds a word."""
    errors, words = word_errors(said, heard)
    return errors / max(words, 1)
