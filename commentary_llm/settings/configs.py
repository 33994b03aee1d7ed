"""What a station is started with, what a match is opened with, and both at once for a single match."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from commentary_llm.generation.registry import ModelOptions
from commentary_llm.ground.errors import ConfigError
from commentary_llm.match import MatchInfo
from commentary_llm.settings.groups import (
    LlmSettings,
    MatchSettings,
    RecognizerSettings,
    StationSettings,
    VoiceSettings,
)
from commentary_llm.settings.option import Group, Place, options_of
from commentary_llm.settings.problems import complaints, config_error, unknown

Stage = Literal["llm", "voice", "recognizer"]


class StationConfig(StationSettings):
    """What the process group is started with, the same on every rank. Raises ConfigError naming every wrong option.

    Model names are folders below the cache (`commentary_llm.ground.home`), or paths.
    """

    llm: LlmSettings = LlmSettings()
    voice: VoiceSettings = VoiceSettings()
    recognizer: RecognizerSettings = RecognizerSettings()
    listen: Annotated[bool, Field(description="load the recogniser; needed for stadium sound")] = False

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except ValidationError as error:
            raise config_error("wrong station configuration", complaints(error, StationConfig)) from error

    def device_of(self, stage: Stage) -> str:
        """Where a stage computes: on its own device where it has one, else on that of all."""
        group: LlmSettings | VoiceSettings | RecognizerSettings = getattr(self, stage)
        return self.device if group.device is None else group.device

    @property
    def model_options(self) -> ModelOptions:
        """What the backend opens the language model with."""
        llm = self.llm
        return ModelOptions(
            model=llm.model,
            engines=None if llm.engines is None else Path(llm.engines).expanduser().absolute(),
            device=self.device_of("llm"),
            compute_dtype=llm.compute_dtype,
            threads=llm.threads,
            max_batch=llm.max_batch,
            kv_slots=llm.kv_slots,
            batch_window_ms=llm.batch_window_ms,
            sizes=llm.sizes,
        )


class MatchConfig(MatchSettings):
    """What a match is opened with. Raises ConfigError naming every wrong option."""

    info: MatchInfo
    listen: Annotated[bool, Field(description="its stadium is heard; the station has to have a recogniser")] = False

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except ValidationError as error:
            raise config_error("wrong match configuration", complaints(error, MatchConfig)) from error


class EngineGroups(Group):
    """All settings of an engine, in their groups."""

    llm: LlmSettings = LlmSettings()
    voice: VoiceSettings = VoiceSettings()
    recognizer: RecognizerSettings = RecognizerSettings()
    station: StationSettings = StationSettings()
    match: MatchSettings = MatchSettings()

    def engine_config(self, match: MatchInfo | None = None, *, listen: bool = False) -> EngineConfig:
        """For one match. Ranks above 0 need none."""
        groups = EngineGroups(**{name: getattr(self, name) for name in EngineGroups.model_fields})
        return EngineConfig.model_construct(groups=groups, match=match, listen=listen)


@cache
def flat_names() -> dict[str, tuple[Place, ...]]:
    """Of each setting of an engine, the name as a keyword argument and the places that it fills."""
    places: dict[str, list[Place]] = {}
    for option in options_of(EngineGroups):
        places.setdefault(option.flag.flat_name, []).append(option.path)
    return {name: tuple(found) for name, found in places.items()}


class EngineConfig(Group):
    """A station and its only match, by flat names: `EngineConfig(match=info, persona="dry", llm_threads=2)`.

    A setting's flat name is its flag's; `speech_threads` and the like are for voice and recogniser both. `match` is
    needed on rank 0 only. Raises ConfigError naming every wrong option. The same on every rank.
    """

    groups: EngineGroups
    match: MatchInfo | None
    listen: bool

    def __init__(self, *, match: MatchInfo | None = None, listen: bool = False, **options: Any) -> None:
        flat = flat_names()
        values: dict[str, dict[str, Any]] = {}
        names: dict[Place, str] = {}
        wrong = [unknown(name, name, list(flat)) for name in options if name not in flat]
        for name, value in options.items():
            for group, setting in flat.get(name, ()):
                values.setdefault(group, {})[setting] = value
                names[group, setting] = name
        groups = EngineGroups()
        try:
            groups = EngineGroups.model_validate(values)
        except ValidationError as error:
            wrong += complaints(error, EngineGroups, names)
        try:
            super().__init__(groups=groups, match=match, listen=listen)  # type: ignore[call-arg]
        except ValidationError as error:
            wrong += complaints(error, EngineConfig)
        if wrong:
            raise config_error("wrong engine configuration", wrong)

    @cached_property
    def station(self) -> StationConfig:
        """What the process group is started with."""
        groups = self.groups
        return StationConfig(
            llm=groups.llm,
            voice=groups.voice,
            recognizer=groups.recognizer,
            listen=self.listen,
            **groups.station.model_dump(),
        )

    @cached_property
    def match_config(self) -> MatchConfig:
        """What the match is opened with. Raises ConfigError when there is none."""
        if self.match is None:
            raise ConfigError("the engine has no match; give EngineConfig(match=MatchInfo(...)) with both line-ups")
        return MatchConfig(info=self.match, listen=self.listen, **self.groups.match.model_dump())
