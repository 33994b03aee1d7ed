"""English: lists, gate, templates, openers, prompts, announcer."""

from commentary_llm.language.en.english import English

LANGUAGE = English()
