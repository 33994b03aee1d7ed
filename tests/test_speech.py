"""Voices and recognisers by name: whichever kind the manifest tells, from whatever was registered."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_registries import (
    ToyRecognizer,
    model_folder,
    register_toy_backend,
    register_toy_recognizer,
    register_toy_voice,
)

from commentary_llm.engine import CommentaryEngine
from commentary_llm.ground.errors import ArtifactError, ConfigError
from commentary_llm.ground.home import ASR_MODEL, TTS_MODEL
from commentary_llm.match import MatchEvent, MatchInfo
from commentary_llm.settings import EngineConfig, StationConfig
from commentary_llm.speech import load_recognizer, load_voice, recognizer_choices, speech_text_of, voice_choices


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COMMENTARY_HOME", str(tmp_path))
    return tmp_path


def test_a_toy_voice_is_opened_by_its_kind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = register_toy_voice(monkeypatch)
    folder = model_folder(home, "squeak", "toy-voice")
    config = StationConfig(voice={"model": "squeak", "threads": 3})
    assert load_voice(config).description == "scripted"
    assert opened == {
        "folder": folder,
        "texts": speech_text_of,
        "runtime": "onnxruntime",
        "device": "cpu",
        "threads": 3,
        "turn": None,
    }
    assert load_voice(StationConfig(voice={"model": str(folder)})).description == "scripted"  # or by its folder
    assert voice_choices() == (TTS_MODEL, "squeak")


def test_a_toy_recognizer_is_opened_by_its_kind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_toy_recognizer(monkeypatch)
    model_folder(home, "ears", "toy-ears")
    assert isinstance(load_recognizer(StationConfig(recognizer={"model": "ears"})), ToyRecognizer)
    assert recognizer_choices() == ("ears", ASR_MODEL)


def test_what_is_no_voice_is_refused_with_both_kinds(home: Path) -> None:
    model_folder(home, "ears", "whisper-onnx")
    with pytest.raises(ArtifactError, match="kind whisper-onnx, expected piper-onnx"):
        load_voice(StationConfig(voice={"model": "ears"}))
    with pytest.raises(ArtifactError, match=r"does not exist; build it with `python -m checkpoints setup`"):
        load_voice(StationConfig())


def test_each_stage_has_its_own_runtime(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_toy_recognizer(monkeypatch)
    model_folder(home, "ears", "toy-ears")
    config = StationConfig(voice={"runtime": "tensorrt"}, recognizer={"model": "ears"})
    with pytest.raises(ConfigError, match="speech runtime tensorrt needs built engines"):
        load_voice(config)
    assert isinstance(load_recognizer(config), ToyRecognizer)


def test_an_engine_of_nothing_but_toys(home: Path, monkeypatch: pytest.MonkeyPatch, small_match: MatchInfo) -> None:
    register_toy_voice(monkeypatch)
    register_toy_recognizer(monkeypatch)
    backend = register_toy_backend(monkeypatch)
    model_folder(home, "squeak", "toy-voice")
    model_folder(home, "ears", "toy-ears")
    config = EngineConfig(
        match=small_match, backend="toy", tts="squeak", asr="ears", listen=True, llm_threads=2, prepare=False
    )
    goal = MatchEvent(event_id="1", type="goal", period=1, elapsed_s=600.0, team="h", player="h9")
    with CommentaryEngine.start(config) as engine:
        chosen = {"what": "backend_choice", "value": "toy (as asked)"}
        assert engine.station.metrics.registry.get_sample_value("commentary_choice_info", chosen) == 1
        record = engine.submit(goal).result(timeout_s=30)
    assert record is not None
    assert record.text
    assert backend.opened_with == config.station.model_options
    assert backend.generator.closed
