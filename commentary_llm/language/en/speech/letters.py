"""Letters outside English: how an English voice should say them, and the names of the English ones."""

from __future__ import annotations

import re

from commentary_llm.ground.text import strip_marks

LETTER_NAMES = {
    "a": "ay", "b": "bee", "c": "see", "d": "dee", "e": "ee", "f": "eff", "g": "gee", "h": "aitch", "i": "eye",
    "j": "jay", "k": "kay", "l": "ell", "m": "em", "n": "en", "o": "oh", "p": "pea", "q": "cue", "r": "are",
    "s": "ess", "t": "tea", "u": "you", "v": "vee", "w": "double you", "x": "ex", "y": "why", "z": "zed",
}  # fmt: skip

# By the usual sound in the languages that write them; accents that only mark stress fall away by decomposition.
_SOUNDS = {
    "ć": "ch", "č": "ch", "š": "sh", "ş": "sh", "ș": "sh", "ś": "sh", "ž": "zh", "ź": "zh", "ż": "zh", "đ": "j",
    "ł": "w", "ñ": "ny", "ň": "ny", "ń": "n", "ç": "s", "ğ": "", "ı": "i", "ø": "o", "å": "o", "æ": "e", "œ": "e",
    "ß": "ss", "þ": "th", "ð": "th", "ě": "ye", "ę": "en", "ą": "on", "ț": "ts", "ţ": "ts", "ã": "an", "õ": "on",
    "ř": "r", "ģ": "g", "ə": "e",
    # Russian, Ukrainian, Serbian, Bulgarian
    "а": "a", "б": "b", "в": "v", "г": "g", "ґ": "g", "д": "d", "е": "e", "ё": "yo", "є": "ye", "ж": "zh", "з": "z",
    "и": "i", "і": "i", "ї": "yi", "й": "y", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r",
    "с": "s", "т": "t", "у": "u", "ф": "f", "х": "h", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sh", "ъ": "", "ы": "y",
    "ь": "", "э": "e", "ю": "yu", "я": "ya", "ј": "y", "љ": "ly", "њ": "ny", "ћ": "ch", "ђ": "j", "џ": "j",
    # Greek
    "α": "a", "β": "v", "γ": "g", "δ": "th", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k", "λ": "l",
    "μ": "m", "ν": "n", "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t", "υ": "i", "φ": "f",
    "χ": "h", "ψ": "ps", "ω": "o",
}  # fmt: skip
_NOT_ASCII_WORD = re.compile(r"\w*[^\W\d_a-zA-Z]\w*")


def to_ascii(text: str, known_names: frozenset[str]) -> str:
    """Rewrites each word with a letter outside a-z by sound ("Modrić" -> "Modrich").

    Words in `known_names` (lower case, accents stripped) only lose their accents, so that their pronunciation is
    found. Letters of scripts without a rule are dropped. Expects composed text (NFC or NFKC).
    """
    return _NOT_ASCII_WORD.sub(lambda match: _word_to_ascii(match[0], known_names), text)


def _word_to_ascii(word: str, known_names: frozenset[str]) -> str:
    stripped = strip_accents(word)
    if stripped.lower() in known_names:
        return stripped
    word = re.sub("(?i)ão\\b", "ow", re.sub("é\\b", "ay", word))
    return strip_accents("".join(_sound(character) for character in word))


def _sound(character: str) -> str:
    lower = character.lower()
    if lower not in _SOUNDS:
        return character
    sound = _SOUNDS[lower]
    return sound if character == lower else sound.capitalize()


def strip_accents(word: str) -> str:
    """The word in ASCII letters: "Ødegaard" -> "Odegaard"; letters that have no base letter are dropped."""
    return "".join(character for character in strip_marks(word) if character.isascii())
