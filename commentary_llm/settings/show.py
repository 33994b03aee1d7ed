"""The settings that hold, as a file for `--config`, with where each came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from commentary_llm.ground.errors import ConfigError
from commentary_llm.settings.option import options_of
from commentary_llm.settings.problems import unknown
from commentary_llm.settings.root import Loaded, Settings, value_of


def values_text(loaded: Loaded, keys: Sequence[str]) -> str:
    """The values of settings, a line each; '' for none. For shell scripts. Raises ConfigError for an unknown key."""
    places = {option.key: option.path for option in options_of(Settings)}
    for key in keys:
        if key not in places:
            raise ConfigError(unknown("--show-settings", key, list(places)))
    values = [value_of(loaded.settings, places[key]) for key in keys]
    return "".join(f"{'' if value is None else value}\n" for value in values)


def settings_text(loaded: Loaded) -> str:
    """All of them as YAML; a comment names what is not a default."""
    lines: list[str] = []
    above: tuple[str, ...] = ()
    for option in options_of(Settings):
        groups = option.path[:-1]
        for depth, group in enumerate(groups):
            if groups[: depth + 1] != above[: depth + 1]:
                lines.append(f"{'  ' * depth}{group}:")
        above = groups
        line = f"{'  ' * len(groups)}{option.path[-1]}: {_scalar(value_of(loaded.settings, option.path))}"
        source = loaded.names.get(option.path)
        lines.append(line if source is None else f"{line}  # {source}")
    return "\n".join(lines) + "\n"


def _scalar(value: Any) -> str:
    if isinstance(value, Path):
        value = str(value)
    elif isinstance(value, tuple):
        value = [list(row) if isinstance(row, tuple) else row for row in value]
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")
