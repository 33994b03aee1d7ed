"""English as a voice reads it: text as spoken, and the names that spelling rules get wrong."""

from commentary_llm.language.en.speech.text import ENGLISH_SPEECH

__all__ = ["ENGLISH_SPEECH"]
