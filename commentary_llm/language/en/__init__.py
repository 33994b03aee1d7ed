"""English: lists, gate, templates, openers, prompts, announcer, speech text, training grammar."""

from commentary_llm.language.contract import Language
from commentary_llm.language.en.english import English

LANGUAGE: Language = English()
