"""Recogniser and voice on the TensorRT runtime (over the doubles) against the same graphs in ONNX Runtime."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import soxr
from tensorrt_machine import Machine

from asr_tts.recognizer import open_recognizer
from asr_tts.runtime.engine_card import EngineCard
from asr_tts.synthesizer import PiperSynthesizer
from checkpoints.engines.inspection import inspect_engine, summarise_layers
from commentary_llm.ground.errors import ConfigError
from commentary_llm.speech import speech_text_of

pytestmark = pytest.mark.models


@pytest.fixture
def engines(machine: Machine, fixed_speech: Path, fixed_networks: dict[str, onnx.ModelProto], tmp_path: Path) -> Path:
    for model in ("asr", "tts"):
        (tmp_path / model).mkdir()
        for file in (fixed_speech / model).glob("*.json"):
            shutil.copyfile(file, tmp_path / model / file.name)
    for name, network in fixed_networks.items():
        folder, _, stem = name.partition("/")
        machine.write_engine(tmp_path / folder, stem, network)
    return tmp_path


def test_says_and_hears_the_same(machine: Machine, engines: Path, fixed_speech: Path) -> None:
    exact, voice = (
        PiperSynthesizer.load(fixed_speech / "tts", speech_text_of),
        PiperSynthesizer.load(engines / "tts", speech_text_of, runtime="tensorrt_rtx"),
    )
    voice.warm_up()
    line = "Messi scores from the penalty spot."
    expected, samples = (np.concatenate([chunk.samples for chunk in v.synthesize(line)]) for v in (exact, voice))
    np.testing.assert_allclose(samples, expected, atol=1e-6)
    assert "TensorRT-RTX 9.9.9.9" in voice.description

    plain = open_recognizer(fixed_speech / "asr")
    recognizer = open_recognizer(engines / "asr", runtime="tensorrt_rtx")
    recognizer.warm_up()
    heard = soxr.resample(samples, voice.sample_rate_hz, 16_000)
    machine.cuda.calls_.clear()
    found, wanted = recognizer.decode(heard), plain.decode(heard)
    assert found.ids == wanted.ids
    assert found.mean_logprob == pytest.approx(wanted.mean_logprob, abs=1e-5)
    # Keys and values stay on the GPU: a step copies the token and its place in, the logits out and the cache on.
    steps = len(found.ids) + 1 + 1  # the end token, and one more prompt token than is counted in the first step
    cross = 8
    encoder = 1 + cross
    first = cross + 1 - 1  # the encoder's outputs in; the empty cache comes from the host
    assert machine.cuda.calls_.count("cudaMemcpyAsync") == encoder + first + 5 * steps
    assert len(machine.cuda.streams_) == 2


def test_inspects_where_a_gpu_is_there(machine: Machine, engines: Path) -> None:
    path = engines / "tts" / "decoder.engine"
    assert inspect_engine(path, EngineCard.read(path)) == {
        "layers": 2,
        "fused_layers": 1,
        "fused_nodes": 3,
        "precisions": {"Half": 1, "Float": 1},
        "activation_bytes": 4096,
    }
    machine.cuda.devices_ = 0
    with pytest.raises(ConfigError, match="no NVIDIA GPU"):
        inspect_engine(path, EngineCard.read(path))


def test_inspector_without_details() -> None:
    layers = json.loads('{"Layers": ["a", "b + c"]}')["Layers"]
    assert summarise_layers(layers) == {"layers": 2, "fused_layers": None, "fused_nodes": None, "precisions": None}
