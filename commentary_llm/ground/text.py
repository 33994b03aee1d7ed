"""Letters without their marks, so that a name is found however it is typed."""

from __future__ import annotations

import unicodedata

# Letters that Unicode does not take apart into a base and a mark.
_BASE_LETTERS = str.maketrans(
    {"ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "ł": "l", "Ł": "L", "ı": "i", "æ": "ae", "Æ": "Ae",
     "œ": "oe", "Œ": "Oe", "ß": "ss", "þ": "th", "Þ": "Th"}
)  # fmt: skip
_APOSTROPHES = str.maketrans("’‘", "''")


def strip_marks(text: str) -> str:
    """Letters in their base form, case kept: "Højbjerg" -> "Hojbjerg", "Mbappé" -> "Mbappe"."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).translate(_BASE_LETTERS)


def fold(text: str) -> str:
    """Lower case, no marks, straight apostrophes: what is the same to somebody who searches."""
    return strip_marks(text).casefold().translate(_APOSTROPHES)
