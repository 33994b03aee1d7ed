"""`python -m commentary_llm choices`: what the registries offer. Loads no model library."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from asr_tts.runtime.registry import RUNTIMES
from commentary_llm.generation.registry import backend_choices
from commentary_llm.ground.errors import ConfigError
from commentary_llm.ground.spelling import did_you_mean
from commentary_llm.language.registry import languages
from commentary_llm.match.feeds.providers import PROVIDERS
from commentary_llm.settings.languages import persona_choices


def _voices() -> Sequence[str]:
    from commentary_llm.speech import voice_choices  # here: half a second of tokenisers and sound files

    return voice_choices()


def _recognizers() -> Sequence[str]:
    from commentary_llm.speech import recognizer_choices

    return recognizer_choices()


def _sources() -> Sequence[str]:
    from commentary_llm.ends.registry import SOURCES

    return SOURCES.names()


def _sinks() -> Sequence[str]:
    from commentary_llm.ends.registry import SINKS

    return SINKS.names()


KINDS: dict[str, Callable[[], Sequence[str]]] = {
    "backends": backend_choices,
    "voices": _voices,
    "recognizers": _recognizers,
    "runtimes": RUNTIMES.names,
    "languages": languages,
    "personas": persona_choices,
    "providers": lambda: tuple(PROVIDERS),
    "sources": _sources,
    "sinks": _sinks,
}


def choices_text(kind: str | None) -> str:
    """The names of a kind, one a line; without one, all kinds with theirs below. Raises ConfigError."""
    if kind is None:
        return "".join(f"{name}:\n" + "".join(f"  {choice}\n" for choice in of()) for name, of in KINDS.items())
    if kind not in KINDS:
        raise ConfigError(f"choices: expected one of {', '.join(KINDS)}, got {kind!r}{did_you_mean(kind, KINDS)}")
    return "".join(f"{choice}\n" for choice in KINDS[kind]())
