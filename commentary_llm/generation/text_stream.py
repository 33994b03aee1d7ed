"""Tokens of one candidate into text that never has to be taken back: whole characters, no piece of a stop string."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

_CONTEXT_TOKENS = 6
_INCOMPLETE = "\ufffd"


class Decoder(Protocol):
    """Token ids to text; bytes of an unfinished character become U+FFFD at the end."""

    def decode(self, token_ids: Sequence[int]) -> str: ...


class Detokenizer:
    """Text of a growing token list.

    Decodes a short window instead of the whole: what tokens look like depends on their neighbours (leading spaces,
    characters whose bytes are spread over several tokens), but only on near ones.
    """

    def __init__(self, decoder: Decoder, prompt: Sequence[int]) -> None:
        self._decoder = decoder
        self._window = list(prompt[-_CONTEXT_TOKENS:])
        while self._window and decoder.decode(self._window).endswith(_INCOMPLETE):
            self._window.pop(0)
        self._done = len(self._window)

    def push(self, token: int) -> str:
        """Text that is final with this token; '' while a character's bytes are incomplete."""
        self._window.append(token)
        text = self._pending()
        if text.endswith(_INCOMPLETE):
            return ""
        self._window = self._trimmed()
        self._done = len(self._window)
        return text

    def flush(self) -> str:
        """What is left at the end, without the bytes of a character that never became whole."""
        text = self._pending().rstrip(_INCOMPLETE)
        self._done = len(self._window)
        return text

    def _pending(self) -> str:
        before = self._decoder.decode(self._window[: self._done])
        return self._decoder.decode(self._window)[len(before) :]

    def _trimmed(self) -> list[int]:
        """The last tokens, beginning with a whole character, so that the window's own text is stable."""
        for size in range(min(_CONTEXT_TOKENS, len(self._window)), 0, -1):
            window = self._window[-size:]
            if not self._decoder.decode(window).startswith(_INCOMPLETE):
                return window
        return []


class StopMatcher:
    """Holds text back while it may be the beginning of a stop string."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(stop)
        self._held = ""

    def push(self, text: str) -> tuple[str, bool]:
        """Text that may go out, and whether a stop string was found; nothing from it on ever goes out."""
        self._held += text
        if not self._stop:
            return self.flush(), False
        found = [at for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if found:
            out, self._held = self._held[: min(found)], ""
            return out, True
        keep = max(_overlap(self._held, stop) for stop in self._stop)
        cut = len(self._held) - keep
        out, self._held = self._held[:cut], self._held[cut:]
        return out, False

    def flush(self) -> str:
        """The text held back, when no more comes."""
        out, self._held = self._held, ""
        return out


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a proper beginning of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
