"""What a station and a match are given: by groups, or by the flat names of `EngineConfig`."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from commentary_llm.ground.errors import ConfigError
from commentary_llm.match import MatchInfo
from commentary_llm.settings import EngineConfig, MatchConfig, Settings, StationConfig
from commentary_llm.settings.configs import EngineGroups, flat_names
from commentary_llm.settings.option import options_of

# The names by which trackers' programs configure an engine: part of the public API.
FLAT = {
    "backend": ("torch", "llm.backend"),
    "llm": ("llama-7b", "llm.model"),
    "llm_engines": ("engines", "llm.engines"),
    "asr": ("whisper", "recognizer.model"),
    "tts": ("piper", "voice.model"),
    "compute_dtype": ("int8", "llm.compute_dtype"),
    "device": ("cuda", "station.device"),
    "llm_threads": (3, "llm.threads"),
    "speech_threads": (2, "voice.threads recognizer.threads"),
    "speech_runtime": ("tensorrt", "voice.runtime recognizer.runtime"),
    "speech_device": ("cuda", "voice.device recognizer.device"),
    "speech_engines": ("e", "voice.engines recognizer.engines"),
    "persona": ("dry", "match.persona"),
    "few_shot": (True, "match.few_shot"),
    "candidates": (2, "match.candidates"),
    "temperature": (0.0, "match.temperature"),
    "top_p": (0.5, "match.top_p"),
    "repetition_penalty": (1.5, "match.repetition_penalty"),
    "max_new_tokens": (20, "match.max_new_tokens"),
    "seed": (9, "match.seed"),
    "prepare": (False, "match.prepare"),
    "llm_sizes": ("llama-7b", "llm.sizes"),
    "queue_capacity": (3, "station.queue_capacity"),
    "startup_timeout_s": (7.5, "station.startup_timeout_s"),
}


@pytest.mark.parametrize("name", FLAT)
def test_each_flat_name_sets_its_place_and_nothing_else(name: str) -> None:
    value, keys = FLAT[name]
    expected: dict[str, Any] = EngineGroups().model_dump()
    for key in keys.split():
        group, setting = key.split(".")
        assert expected[group][setting] != value
        expected[group][setting] = value
    assert EngineConfig(**{name: value}).groups.model_dump() == expected


def test_every_setting_has_one_flat_name_and_one_flag() -> None:
    assert set(FLAT) <= set(flat_names())
    assert {option.flag.flat_name for option in options_of(EngineGroups)} == set(flat_names())
    for option in options_of(Settings):
        assert option.field.description, option.key
        assert not option.field.is_required(), option.key
        assert option.flag.name.startswith("--")


def test_a_station_and_a_match_come_out_of_it(small_match: MatchInfo) -> None:
    config = EngineConfig(match=small_match, listen=True, persona="dry", seed=4, candidates=3, llm_threads=2)
    assert isinstance(config.station, StationConfig)
    assert (config.station.llm.threads, config.station.listen) == (2, True)
    assert config.station.model_options.threads == 2
    match = config.match_config
    assert isinstance(match, MatchConfig)
    assert (match.info, match.persona, match.seed, match.candidates, match.listen) == (small_match, "dry", 4, 3, True)
    assert EngineConfig(match=small_match).match_config == MatchConfig(info=small_match)
    assert EngineConfig().station == StationConfig()


def test_one_device_for_all_stages_unless_a_stage_has_its_own() -> None:
    def devices(**options: object) -> list[str]:
        station = EngineConfig(**options).station
        return [station.device_of(stage) for stage in ("llm", "voice", "recognizer")]

    assert devices() == ["cpu", "cpu", "cpu"]
    assert devices(device="cuda") == ["cuda", "cuda", "cuda"]
    assert devices(device="cuda", speech_device="cpu") == ["cuda", "cpu", "cpu"]
    assert devices(llm_device="cuda") == ["cuda", "cpu", "cpu"]
    station = StationConfig(device="cuda", recognizer={"device": "cpu"})
    assert [station.device_of(stage) for stage in ("llm", "voice", "recognizer")] == ["cuda", "cuda", "cpu"]


def test_wrong_options_are_all_named_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        EngineConfig(candidates=9, lmm_threads=2, persona="shouty", speech_threads=0, temperature="hot")
    assert str(refused.value).splitlines() == [
        "wrong engine configuration:",
        "  lmm_threads: not known; did you mean llm_threads?",
        "  speech_threads: got 0, expected 1 to 64",
        "  persona: got 'shouty', expected one of neutral, excited, dry, blind_listener; did you mean 'neutral'?",
        "  candidates: got 9, expected 1 to 8",
        "  temperature: got 'hot', expected a number",
    ]
    with pytest.raises(ConfigError, match="match: "):
        EngineConfig(match="a match")  # type: ignore[arg-type]


def test_stations_and_matches_name_what_is_wrong(small_match: MatchInfo) -> None:
    with pytest.raises(ConfigError, match=r"llm\.modle: not known; did you mean llm\.model\?"):
        StationConfig(llm={"modle": "x"})
    with pytest.raises(ConfigError, match="temprature: not known; did you mean temperature"):
        MatchConfig(info=small_match, temprature=1)
    with pytest.raises(ConfigError, match="info: missing"):
        MatchConfig()
    with pytest.raises(ConfigError, match="the engine has no match"):
        EngineConfig().match_config  # noqa: B018


def test_nothing_can_be_changed_afterwards(small_match: MatchInfo) -> None:
    config = EngineConfig(match=small_match)
    for holder, name in ((config.station, "device"), (config.station.llm, "threads"), (config.match_config, "seed")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(holder, name, 1)
