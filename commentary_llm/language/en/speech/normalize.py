"""Text as written -> text as spoken: "3-2" -> "three two", "90+4'" -> "ninety plus four", "Modrić" -> "Modrich".

`normalize` is pure and total: any string goes in, and what comes out has ASCII letters, apostrophes inside words,
spaces and `. , ! ? ; :` only, which is all that the phonemiser reads without guessing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from functools import lru_cache

from num2words import num2words

from commentary_llm.language.en.speech.letters import LETTER_NAMES, to_ascii

# Capitals that are read letter by letter although they have a vowel; those without one always are ("PSG", "FC").
_SPELLED_OUT = frozenset(["AC", "AFC", "EU", "MLS", "OGC", "TSG", "UAE", "UK", "USA", "USMNT", "USWNT", "VAR"])
_READ_OTHERWISE = {
    "UEFA": "you ayfa",
    "XI": "eleven",
    "xG": "ex gee",
    "xA": "ex ay",
    "OK": "okay",
    "PAOK": "pah ok",
}
_ABBREVIATIONS = {
    "vs": "versus",
    "mins": "minutes",
    "min": "minutes",
    "secs": "seconds",
    "jr": "junior",
    "sr": "senior",
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "st": "saint",
    "approx": "approximately",
    "etc": "et cetera",
}
_CURRENCIES = {"€": "euro", "£": "pound", "$": "dollar", "¥": "yen"}
_MAGNITUDES = {"k": "thousand", "m": "million", "mn": "million", "bn": "billion"}
_UNITS = {
    "km/h": "kilometres per hour",
    "kmh": "kilometres per hour",
    "kph": "kilometres per hour",
    "mph": "miles per hour",
    "km": "kilometres",
    "m": "metres",
    "cm": "centimetres",
    "yd": "yards",
    "yds": "yards",
    "ft": "feet",
    "kg": "kilos",
    "min": "minutes",
    "mins": "minutes",
    "s": "seconds",
    "sec": "seconds",
    "secs": "seconds",
    "am": "ay em",
    "pm": "pee em",
    "k": "thousand",
    "bn": "billion",
}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_COUNTED = (
    r"(?:fans?|supporters?|spectators?|people|euros?|pounds?|dollars?|met(?:re|er)s?|games?|matches|goals?|minutes?)"
)
_RANGE_UNITS = r"(?:yards?|met(?:re|er)s?|minutes?|seconds?|years?|games?|matches|days?|weeks?|months?|per ?cent|%)"

# Anything that means nothing to the rules below becomes a space before they run.
_IRRELEVANT = re.compile(r"[^A-Za-z0-9\s.,!?;:'\"()\[\]+\-/%&@#=°€£$¥]")
_KEPT = re.compile(r"[^A-Za-z\s.,!?;:']")
_MAX_PASSES = 5


def normalize(text: str, known_names: Collection[str] = frozenset()) -> str:
    """Speakable form of `text`, '' when there is nothing to say. Never raises; applying it twice changes nothing.

    `known_names`: lower-case ASCII words whose pronunciation the caller has; they lose their accents and keep their
    spelling, where unknown words with accents are respelled by the sound of the letter.
    """
    return _normalize(text, frozenset(known_names))


@lru_cache(maxsize=512)
def _normalize(text: str, known_names: frozenset[str]) -> str:
    for _ in range(_MAX_PASSES):
        spoken = _one_pass(text, known_names)
        if spoken == text:
            break
        text = spoken
    return text


def _one_pass(text: str, known_names: frozenset[str]) -> str:
    text = unicodedata.normalize("NFKC", _plain_punctuation(text))
    text = "".join(_digit_or_self(character) for character in _plain_punctuation(text))
    text = _IRRELEVANT.sub(" ", to_ascii(text, known_names))
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return _tidy(_KEPT.sub(" ", text))


def _plain_punctuation(text: str) -> str:
    """Quotes, dashes and dots in their ASCII forms; a dash between words becomes a pause."""
    text = re.sub("[\u2018\u2019\u02bc\u2032\u00b4`]", "'", text)
    text = re.sub("[\u201c\u201d\u201e\u00ab\u00bb\u2033]", '"', text)
    text = re.sub("\u2026|\\.{2,}", ". ", text)
    text = re.sub("(?<=\\d)\\s?[\u2010-\u2015\u2212]\\s?(?=\\d)", "-", text)
    return re.sub("\\s+-+\\s+|\\s*(?:--+|[\u2013-\u2015])\\s*", ", ", re.sub("[\u2010-\u2012\u2212]", "-", text))


def _digit_or_self(character: str) -> str:
    """Other scripts' digits as 0-9."""
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)


