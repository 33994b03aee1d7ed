"""Who speaks the languages that there are."""

from __future__ import annotations

from commentary_llm.language.registry import language, languages


def persona_choices(code: str | None = None) -> tuple[str, ...]:
    """Names of the commentators of a language, or of all languages."""
    codes = languages() if code is None else (code,)
    return tuple(dict.fromkeys(name for each in codes for name in language(each).personas))
