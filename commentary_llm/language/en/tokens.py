"""Clause text as folded tokens: lower case, no diacritics, possessives and contractions taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from commentary_llm.ground.text import fold

_DASH = "-‐‑–—"
_TOKEN = re.compile(
    rf"""(?P<chain>\d+(?:[{_DASH}]\d+)+)      # 3-2, 4-4-2
      | (?P<minute>\d+\+\d+)                  # 90+4
      | (?P<ordinal>\d+(?:st|nd|rd|th)\b)
      | (?P<number>\d+)
      | (?P<word>[^\W\d_]+(?:['’‘][^\W\d_]+)*)
      | (?P<space>\s+)
      | (?P<mark>.)""",
    re.VERBOSE,
)
# "it's" is a contraction, "Messi's" a possessive; only after these is it the former.
_CONTRACTING = frozenset(
    {"it", "that", "there", "he", "she", "what", "who", "here", "this", "where", "how", "let", "flag", "ball", "score"}
)
_AFTER_HAD = frozenset({"already", "been", "just"})
_IRREGULAR = {"can't": ("cannot",), "won't": ("will", "not")}
_CONTRACTIONS = {"ve": "have", "re": "are", "ll": "will", "d": "would", "m": "am"}


@dataclass(frozen=True)
class Token:
    """`text` is folded; `kind` is word, number, ordinal, minute, chain or mark."""

    text: str
    kind: str
    raw: str
    capital: bool = False
    possessive: bool = False


def tokenize(text: str) -> list[Token]:
    """Tokens of `text`; dashes inside words and all other marks are tokens of kind `mark`.

    "Messi's" is one possessive token "messi", "it's" is "it" "is", "didn't" is "did" "not".
    """
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "mark"
        raw = match.group()
        if kind == "space":
            continue
        if kind != "word":
            mark = fold(raw) if kind != "mark" else raw
            tokens.append(Token(re.sub(f"[{_DASH}]", "-", mark), kind, raw))
            continue
        words = _word(raw)
        if tokens and tokens[-1].raw.lower().endswith(("'d", "’d")) and words[0].text in _AFTER_HAD:
            tokens[-1] = Token("had", "word", tokens[-1].raw)  # "he'd already been booked", not "he'd score"
        tokens.extend(words)
    return tokens


def _word(raw: str) -> list[Token]:
    folded = fold(raw)
    capital = raw[0].isupper()
    head, quote, tail = folded.rpartition("'")
    if not quote:
        return [Token(folded, "word", raw, capital)]
    if tail == "s":
        if head in _CONTRACTING:
            return [Token(head, "word", raw, capital), Token("is" if head != "let" else "us", "word", raw)]
        return [Token(head.replace("'", ""), "word", raw, capital, possessive=True)]
    if folded in _IRREGULAR:
        return [Token(text, "word", raw, capital) for text in _IRREGULAR[folded]]
    if tail == "t" and head.endswith("n"):
        return [Token(head[:-1] or "n", "word", raw, capital), Token("not", "word", raw)]
    if tail in _CONTRACTIONS:
        return [Token(head, "word", raw, capital), Token(_CONTRACTIONS[tail], "word", raw)]
    return [Token(folded.replace("'", ""), "word", raw, capital)]


@lru_cache(maxsize=4096)
def words_of(text: str) -> tuple[str, ...]:
    """Folded words of a name or phrase, without marks: "Marc-André ter Stegen" -> marc andre ter stegen."""
    return tuple(token.text for token in tokenize(text) if token.kind != "mark")


def spoken_words(text: str) -> tuple[str, ...]:
    """The words and numbers of a line as the ear tells them apart, folded."""
    return tuple(token.text + ("'s" if token.possessive else "") for token in tokenize(text) if token.kind != "mark")
