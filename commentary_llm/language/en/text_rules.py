"""How English takes a text apart: `TextRules` for history and choice."""

from __future__ import annotations

from commentary_llm.language.en.clauses import EnglishSplitter
from commentary_llm.language.en.tokens import spoken_words

# Carry no news by themselves: what is left of a line without them is what it tells.
_SMALL = (
    "a an the and or but of to from by with for at in on into out up off over it is its are was be has have had he she "
    "they his her their this that there here now so as who what then just still yet again not no"
)
_FUNCTION_WORDS = frozenset(_SMALL.split())


class EnglishRules:
    """Implements `TextRules`."""

    def words(self, text: str) -> tuple[str, ...]:
        return spoken_words(text)

    def telling(self, text: str) -> frozenset[str]:
        return frozenset(spoken_words(text.replace("'s", ""))) - _FUNCTION_WORDS

    def splitter(self) -> EnglishSplitter:
        return EnglishSplitter()


ENGLISH_RULES = EnglishRules()
