"""The languages there are, and who speaks them."""

from __future__ import annotations

import importlib
import pkgutil

from commentary_llm import language as room


def language_choices() -> tuple[str, ...]:
    """Codes: one folder of the room each."""
    return tuple(module.name for module in pkgutil.iter_modules(room.__path__) if module.ispkg)


def persona_choices(language: str | None = None) -> tuple[str, ...]:
    """Names of the commentators of a language, or of all languages."""
    codes = language_choices() if language is None else (language,)
    found = [importlib.import_module(f"{room.__name__}.{code}.personas").PERSONAS for code in codes]
    return tuple(dict.fromkeys(name for personas in found for name in personas))
