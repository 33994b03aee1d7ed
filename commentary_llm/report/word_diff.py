"""Which words of an announcement were heard, missed or misheard."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = re.compile(r"\w+(?:['’.]\w+)*")


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
    """Aligns the words of both with the fewest edits; case and punctuation do not count."""
    left = list(_WORD.finditer(heard))
    right = list(_WORD.finditer(announced))
    left_words = [_key(word.group()) for word in left]
    right_words = [_key(word.group()) for word in right]
    cost = [[row + column for column in range(len(right) + 1)] for row in range(len(left) + 1)]
    for row, left_word in enumerate(left_words, start=1):
        for column, right_word in enumerate(right_words, start=1):
            cost[row][column] = min(
                cost[row - 1][column - 1] + (left_word != right_word),
                cost[row - 1][column] + 1,
                cost[row][column - 1] + 1,
            )
    left_right: set[int] = set()
    right_right: set[int] = set()
    row, column = len(left), len(right)
    while row and column:
        equal = left_words[row - 1] == right_words[column - 1]
        if cost[row][column] == cost[row - 1][column - 1] + (not equal):
            row, column = row - 1, column - 1
            if equal:
                left_right.add(row)
                right_right.add(column)
        elif cost[row][column] == cost[row - 1][column] + 1:
            row -= 1
        else:
            column -= 1
    return WordDiff(
        _pieces(heard, left, left_right),
        _pieces(announced, right, right_right),
        cost[-1][-1] / max(1, len(right)),
    )


def _key(word: str) -> str:
    return word.casefold().replace("’", "'")


def _pieces(text: str, words: list[re.Match[str]], right: set[int]) -> tuple[Piece, ...]:
    """Cuts `text` where a wrong stretch starts or ends; neighbouring wrong words share one piece."""
    pieces: list[Piece] = []
    done = index = 0
    while index < len(words):
        if index in right:
            index += 1
            continue
        last = index
        while last + 1 < len(words) and last + 1 not in right:
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
