"""All settings of a process, from flags, environment and file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from commentary_llm.settings.configs import EngineGroups
from commentary_llm.settings.option import (
    ENVIRONMENT_DELIMITER,
    ENVIRONMENT_PREFIX,
    Option,
    Place,
    options_of,
    variable_of,
)
from commentary_llm.settings.problems import complaints, config_error, nearest_key, unknown
from commentary_llm.settings.runs import ReplaySettings, ServeSettings


class Settings(EngineGroups, BaseSettings):
    """Everything that can be set, a group for each part of the engine and for each command. Frozen.

    Made by `load_settings`; made directly, it takes nothing from the environment.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter=ENVIRONMENT_DELIMITER, env_ignore_empty=True
    )

    replay: ReplaySettings = ReplaySettings()
    serve: ServeSettings = ServeSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`load_settings` asks the sources itself, so that it can say of each value where it came from."""
        return (init_settings,)


@dataclass
class Layer:
    """What one source says: values by place, and the name of each as the user wrote it."""

    values: dict[Place, Any] = field(default_factory=dict)
    names: dict[Place, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)  # complaints


@dataclass(frozen=True)
class Loaded:
    """Settings, and where each that is not a default came from: a flag, a variable, or a key and the file."""

    settings: Settings
    names: Mapping[Place, str]


def load_settings(flags: Layer, file: Path | None = None, command: str | None = None) -> Loaded:
    """Flags before environment (`COMMENTARY_LLM__MODEL`) before the YAML file before defaults.

    `command`: the group whose required settings have to be there. Raises ConfigError that names everything that is
    wrong, wherever it came from; nothing but the file has been opened then.
    """
    options = {option.path: option for option in options_of(Settings)}
    layers = [_from_file(file, options) if file is not None else Layer(), _from_environment(options), flags]
    values: dict[Place, Any] = {}
    names: dict[Place, str] = {}
    wrong: list[str] = []
    for layer in layers:
        values |= layer.values
        names |= layer.names
        wrong += layer.wrong
    for option in options.values():
        if option.path[0] == command and option.flag.required and option.path not in values:
            wrong.append(f"{option.flag.name}: missing; {option.field.description}")
    try:
        settings = Settings(**_nested(values))
    except ValidationError as error:
        wrong += complaints(error, Settings, names)
    if wrong:
        raise config_error("wrong options", wrong)
    return Loaded(settings, names)


def value_of(settings: Settings, place: Place) -> Any:
    """The value of a setting."""
    value: Any = settings
    for part in place:
        value = getattr(value, part)
    return value


def _from_environment(options: Mapping[Place, Option]) -> Layer:
    layer = Layer()
    # A name without the two underscores is none of ours: COMMENTARY_HOME, COMMENTARY_PYTHON.
    known = {option.variable: option for option in options.values()}
    for variable in os.environ:
        upper = variable.upper()
        if upper.startswith(ENVIRONMENT_PREFIX) and ENVIRONMENT_DELIMITER in upper and upper not in known:
            key = upper.removeprefix(ENVIRONMENT_PREFIX).lower().replace(ENVIRONMENT_DELIMITER, ".")
            meant = nearest_key(key, [option.key for option in options.values()])
            layer.wrong.append(f"{variable}: not known; did you mean {variable_of(tuple(meant.split('.')))}?")
    try:
        found = dict(_leaves(EnvSettingsSource(Settings)()))
    except SettingsError as error:
        layer.wrong.append(f"environment: {error}")
        return layer
    for place, value in found.items():
        if place in options:
            layer.values[place], layer.names[place] = value, options[place].variable
    return layer


def _from_file(path: Path, options: Mapping[Place, Option]) -> Layer:
    layer = Layer()
    if not path.is_file():
        layer.wrong.append(f"--config {path}: no such file")
        return layer
    try:
        found = YamlConfigSettingsSource(Settings, yaml_file=path).yaml_data
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        layer.wrong.append(f"--config {path}: cannot be read as YAML: {error}")
        return layer
    except (TypeError, ValueError, AttributeError):
        layer.wrong.append(f"--config {path}: expected groups of settings, such as `llm:` with `model: NAME` below it")
        return layer
    groups = {place[:end] for place in options for end in range(1, len(place))}
    for place, value in _leaves(found):
        key = ".".join(place)
        if place not in options and place not in groups:
            layer.wrong.append(unknown(f"{key} in {path}", key, [option.key for option in options.values()]))
        elif value is not None or place in options:  # a group without content says nothing
            layer.values[place], layer.names[place] = value, f"{key} in {path}"
    return layer


def _leaves(values: Mapping[Any, Any], below: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Values by place."""
    for name, value in values.items():
        place = (*below, str(name))
        if isinstance(value, Mapping):
            yield from _leaves(value, place)
        else:
            yield place, value


def _nested(values: Mapping[Place, Any]) -> dict[str, Any]:
    """The same as groups inside groups. What stands where a group should be is kept, for the complaint."""
    nested: dict[str, Any] = {}
    for place, value in values.items():
        group = nested
        for part in place[:-1]:
            inner = group.setdefault(part, {})
            if not isinstance(inner, dict):
                break
            group = inner
        else:
            group[place[-1]] = value
    return nested