def _words(number: str | int, kind: str = "cardinal") -> str:
    """A non-negative number in words, without the hyphens and commas of written English."""
    digits = str(number).replace(",", "")
    if kind == "cardinal" and (len(digits) > 12 or (len(digits) > 1 and digits.startswith("0"))):
        return " ".join(num2words(int(digit)) for digit in digits)  # shirt "007", long identifiers
    value = int(digits) if len(digits) <= 12 else int(digits[:12])
    return " " + re.sub(r"[-,]", " ", num2words(value, to=kind)) + " "


def _goals(digits: str) -> str:
    return " nil " if int(digits) == 0 else _words(int(digits))


def _year(digits: str) -> str:
    value = int(digits)
    if 2001 <= value <= 2009:
        return _words(value)  # "two thousand and five"; num2words says "twenty oh-five"
    return _words(value, "year")


def _score(match: re.Match[str]) -> str:
    return f" {_goals(match[1])} {_goals(match[2])} "


def _digit_run(match: re.Match[str]) -> str:
    return " " + " ".join(_words(part).strip() for part in re.findall(r"\d+", match[0])) + " "


def _date(match: re.Match[str]) -> str:
    month, day = int(match[2]), int(match[3])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return _digit_run(match)
    return f" {_MONTHS[month - 1]} {_words(day, 'ordinal')} {_year(match[1])} "


def _season(match: re.Match[str]) -> str:
    tail = match[2]
    return f" {_year(match[1])} {_year(tail) if len(tail) == 4 else _words(int(tail))} "


def _clock(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    if minute == 0:
        return f" {_words(hour)} o'clock " if 1 <= hour <= 12 else f" {_words(hour)} hundred hours "
    return f" {_words(hour)} {'oh' if minute < 10 else ''} {_words(minute)} "


def _decimal(match: re.Match[str]) -> str:
    fraction = " ".join(num2words(int(digit)) for digit in match[2])
    return f"{_words(match[1])} point {fraction} "


def _money(match: re.Match[str]) -> str:
    sign, amount, magnitude = match[1], match[2], match[3]
    currency = _CURRENCIES[sign]
    plural = currency if currency == "yen" or (amount == "1" and not magnitude) else currency + "s"
    scale = _MAGNITUDES[magnitude.lower()] if magnitude else ""
    return f" {amount} {scale} {plural} "


def _minute(match: re.Match[str]) -> str:
    if match[1]:
        return f"{match[1]}{_words(int(match[2]), 'ordinal')} minute "
    return f"{_words(int(match[2]))} {'minute' if int(match[2]) == 1 else 'minutes'} "


def _decade(match: re.Match[str]) -> str:
    words = (_year(match[1]) if len(match[1]) == 4 else _words(int(match[1]))).strip()
    return f" {words[:-1] + 'ies' if words.endswith('y') else words + 's'} "


def _capitals(match: re.Match[str]) -> str:
    word = match[0]
    if word in _READ_OTHERWISE:
        return _READ_OTHERWISE[word]
    if len(word) > 1 and (word in _SPELLED_OUT or not re.search("[AEIOUY]", word)):
        return " ".join(LETTER_NAMES[letter.lower()] for letter in word)
    return word if len(word) == 1 else word.capitalize()


def _rule(
    pattern: str, replacement: str | Callable[[re.Match[str]], str], flags: int = 0
) -> tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]:
    return re.compile(pattern, flags), replacement


