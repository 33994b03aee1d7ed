"""Joins the texts of two windows that overlap."""

from __future__ import annotations

from difflib import SequenceMatcher

from asr_tts.recognizer.word_error import normalise_words

# Words that the overlap can hold, with some to spare: 2.5 s at 4 words a second.
_SEARCH_WORDS = 14
# A shorter run ("the", "to a") stands in both texts by chance.
_LEAST_LETTERS = 5


def stitch(older: str, newer: str) -> str:
    """`older` followed by `newer`, with the words that both heard once.

    The texts are joined at the longest run of equal words (case, accents and punctuation aside) between the end of
    `older` and the start of `newer`: what stands after the run in `older` and before it in `newer` was cut by the
    windows' edges and is left out. Without a common run one simply follows the other.
    """
    before, after = older.split(), newer.split()
    tail, head = before[-_SEARCH_WORDS:], after[:_SEARCH_WORDS]
    match = SequenceMatcher(None, [_key(word) for word in tail], [_key(word) for word in head], autojunk=False)
    run = match.find_longest_match()
    if sum(len(_key(word)) for word in head[run.b : run.b + run.size]) < _LEAST_LETTERS:
        return " ".join(before + after)
    return " ".join(before[: len(before) - len(tail) + run.a] + after[run.b :])


def _key(word: str) -> str:
    return " ".join(normalise_words(word))
