"""How Zumu is taken apart, and how it is spoken: as it is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from commentary_llm.ground.text import fold, strip_marks

_WORD = re.compile(r"[^\W_]+")
_CLAUSE = re.compile(r"\s*(\S[^.!]*[.!])(?=\s)")
_LITTLE = frozenset({"va", "e"})


class ZumuSplitter:
    def __init__(self) -> None:
        self._text = ""

    def push(self, piece: str) -> list[str]:
        self._text += piece
        clauses = []
        while found := _CLAUSE.match(self._text):
            clauses.append(found[1])
            self._text = self._text[found.end() :]
        return clauses

    def flush(self) -> list[str]:
        rest, self._text = self._text.strip(), ""
        return [rest] if rest else []


class ZumuRules:
    def words(self, text: str) -> tuple[str, ...]:
        return tuple(_WORD.findall(fold(text)))

    def telling(self, text: str) -> frozenset[str]:
        return frozenset(self.words(text)) - _LITTLE

    def splitter(self) -> ZumuSplitter:
        return ZumuSplitter()


class ZumuSpeech:
    version = "zumu-1"
    trial_lines = ("Bolu!",)
    endings: Mapping[str, Callable[[str], str]] = {}

    def normalize(self, text: str, known_names: frozenset[str]) -> str:
        return " ".join(re.sub(r"[^A-Za-z\s.,!?;:]", " ", strip_marks(text)).split())

    def plain(self, name: str) -> str:
        return strip_marks(name)

    def names(self, espeak_voice: str) -> Mapping[str, str]:
        return {}
