"""Runtimes that register themselves; a toy one runs a network like any other."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from toy_registries import register

from asr_tts.runtime import network_file, open_runtime
from asr_tts.runtime.registry import RUNTIMES, engine_runtimes
from commentary_llm.ground.errors import ConfigError
from commentary_llm.settings import StationConfig


def test_what_there_is() -> None:
    assert RUNTIMES.names() == ("onnxruntime", "tensorrt", "tensorrt_rtx")
    assert engine_runtimes() == ("tensorrt", "tensorrt_rtx")
    assert network_file(Path("x"), "decoder", "onnxruntime") == Path("x/decoder.onnx")
    assert network_file(Path("x"), "decoder", "tensorrt") == Path("x/decoder.engine")


def test_a_toy_runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def open_toy(path: Path, **options: Any) -> Any:
        return path, options

    toy = SimpleNamespace(suffix="toy", networks=lambda device: "imported", check=lambda device: None, open=open_toy)
    register(RUNTIMES, "toy", toy, monkeypatch)
    assert StationConfig(voice={"runtime": "toy"}).voice.runtime == "toy"
    path = network_file(tmp_path, "decoder", "toy")
    assert path.name == "decoder.toy"
    opened: Any = open_runtime(path, "toy", threads=2, stage="tts")
    assert opened == (path, {"device": "cpu", "threads": 2, "name": None, "stage": "tts"})
    with pytest.raises(ConfigError, match=r"speech runtime 'tory' is not known.*did you mean 'toy'"):
        open_runtime(path, "tory")
