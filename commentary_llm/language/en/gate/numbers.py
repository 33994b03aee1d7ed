"""Reads the numbers of a clause as claims: scores, minutes, counts, formations, shirts."""

from __future__ import annotations

from dataclasses import dataclass

from commentary_llm.language.en.tokens import Token

_UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = dict(
    zip(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], range(20, 100, 10), strict=True)
)
_CARDINALS = {word: value for value, word in enumerate(_UNITS)} | {"nil": 0, "nothing": 0, "hundred": 100}
_ORDINALS = {
    word: value
    for value, word in enumerate(
        [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
            "thirteenth",
            "fourteenth",
            "fifteenth",
            "sixteenth",
            "seventeenth",
            "eighteenth",
            "nineteenth",
            "twentieth",
        ],
        start=1,
    )
} | {word[:-1] + "ieth": value for word, value in _TENS.items()}
_MAX_GOALS = 15
_HOURS = (
    (["half", "an", "hour"], 30),
    (["a", "quarter", "of", "an", "hour"], 15),
    (["quarter", "of", "an", "hour"], 15),
    (["the", "half", "hour"], 30),
    (["an", "hour"], 60),
    (["the", "hour"], 60),
)
# What an ordinal may count, by the noun after it; a goal where no noun follows.
_COUNTED = {
    "goal": frozenset({"goal", "strike"}),
    "change": frozenset({"substitution", "change", "switch", "replacement", "sub"}),
    "card": frozenset({"card", "booking", "yellow", "caution"}),
    "penalty": frozenset({"penalty"}),
}
# Words that may follow an ordinal which stands alone ("his second of the night"); any other is a noun nobody counts.
_AFTER_ORDINAL = frozenset(
    ["for", "of", "in", "from", "by", "to", "at", "on", "with", "and", "but", "as", "so", "now", "what", "it", "that"]
) | frozenset(["this", "here", "today", "tonight", "too", "indeed", "is"])
_MATCH_WORDS = frozenset(["match", "game", "night", "evening", "afternoon", "final", "contest", "tie", "encounter"])


@dataclass(frozen=True)
class NumberClaim:
    """One number phrase.

    `kind`: score, level_score, formation, minute, minutes, ordinal, goals, burst, shirt or single.
    """

    kind: str
    values: tuple[int, ...]
    end: int  # index of the token after the phrase
    tail: str = ""  # the words after the value that give it its meaning


def cardinal(tokens: list[Token], i: int) -> tuple[int, int] | None:
    """Value and end of a cardinal at `i`: "7", "seven", "twenty-two"."""
    if i >= len(tokens):
        return None
    token = tokens[i]
    if token.kind == "number":
        return int(token.text), i + 1
    if token.kind != "word":
        return None
    if token.text in _TENS:
        j = _skip_dash(tokens, i + 1)
        if j < len(tokens) and tokens[j].text in _UNITS[1:10]:
            return _TENS[token.text] + _UNITS.index(tokens[j].text), j + 1
        return _TENS[token.text], i + 1
    if token.text in _CARDINALS and token.text != "nothing":
        return _CARDINALS[token.text], i + 1
    return None


def ordinal(tokens: list[Token], i: int) -> tuple[int, int] | None:
    """Value and end of an ordinal at `i`: "23rd", "third", "twenty-third"."""
    if i >= len(tokens):
        return None
    token = tokens[i]
    if token.kind == "ordinal":
        return int(token.text[:-2]), i + 1
    if token.kind != "word":
        return None
    if token.text in _TENS:
        j = _skip_dash(tokens, i + 1)
        if j < len(tokens) and 1 <= _ORDINALS.get(tokens[j].text, 0) <= 9:
            return _TENS[token.text] + _ORDINALS[tokens[j].text], j + 1
        return None
    if token.text in _ORDINALS:
        return _ORDINALS[token.text], i + 1
    return None


def _skip_dash(tokens: list[Token], i: int) -> int:
    return i + 1 if i < len(tokens) and tokens[i].text == "-" else i


def _word(tokens: list[Token], i: int) -> str:
    return tokens[i].text if i < len(tokens) else ""


def _words(tokens: list[Token], i: int, count: int) -> list[str]:
    return [token.text for token in tokens[i : i + count]]


def read_number(tokens: list[Token], i: int) -> NumberClaim | None:
    """The number phrase that begins at `i`, or None."""
    token = tokens[i]
    if token.kind == "chain":
        values = tuple(int(part) for part in token.text.split("-"))
        return NumberClaim("score" if len(values) == 2 else "formation", values, i + 1)
    if token.kind == "minute":
        base, added = token.text.split("+")
        end = i + 2 if _word(tokens, i + 1) in ("minute", "'") else i + 1
        return NumberClaim("minute", (int(base), int(added)), end)
    if token.text == "minute" and i + 1 < len(tokens) and tokens[i + 1].kind == "minute":
        base, added = tokens[i + 1].text.split("+")
        return NumberClaim("minute", (int(base), int(added)), i + 2)
    if token.text == "minute" and (found := cardinal(tokens, i + 1)):
        return NumberClaim("minute", (found[0], 0), found[1])
    if token.text in ("minute", "minutes"):
        return None
    if token.text == "number" and (found := cardinal(tokens, i + 1)):
        return NumberClaim("shirt", (found[0],), found[1])
    if token.text == "no" and _word(tokens, i + 1) == "." and (found := cardinal(tokens, i + 2)):
        return NumberClaim("shirt", (found[0],), found[1])
    for words, minutes in _HOURS:
        if _words(tokens, i, len(words)) == words:
            end = i + len(words)
            if _word(tokens, end) == "mark":
                return NumberClaim("minutes", (minutes,), end + 1, "played")
            return _minutes_phrase(tokens, minutes, end)
    if found := ordinal(tokens, i):
        return _ordinal_phrase(tokens, *found)
    if token.text == "double" and _word(tokens, i + 1) == "figures":
        return None
    if found := cardinal(tokens, i):
        return _cardinal_phrase(tokens, *found)
    return None


