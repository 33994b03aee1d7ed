"""What is wrong with settings, told by the names under which they were given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ValidationError

from commentary_llm.ground.errors import ConfigError
from commentary_llm.ground.spelling import did_you_mean, likeness
from commentary_llm.settings.option import Option, Place, options_of

_LONGEST = 80  # characters of a value
_KINDS = {"int": "a whole number", "float": "a number", "bool": "yes or no"}  # by the first part of a fault's type
_RANGES = ("greater_than", "greater_than_equal", "less_than_equal")


def config_error(what: str, lines: Iterable[str]) -> ConfigError:
    """All complaints as one error, each once."""
    return ConfigError(f"{what}:\n" + "\n".join(f"  {line}" for line in dict.fromkeys(lines)))


def complaints(error: ValidationError, model: type[BaseModel], names: Mapping[Place, str] | None = None) -> list[str]:
    """One line each. `names`: how a setting was given (flag, variable, key of the file); by default its key."""
    options = {option.path: option for option in options_of(model)}
    lines = []
    for fault in error.errors():
        place = tuple(map(str, fault["loc"]))
        option = next((options[place[:end]] for end in range(len(place), 0, -1) if place[:end] in options), None)
        given_as = (names or {}).get(option.path if option else place, ".".join(place)) or "settings"
        if fault["type"] == "extra_forbidden":
            lines.append(unknown(given_as, ".".join(place), [option.key for option in options.values()]))
        elif fault["type"] == "missing":
            lines.append(f"{given_as}: missing")
        else:
            lines.append(f"{given_as}: {_told(fault['type'], fault['msg'], fault['input'], option)}")
    return lines


def _told(kind: str, message: str, value: object, option: Option | None) -> str:
    shown = repr(value)
    shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
    if (expected := _KINDS.get(kind.partition("_")[0])) is not None:
        return f"got {shown}, expected {expected}"
    if option is not None and kind in _RANGES:
        return f"got {shown}, expected {option.range_text}"
    if option is not None and kind in ("choice", "literal_error"):
        known = option.choices
        return f"got {shown}, expected one of {', '.join(known)}{did_you_mean(str(value), known)}"
    message = message.removeprefix("Value error, ")
    return message if kind == "persona" else f"{message} (got {shown})"


def unknown(given_as: str, key: str, known: Sequence[str]) -> str:
    """That nobody knows `key`, and the key that is most like it."""
    return f"{given_as}: not known; did you mean {nearest_key(key, known)}?"


def nearest_key(key: str, known: Iterable[str]) -> str:
    """The key that is most like another, as a whole or in its last part: `temperature` is `match.temperature`."""
    leaf = key.rpartition(".")[2]

    def score(other: str) -> tuple[float, float]:
        whole = likeness(key, other)
        return max(whole, likeness(leaf, other.rpartition(".")[2])), whole

    return max(known, key=score)
