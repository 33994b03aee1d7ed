"""What a word that nobody knows was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher


def likeness(word: str, other: str) -> float:
    """0 (nothing in common) to 1 (equal, but for case): twice the characters that match, over all characters."""
    return SequenceMatcher(None, word.lower(), other.lower(), autojunk=False).ratio()


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that is most like `word`; None only when there is none."""
    return max(known, key=lambda name: likeness(word, name), default=None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'torch'?`, or '' when nothing is known."""
    name = nearest(word, known)
    return "" if name is None else f"; did you mean {name!r}?"