def _ordinal_phrase(tokens: list[Token], value: int, end: int) -> NumberClaim:
    following = _word(tokens, end)
    if following == "minute":
        return NumberClaim("minute", (value, 0), end + 1)
    tail = next((tail for tail, nouns in _COUNTED.items() if following in nouns), "")
    if tail:
        end += 1
        if tail == "card" and _word(tokens, end) == "card":
            end += 1
        following = _word(tokens, end)
    elif (
        end < len(tokens) and tokens[end].kind == "word" and not tokens[end].capital and following not in _AFTER_ORDINAL
    ):
        tail = "unknown"
    of_the = following == "of" and _word(tokens, end + 1) in ("the", "this")
    if tail in ("", "goal", "card", "penalty", "change") and of_the and _word(tokens, end + 2) in _MATCH_WORDS:
        return NumberClaim("ordinal", (value,), end + 3, f"{tail or 'goal'} of the match")
    return NumberClaim("ordinal", (value,), end, tail)


def _cardinal_phrase(tokens: list[Token], value: int, end: int) -> NumberClaim:
    following = _word(tokens, end)
    if following == "-" and _word(tokens, end + 1) == "all":
        end += 1
        following = "all"
    if following == "'":
        return NumberClaim("minute", (value, 0), end + 1)
    if following == "all" and value <= _MAX_GOALS:
        return NumberClaim("level_score", (value, value), end + 1)
    if following in ("apiece", "each"):
        return NumberClaim("level_score", (value, value), end + 1)
    j = end
    if following in ("goal", "goals"):
        j += 1
        if _word(tokens, j) in ("apiece", "each", "all"):
            return NumberClaim("level_score", (value, value), j + 1)
    found = cardinal(tokens, j + 1) if _word(tokens, j) in ("to", "-") else None
    if found is not None and max(value, found[0]) <= _MAX_GOALS:
        close = found[1] + (_word(tokens, found[1]) in ("goal", "goals"))
        return NumberClaim("score", (value, found[0]), close)
    if (found := cardinal(tokens, end)) and value <= _MAX_GOALS and found[0] <= _MAX_GOALS:
        return NumberClaim("score", (value, found[0]), found[1])
    if (
        _words(tokens, j, 1) == ["in"]
        and (k := j + 4 if _words(tokens, j + 1, 3) == ["the", "space", "of"] else j + 1)
        and (span := cardinal(tokens, k))
        and _word(tokens, span[1]) in ("minute", "minutes")
    ):
        return NumberClaim("burst", (value, span[0]), span[1] + 1)
    if following in ("more", "added", "additional", "extra") and _word(tokens, end + 1) in ("minute", "minutes"):
        return NumberClaim("minutes", (value,), end + 2, "board")
    if following in ("minute", "minutes"):
        return _minutes_phrase(tokens, value, end + 1)
    if following in ("to", "left") and _words(tokens, end, 2) == ["to", "go"]:
        return NumberClaim("minutes", (value,), end + 2, "remaining")
    if j > end:
        return NumberClaim("goals", (value,), j)
    return NumberClaim("single", (value,), end, following)


def _minutes_phrase(tokens: list[Token], value: int, end: int) -> NumberClaim:
    words = _words(tokens, end, 4)
    for tail, kind in (
        (("to", "go"), "remaining"),
        (("to", "play"), "remaining_or_board"),
        (("left", "to", "play"), "remaining"),
        (("of", "extra", "time", "left"), "remaining"),
        (("of", "normal", "time", "left"), "remaining"),
        (("left",), "remaining"),
        (("remaining",), "remaining"),
        (("from", "time"), "remaining"),
        (("to", "be", "added"), "board"),
        (("added", "on"), "board"),
        (("added",), "board"),
        (("more",), "board"),
        (("of", "stoppage", "time"), "board"),
        (("of", "added", "time"), "board"),
        (("of", "injury", "time"), "board"),
        (("on", "the", "board"), "board"),
        (("gone",), "played"),
        (("played",), "played"),
        (("into", "the", "half"), "half"),
        (("into", "the", "second", "half"), "half"),
        (("into", "the", "first", "half"), "half"),
        (("into", "this", "half"), "half"),
        (("in",), "played"),
        (("on", "the", "clock"), "played"),
        (("old",), "played"),
    ):
        if tuple(words[: len(tail)]) == tail:
            return NumberClaim("minutes", (value,), end + len(tail), kind)
    return NumberClaim("minutes", (value,), end, "plain")
