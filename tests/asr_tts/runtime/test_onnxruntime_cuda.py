"""ONNX Runtime on a GPU, over doubles of its CUDA provider and of CUDA; numbers come from the CPU provider."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soxr
from many_threads import wrong_in_threads
from onnx import TensorProto, helper
from onnxruntime_double import OrtDouble
from tensorrt_machine import Machine

from asr_tts.interfaces import SpeechRuntime
from asr_tts.recognizer import open_recognizer
from asr_tts.runtime import open_runtime
from asr_tts.runtime.onnxruntime_cuda import INSTALL_COMMAND, check_library
from asr_tts.runtime.profiles import write_profiles
from asr_tts.synthesizer import PiperSynthesizer
from commentary_llm.ground.device_turn import DeviceTurn
from commentary_llm.ground.errors import ArtifactError, ConfigError, EngineError
from commentary_llm.speech import speech_text_of

SIZES = (3, 8)


@pytest.fixture
def library(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[OrtDouble]:
    double = OrtDouble(machine.cuda)
    double.install(monkeypatch)
    check_library.cache_clear()
    yield double
    check_library.cache_clear()


def small_graph(path: Path, profiles: bool = True) -> Path:
    """y = 2 x and s = the sum of y; x (1, 3) or (1, 8)."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"]), helper.make_node("ReduceSum", ["y"], ["s"], keepdims=1)],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "size"])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "size"]),
            helper.make_tensor_value_info("s", TensorProto.FLOAT, [1, 1]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if profiles:
        write_profiles(model, [{"x": [1, size]} for size in SIZES])
    onnx.save(model, path)
    return path


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return small_graph(tmp_path / "small.onnx")


@pytest.fixture
def runtime(library: OrtDouble, graph: Path) -> SpeechRuntime:
    return open_runtime(graph, device="cuda", name="small")


def row(size: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((1, size)).astype(np.float32)


def test_same_numbers_with_and_without_graphs(machine: Machine, runtime: SpeechRuntime) -> None:
    assert len(runtime.profiles) == 2
    assert "CUDA, float32" in runtime.description
    for warm in (False, True):
        if warm:
            assert machine.cuda.launches_ == 0
            runtime.warm_up()
        for size in (*SIZES, *SIZES):
            values = row(size, size)
            out = runtime.run({"x": values})
            np.testing.assert_array_equal(out["y"], 2 * values)
            np.testing.assert_allclose(out["s"], [[2 * values.sum()]], rtol=1e-5)
    machine.cuda.calls_.clear()
    runtime.run({"x": row(8)})
    assert machine.cuda.calls_.count("cudaGraphLaunch") == 1
    assert not {"cudaMalloc", "cudaMallocHost", "cudaStreamSynchronize"} & set(machine.cuda.calls_)


def test_kept_outputs_are_fed_without_leaving_the_gpu(library: OrtDouble, runtime: SpeechRuntime) -> None:
    runtime.warm_up()
    values = row(3)
    kept = runtime.run({"x": values}, keep=["y"])["y"]
    assert not isinstance(kept, np.ndarray)
    np.testing.assert_array_equal(runtime.run({"x": kept})["y"], 4 * values)


def test_many_threads(runtime: SpeechRuntime) -> None:
    runtime.warm_up()

    def is_right(seed: int, turn: int) -> bool:
        values = row(SIZES[turn % 2], seed)
        return np.array_equal(np.asarray(runtime.run({"x": values})["y"]), 2 * values)

    assert not wrong_in_threads(is_right, 20)


def test_the_session_runs_on_its_stages_stream(machine: Machine, library: OrtDouble, graph: Path) -> None:
    for stage in ("asr", "tts"):
        open_runtime(graph, device="cuda", stage=stage)
    streams = [int(options["user_compute_stream"]) for options in library.provider_options_]
    assert streams == list(machine.cuda.streams_)
    assert len(set(streams)) == 2


def test_a_failed_run_says_why(library: OrtDouble, runtime: SpeechRuntime) -> None:
    library.fail_execution_ = True
    with pytest.raises(EngineError, match=r"'small' failed: Failed to allocate memory"):
        runtime.run({"x": row(3)})
    library.fail_execution_ = False
    np.testing.assert_array_equal(runtime.run({"x": row(3)})["y"], 2 * row(3))
    with pytest.raises(EngineError, match=r"'small': inputs are x \(1, 4\); it was made for x \(1, 3\) or x \(1, 8\)"):
        runtime.run({"x": row(4)})


def test_refuses_what_would_run_elsewhere(
    machine: Machine, library: OrtDouble, tmp_path: Path, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.refuses_ = "This session contains graph nodes that are assigned to the default CPU EP"
    with pytest.raises(ArtifactError, match=r"small\.onnx does not load on the GPU.*assigned to the default CPU EP"):
        open_runtime(graph, device="cuda")
    library.refuses_ = ""
    library.loads_ = False
    with pytest.raises(ConfigError, match=r"cannot load its CUDAExecutionProvider.*CUDA 13 or cuDNN 9 is missing"):
        open_runtime(graph, device="cuda")
    library.loads_ = True
    with pytest.raises(ArtifactError, match=r"takes inputs of any shape.*`python -m checkpoints engines convert`"):
        open_runtime(small_graph(tmp_path / "free.onnx", profiles=False), device="cuda")
    with pytest.raises(ArtifactError, match="no file"):
        open_runtime(tmp_path / "absent.onnx", device="cuda")
    machine.cuda.devices_ = 0
    machine.install()
    with pytest.raises(ConfigError, match="no NVIDIA GPU can be used here"):
        open_runtime(graph, device="cuda")
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(ConfigError, match=r"cuda-python cannot be imported .*commentary-llm\[gpu\]"):
        open_runtime(graph, device="cuda")
    check_library.cache_clear()
    library.available_ = ["CPUExecutionProvider"]
    with pytest.raises(
        ConfigError,
        match=r"has CPUExecutionProvider.*must not both be installed: run `pip uninstall --yes onnxruntime ",
    ):
        open_runtime(graph, device="cuda")


def test_unknown_devices_are_refused(graph: Path) -> None:
    with pytest.raises(ConfigError, match=r"speech device 'tpu' is not known"):
        open_runtime(graph, device="tpu")


@pytest.mark.models
def test_says_and_hears_the_same(machine: Machine, library: OrtDouble, fixed_speech: Path) -> None:
    exact = PiperSynthesizer.load(fixed_speech / "tts", speech_text_of)
    voice = PiperSynthesizer.load(fixed_speech / "tts", speech_text_of, device="cuda")
    assert voice.identity != exact.identity
    line = "Messi scores from the penalty spot."
    expected, samples = (np.concatenate([chunk.samples for chunk in v.synthesize(line)]) for v in (exact, voice))
    np.testing.assert_allclose(samples, expected, atol=1e-6)
    recognizer, plain = (open_recognizer(fixed_speech / "asr", device=device) for device in ("cuda", "cpu"))
    heard = soxr.resample(samples, voice.sample_rate_hz, 16_000)
    assert recognizer.transcribe(heard).text == plain.transcribe(heard).text != ""
    assert len(machine.cuda.streams_) == 2


@pytest.mark.models
def test_has_the_right_of_way_up_to_the_first_chunk(
    machine: Machine, library: OrtDouble, fixed_speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through encoder and first chunk without a gap; not for later chunks, nor for lines that nobody waits for."""
    turn = DeviceTurn()
    voice = PiperSynthesizer.load(fixed_speech / "tts", speech_text_of, device="cuda", turn=turn)
    seen: list[tuple[str, bool]] = []
    blocks = 0

    def watched(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        def watch(feeds: Any) -> Any:
            seen.append((name, turn.pending))
            return run(feeds)

        return watch

    enter = turn.speech

    def speech() -> Any:
        nonlocal blocks
        blocks += 1
        return enter()

    monkeypatch.setattr(turn, "speech", speech)
    for name, network in (("encoder", voice.voice._encoder), ("decoder", voice.voice._decoder)):
        monkeypatch.setattr(network, "run", watched(name, network.run))
    for _ in voice.synthesize("Messi scores from the penalty spot."):
        assert not turn.pending
    assert seen[:2] == [("encoder", True), ("decoder", True)]
    assert len(seen) > 3
    assert not any(pending for _, pending in seen[2:])
    assert blocks == 1
    for _ in voice.speak("Messi scores from the penalty spot.", at_leisure=True):
        pass
    assert blocks == 1


def test_the_command_installs_what_the_extra_names() -> None:
    named = INSTALL_COMMAND.split()[-1]
    assert f'"{named}"' in (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