# In order: the more particular writing before the more general one.
_RULES = (
    # Shirt and ordinal numbers, abbreviations.
    _rule(r"(?i)\bno\.?\s?(?=\d)|#\s?(?=\d)|\bnr\.?\s?(?=\d)", " number "),
    _rule(r"(?i)\bu-?(1[5-9]|2[0-3])(?:s|'s)?\b", lambda match: f" under {_words(match[1])} "),
    _rule(
        r"(?i)\b(" + "|".join(_ABBREVIATIONS) + r")\.(?=\s*[A-Za-z0-9])|\b(vs|mins|secs)\b\.?",
        lambda match: f" {_ABBREVIATIONS[(match[1] or match[2]).lower()]} ",
    ),
    _rule(
        r"\b(?:[A-Za-z]\.){2,}", lambda match: " ".join(LETTER_NAMES[letter.lower()] for letter in match[0][::2]) + " "
    ),
    _rule(r"\b([A-Z])\.(?=\s?[A-Z])", lambda match: f" {LETTER_NAMES[match[1].lower()]} "),
    # Match clock: 90+4', 45'+2, then plain minutes.
    _rule(r"\b(\d{1,3})'?\s?\+\s?(\d{1,2})\b'?", lambda match: f"{_words(match[1])} plus {_words(match[2])}"),
    _rule(r"\b(the )?(\d{1,3})'(?![A-Za-z0-9])", _minute),
    # Dates, seasons, clock times, formations, ranges, scores.
    _rule(r"\b(\d{4})-(\d{2})-(\d{2})\b", _date),
    _rule(r"\b((?:18|19|20)\d\d)[-/](\d{4}|\d{2})\b", _season),
    _rule(r"\b(\d{1,2}):(\d{2})\b", _clock),
    _rule(r"\b\d+(?:-\d+){2,}\b", _digit_run),
    _rule(
        r"\b(\d+)-(\d+)(?=[\s-]?" + _RANGE_UNITS + r"(?![a-z]))",
        lambda match: f"{_words(match[1])} to {_words(match[2])}",
    ),
    _rule(r"\b(\d{1,2})-(\d{1,2})\b", _score),
    _rule(r"\b(\d{1,3})/(\d{1,3})\b", _digit_run),
    # Money, units, signs.
    _rule(r"(?i)([€£$¥])\s?(\d+(?:,\d{3})*(?:\.\d+)?)\s?(k|mn|m|bn)?\b", _money),
    _rule(r"(?<=\d)\s?%", " percent "),
    _rule(r"(?<=\d)\s?°\s?[CF]?", " degrees "),
    _rule(
        r"\b(\d+(?:\.\d+)?)\s?(km/h|kmh|kph|mph|km|cm|yds|yd|ft|kg|mins|min|secs|sec|am|pm|bn|m|k)\b",
        lambda match: f"{match[1]} {_UNITS[match[2]]} ",
    ),
    _rule(r"(?:(?<=\s)|^)\+(?=\d)", "plus "),
    _rule(r"(?:(?<=\s)|^)-(?=\d)", "minus "),
    _rule(r"\s?&\s?", " and "),
    _rule(r"\s?=\s?", " equals "),
    _rule(r"\s?@\s?", " at "),
    # Numbers.
    _rule(r"(?i)\b(\d{1,12})(?:st|nd|rd|th)\b", lambda match: _words(match[1], "ordinal")),
    _rule(r"\b((?:18|19|20)\d0|[2-9]0)'?s\b", _decade),
    _rule(r"\b(\d{1,12})\.(\d+)\b", _decimal),
    _rule(r"\b\d{1,3}(?:,\d{3})+\b", lambda match: _words(match[0])),
    _rule(r"(?i)\b((?:18[5-9]|19\d|20\d)\d)\b(?!\s" + _COUNTED + r"\b)", lambda match: _year(match[1])),
    _rule(r"\d+", lambda match: f" {_words(match[0])} "),
    # Words in capitals, after the digits: "VAR", "PSG", "xG".
    _rule(r"\bx[GA]\b|\b[A-Z]+\b(?!')|\b[A-Z]{2,}(?=')", _capitals),
)


def _tidy(text: str) -> str:
    """One space between words, punctuation only where it pauses."""
    text = re.sub(r"(?<![A-Za-z])'+|'+(?![A-Za-z])", " ", text)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"\s+(?=[.,!?;:])", "", text)
    text = re.sub(r"[.,!?;:]{2,}", _strongest, text)
    text = re.sub(r"(?<=[.,!?;:])(?=[A-Za-z])", " ", text)
    return re.sub(r"^[\s.,!?;:]+", "", text).strip()


def _strongest(match: re.Match[str]) -> str:
    return next(mark for mark in "!?.;:," if mark in match[0])
