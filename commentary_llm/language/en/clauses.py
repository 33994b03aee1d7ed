"""Cuts streaming text into clauses that can be checked and spoken while the rest is still being written."""

from __future__ import annotations

import re

_CLOSERS = "\"'”’)]»"
# Full stops after these do not end a sentence. Compared in lower case, without the stop.
_ABBREVIATIONS = frozenset({"st", "mr", "mrs", "ms", "dr", "jr", "sr", "vs", "v", "prof", "mt"})
_LAST_WORD = re.compile(r"([^\W\d_][\w'’]*)$")
_NUMERO = re.compile(r"(?:^|\W)nos?$", re.IGNORECASE)


class EnglishSplitter:
    """Text pieces in, whole clauses out; the cut never depends on how the text was chunked.

    A clause ends at `.`, `!`, `?`, an ellipsis, `;`, `:` or a dash between words, and at a comma once at least
    `min_comma_words` words stand before it. It never ends inside "90+4", "3-2", "1.5", "St. Louis", "No. 10" or
    after an initial ("E. Martínez"). Joined with single spaces the clauses are the input up to whitespace.

        splitter = EnglishSplitter()
        for piece in tokens:
            for clause in splitter.push(piece):
                ...
        for clause in splitter.flush():
            ...
    """

    def __init__(self, min_comma_words: int = 5, max_words: int = 40) -> None:
        self._min_comma_words = min_comma_words
        self._max_words = max_words
        self._text = ""

    def push(self, piece: str) -> list[str]:
        """Adds `piece`; returns the clauses that are complete now (outer whitespace removed)."""
        self._text += piece
        clauses = []
        while (end := self._find_end(self._text)) is not None:
            clause, self._text = self._text[:end].strip(), self._text[end:]
            if clause:
                clauses.append(clause)
        return clauses

    def flush(self) -> list[str]:
        """The rest as the last clause, if any; the splitter is empty afterwards."""
        rest, self._text = self._text.strip(), ""
        return [rest] if rest else []

    def _find_end(self, text: str) -> int | None:
        """Index after the first clause, or None while it is open.

        A mark counts only once a whitespace stands after it: until then "3." may become "3.5" and "!" become "!!".
        """
        words = 0
        in_word = False
        for i, char in enumerate(text):
            if char.isspace():
                words += in_word
                in_word = False
                # A model that never punctuates must not hold the sound back for ever.
                if words >= self._max_words:
                    return i + 1
                continue
            starts_word = not in_word
            in_word = True
            if char in ".!?…;:,—–-":
                if char in "—–-" and starts_word:
                    # A free-standing dash ends the clause and stays with it.
                    if i + 1 < len(text) and text[i + 1].isspace() and words:
                        return i + 1
                    continue
                end = self._after_mark(text, i)
                if end is None:
                    continue
                if text[i] == "." and _NUMERO.search(text[:i]):
                    following = text[end:].lstrip()
                    if not following:
                        return None  # "No. 10" or a plain "No."? The next character tells.
                    if following[0].isdigit():
                        continue
                if self._ends_clause(text[:i], text[i:end], words + (0 if starts_word else 1)):
                    return end
        return None

    @staticmethod
    def _after_mark(text: str, i: int) -> int | None:
        """End of the run of marks and closing quotes from `i`; None unless whitespace follows within the text."""
        end = i + 1
        while end < len(text) and (text[end] in ".!?…—–" or text[end] in _CLOSERS):
            end += 1
        if end < len(text) and text[end].isspace():
            return end
        return None

    def _ends_clause(self, before: str, mark: str, words: int) -> bool:
        first = mark[0]
        if words == 0:
            return False
        if first in "—–":
            return True
        if first == "-":
            return False
        if first == ",":
            return words >= self._min_comma_words
        if first == "." and "." not in mark[1:]:
            last = _LAST_WORD.search(before)
            if last is not None:
                word = last.group(1).lower()
                alone = last.start() == 0 or before[last.start() - 1] in " \t\n.("
                if word in _ABBREVIATIONS:
                    return False
                if len(word) == 1 and alone and last.group(1).isupper() and last.group(1) != "I":
                    return False
        return True
