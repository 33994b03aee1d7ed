"""Which words of an announcement were heard, missed or misheard."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from asr_tts.recognizer.word_error import normalise_words

# A written word without the punctuation around it.
_WORD = re.compile(r"\w(?:\S*\w)?")


@dataclass(frozen=True)
class Piece:
    """A stretch of text as written; `wrong` where the other side has no equal word."""

    text: str
    wrong: bool


@dataclass(frozen=True)
class WordDiff:
    """Both texts cut into right and wrong stretches. Concatenated, the pieces of a side are that side's text."""

    heard: tuple[Piece, ...]
    announced: tuple[Piece, ...]
    error: float = 0.0  # edits divided by the announcement's words


def word_diff(heard: str, announced: str) -> WordDiff:
    """Aligns the words of both with the fewest edits, compared as `normalise_words` spells them.

    A written word may be several to the ear ("23"); it is wrong when any of them is.
    """
    left = list(_WORD.finditer(heard))
    right = list(_WORD.finditer(announced))
    left_of, left_words = _spell(left)
    right_of, right_words = _spell(right)
    left_wrong = set(range(len(left_words)))
    right_wrong = set(range(len(right_words)))
    for run in Levenshtein.opcodes(left_words, right_words):
        if run.tag == "equal":
            left_wrong.difference_update(range(run.src_start, run.src_end))
            right_wrong.difference_update(range(run.dest_start, run.dest_end))
    return WordDiff(
        _pieces(heard, left, {left_of[index] for index in left_wrong}),
        _pieces(announced, right, {right_of[index] for index in right_wrong}),
        Levenshtein.distance(left_words, right_words) / max(1, len(right_words)),
    )


def _spell(written: list[re.Match[str]]) -> tuple[list[int], list[str]]:
    """The words to the ear, and for each the index of the written word it belongs to."""
    spelt = [(index, word) for index, match in enumerate(written) for word in normalise_words(match.group())]
    return [index for index, _ in spelt], [word for _, word in spelt]


def _pieces(text: str, words: list[re.Match[str]], wrong: set[int]) -> tuple[Piece, ...]:
    """Cuts `text` where a wrong stretch starts or ends; neighbouring wrong words share one piece."""
    pieces: list[Piece] = []
    done = index = 0
    while index < len(words):
        if index not in wrong:
            index += 1
            continue
        last = index
        while last + 1 < len(words) and last + 1 in wrong:
            last += 1
        start, end = words[index].start(), words[last].end()
        if start > done:
            pieces.append(Piece(text[done:start], wrong=False))
        pieces.append(Piece(text[start:end], wrong=True))
        done = end
        index = last + 1
    if done < len(text):
        pieces.append(Piece(text[done:], wrong=False))
    return tuple(pieces)
