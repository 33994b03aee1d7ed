"""Our TensorRT runtime on doubles of TensorRT and CUDA that keep their rules; numbers come from ONNX Runtime."""

from __future__ import annotations

import gc
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from many_threads import wrong_in_threads
from onnx import TensorProto, helper, numpy_helper
from tensorrt_machine import Machine

from asr_tts.runtime import open_runtime
from asr_tts.runtime.device_context import GpuTensor
from asr_tts.runtime.profiles import write_profiles
from asr_tts.runtime.tensorrt_library import Library
from asr_tts.runtime.tensorrt_runtime import TensorRtRuntime
from commentary_llm.ground.errors import ArtifactError, ConfigError, EngineError

SIZES = (3, 8)


def small_model() -> onnx.ModelProto:
    """y = x w + b and s = the sum of y; x (1, 4, 3) or (1, 8, 3)."""
    rng = np.random.default_rng(0)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["xw"]),
            helper.make_node("Add", ["xw", "bias"], ["y"]),
            helper.make_node("ReduceSum", ["y"], ["s"], keepdims=1),
        ],
        "small",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "rows", 3]),
            helper.make_tensor_value_info("bias", TensorProto.FLOAT, [5]),
        ],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "rows", 5]),
            helper.make_tensor_value_info("s", TensorProto.FLOAT, [1, 1, 1]),
        ],
        [numpy_helper.from_array(rng.standard_normal((3, 5)).astype(np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    write_profiles(model, [{"x": [1, rows, 3], "bias": [5]} for rows in SIZES])
    return model


@pytest.fixture
def engine(machine: Machine, tmp_path: Path) -> Path:
    return machine.write_engine(tmp_path, "small", small_model())


def feeds(rows: int, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "x": rng.standard_normal((1, rows, 3)).astype(np.float32),
        "bias": rng.standard_normal(5).astype(np.float32),
    }


@pytest.fixture
def exact(tmp_path: Path) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    onnx.save(small_model(), tmp_path / "small.onnx")
    runtime = open_runtime(tmp_path / "small.onnx")
    return lambda values: {name: np.asarray(value) for name, value in runtime.run(values).items()}


@pytest.mark.parametrize("kind", ["tensorrt_rtx", "tensorrt"])
def test_same_numbers_as_onnx_runtime(
    machine: Machine, tmp_path: Path, kind: str, exact: Callable[..., dict[str, np.ndarray]]
) -> None:
    runtime = open_runtime(machine.write_engine(tmp_path, "both", small_model(), kind), kind, name="both")
    assert [spec.shape for spec in runtime.inputs] == [(1, -1, 3), (5,)]
    assert len(runtime.profiles) == 2
    assert "GPU of compute capability 8.9, fp32" in runtime.description
    for warm in (False, True):
        if warm:
            runtime.warm_up()
        for rows in (*SIZES, *SIZES):
            values = feeds(rows, rows)
            for name, value in exact(values).items():
                np.testing.assert_array_equal(runtime.run(values)[name], value)


def test_results_are_copies(engine: Path) -> None:
    runtime = open_runtime(engine, "tensorrt_rtx")
    first = runtime.run(feeds(3, 1))["y"]
    kept = np.array(first)
    runtime.run(feeds(3, 2))
    np.testing.assert_array_equal(first, kept)


def test_warm_up_captures_every_profile(machine: Machine, engine: Path) -> None:
    runtime = open_runtime(engine, "tensorrt_rtx")
    runtime.run(feeds(3))
    assert machine.cuda.launches_ == 0
    runtime.warm_up()
    before = machine.cuda.launches_
    for rows in SIZES:
        runtime.run(feeds(rows))
    assert machine.cuda.launches_ == before + len(SIZES)
    assert all(context.captured_ for context in machine.rtx.contexts_)
    assert len(machine.rtx.contexts_) == 2 * len(SIZES)
    # Nothing is allocated once all is warm.
    machine.cuda.calls_.clear()
    runtime.run(feeds(8))
    assert not {"cudaMalloc", "cudaMallocHost", "cudaStreamSynchronize"} & set(machine.cuda.calls_)


@pytest.mark.parametrize("kind", ["tensorrt_rtx", "tensorrt"])
def test_runs_without_a_graph_where_it_cannot_be_captured(
    machine: Machine,
    tmp_path: Path,
    kind: str,
    exact: Callable[..., dict[str, np.ndarray]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine.rtx.capturable_ = machine.classic.capturable_ = False
    runtime = open_runtime(machine.write_engine(tmp_path, "loops", small_model(), kind), kind)
    with caplog.at_level("INFO"):
        runtime.warm_up()
    assert "without a CUDA graph" in caplog.text
    assert machine.cuda.launches_ == 0
    np.testing.assert_array_equal(runtime.run(feeds(3))["y"], exact(feeds(3))["y"])


def test_kept_outputs_feed_the_next_call(
    machine: Machine, engine: Path, exact: Callable[..., dict[str, np.ndarray]]
) -> None:
    runtime = TensorRtRuntime(engine, "tensorrt_rtx", stage="one")
    runtime.warm_up()
    out = runtime.run(feeds(3), keep=["y"])
    assert isinstance(out["y"], GpuTensor)
    assert out["y"].shape == (1, 3, 5)
    assert isinstance(out["s"], np.ndarray)
    # A pair of networks: what the first leaves on the GPU is the second's input, again and again without a copy in.
    graph = helper.make_graph(
        [helper.make_node("Mul", ["y", "factor"], ["z"])],
        "next",
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 5]),
            helper.make_tensor_value_info("factor", TensorProto.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 3, 5])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    write_profiles(model, [{"y": [1, 3, 5], "factor": [1]}])
    second = TensorRtRuntime(
        machine.write_engine(engine.parent, "next", model), "tensorrt_rtx", stage="one", contexts=1
    )
    factor = np.array([2.0], np.float32)
    expected = exact(feeds(3))["y"] * 2
    np.testing.assert_array_equal(second.run({"y": out["y"], "factor": factor})["z"], expected)
    copies = machine.cuda.calls_.count("cudaMemcpyAsync")
    np.testing.assert_array_equal(second.run({"y": out["y"], "factor": factor})["z"], expected)
    assert machine.cuda.calls_.count("cudaMemcpyAsync") == copies + 2  # the factor in, the result out
    # Another tensor, also one in reused memory, is copied again.
    for seed in (5, 6):
        del out
        gc.collect()
        out = runtime.run(feeds(3, seed), keep=["y"])
        expected = exact(feeds(3, seed))["y"] * 2
        np.testing.assert_array_equal(second.run({"y": out["y"], "factor": factor})["z"], expected)


def test_memory_comes_back(machine: Machine, engine: Path) -> None:
    runtime = open_runtime(engine, "tensorrt_rtx")
    runtime.run(feeds(3), keep=["y", "s"])
    gc.collect()
    kept = len(machine.cuda.memory_)
    for seed in range(10):
        runtime.run(feeds(3, seed), keep=["y", "s"])
    gc.collect()
    assert len(machine.cuda.memory_) == kept
    machine.rtx.contexts_.clear()
    del runtime
    gc.collect()
    assert not machine.cuda.memory_
    assert not machine.cuda.pinned_


def test_many_threads(engine: Path, exact: Callable[..., dict[str, np.ndarray]]) -> None:
    runtime = open_runtime(engine, "tensorrt_rtx")
    runtime.warm_up()

    def is_right(seed: int, turn: int) -> bool:
        values = feeds(SIZES[turn % 2], seed)
        # ONNX Runtime may be called from any thread.
        return np.array_equal(runtime.run(values)["y"], exact(values)["y"])

    assert not wrong_in_threads(is_right, 10)


def test_compiled_kernels_are_kept(
    machine: Machine, engine: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = engine.with_name("small.engine.jit")
    open_runtime(engine, "tensorrt_rtx").warm_up()
    assert kept.read_bytes() == b"kernels of 9.9.9.9"
    kept.write_bytes(b"kernels of 1.0")
    with caplog.at_level("INFO"):
        runtime = open_runtime(engine, "tensorrt_rtx")
        assert "compiled again" in caplog.text
        runtime.warm_up()
        assert kept.read_bytes() == b"kernels of 9.9.9.9"
        kept.unlink()

        def full(path: Path, target: Path) -> None:
            raise OSError(28, "No space left on device")

        runtime = open_runtime(engine, "tensorrt_rtx")
        monkeypatch.setattr(Path, "replace", full)
        runtime.warm_up()
    assert "compiled kernels are not kept: could not write" in caplog.text
    assert list(engine.parent.glob("*.jit*")) == []


def test_stages_have_streams_of_their_own(machine: Machine, engine: Path) -> None:
    for stage in ("asr", "tts", "asr"):
        open_runtime(engine, "tensorrt_rtx", stage=stage)
    asr, tts = machine.cuda.streams_.values()
    assert tts.priority < asr.priority  # CUDA counts downwards


def test_refuses_wrong_inputs(engine: Path) -> None:
    runtime = open_runtime(engine, "tensorrt_rtx", name="small")
    good = feeds(3)
    with pytest.raises(EngineError, match=r"'small': inputs are x \(1, 4, 3\).* it was made for x \(1, 3, 3\)"):
        runtime.run({**good, "x": np.zeros((1, 4, 3), np.float32)})
    with pytest.raises(EngineError, match=r"'x' is float64 \(1, 3, 3\); expected float32 \(1, any, 3\)"):
        runtime.run({**good, "x": np.zeros((1, 3, 3))})
    with pytest.raises(EngineError, match="'bias' is missing"):
        runtime.run({"x": good["x"]})
    with pytest.raises(EngineError, match=r"no input \['z'\]"):
        runtime.run({**good, "z": good["x"]})
    runtime.run(good)


def test_a_failed_run_says_why_and_leaves_the_runtime_usable(
    machine: Machine, engine: Path, exact: Callable[..., dict[str, np.ndarray]]
) -> None:
    runtime = TensorRtRuntime(engine, "tensorrt_rtx", name="small", contexts=1)
    machine.rtx.fail_execution_ = True
    with pytest.raises(
        EngineError, match=r"'small': execution was refused by TensorRT: Cuda Runtime \(out of memory\)"
    ):
        runtime.run(feeds(3))
    machine.rtx.fail_execution_ = False
    np.testing.assert_array_equal(runtime.run(feeds(3))["y"], exact(feeds(3))["y"])
    machine.cuda.out_of_memory_ = True
    with pytest.raises(EngineError, match="cudaMalloc failed: cudaErrorMemoryAllocation"):
        runtime.run(feeds(3), keep=["y"])
    machine.cuda.out_of_memory_ = False
    np.testing.assert_array_equal(runtime.run(feeds(3))["y"], exact(feeds(3))["y"])


def test_refuses_engines_of_another_kind(
    machine: Machine, engine: Path, change_card: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild = r"Rebuild with `python -m checkpoints engines build --out here`"
    with pytest.raises(ArtifactError, match=rf"built by tensorrt_rtx 9.9.9.9, this run uses tensorrt\. {rebuild}"):
        open_runtime(engine, "tensorrt")
    machine.install("10.0.0.1")
    with pytest.raises(
        ArtifactError, match=rf"built by tensorrt_rtx 9.9.9.9, version 10.0.0.1 is installed\. {rebuild}"
    ):
        open_runtime(engine, "tensorrt_rtx")
    machine.install()
    machine.cuda.capability_ = "9.0"
    with pytest.raises(ArtifactError, match=rf"compute capability 8.9, this GPU has 9.0\. {rebuild}"):
        open_runtime(engine, "tensorrt_rtx")
    machine.cuda.capability_ = "8.9"
    change_card(engine, inputs={"x": ("float32", (1, 7, 3)), "bias": ("float32", (5,))})
    with pytest.raises(ArtifactError, match=rf"(?s)inputs are .*\(1, -1, 3\).*the card says .*\(1, 7, 3\).*{rebuild}"):
        open_runtime(engine, "tensorrt_rtx")
    engine = machine.write_engine(engine.parent, "other", small_model())
    change_card(engine, profiles=({"x": (1, 3, 3), "bias": (5,)},))
    with pytest.raises(ArtifactError, match="2 optimisation profiles, the card says 1"):
        open_runtime(engine, "tensorrt_rtx")


def test_refuses_damaged_files(machine: Machine, engine: Path, change_card: Callable[..., None]) -> None:
    plan = engine.read_bytes()
    engine.write_bytes(plan[:-1] + bytes([plan[-1] ^ 1]))
    with pytest.raises(ArtifactError, match=r"SHA-256 is [0-9a-f]{64}, the card says [0-9a-f]{64}"):
        open_runtime(engine, "tensorrt_rtx")
    engine.write_bytes(b"TRT-DOUBLE0.1\n")
    change_card(engine, sha256=hashlib.sha256(b"TRT-DOUBLE0.1\n").hexdigest())
    with pytest.raises(ArtifactError, match=r"tensorrt_rtx 9.9.9.9 does not load it, Serialization assertion"):
        open_runtime(engine, "tensorrt_rtx")
    engine.with_name(engine.name + ".json").write_text("{}")
    with pytest.raises(
        ArtifactError, match=r"small\.engine\.json: cannot be read .* `python -m checkpoints engines build`"
    ):
        open_runtime(engine, "tensorrt_rtx")
    with pytest.raises(ArtifactError, match="no file"):
        open_runtime(engine.with_name("absent.engine"), "tensorrt_rtx")


def test_says_what_is_not_installed(machine: Machine, engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.cuda.devices_ = 0
    with pytest.raises(ConfigError, match=r"no NVIDIA GPU can be used here .*cudaErrorNoDevice"):
        open_runtime(engine, "tensorrt_rtx")
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(ConfigError, match=r"cuda-python cannot be imported .*commentary-llm\[gpu\].*\[rtx\]"):
        open_runtime(engine, "tensorrt_rtx")
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    from asr_tts.runtime.tensorrt_library import open_library

    open_library.cache_clear()
    with pytest.raises(ConfigError, match=r"package tensorrt_rtx cannot be imported .*commentary-llm\[rtx\]"):
        open_runtime(engine, "tensorrt_rtx")


def test_a_folder_of_the_librarys_name_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorrt").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # so that the end of the test forgets the folder
    del sys.modules["tensorrt"]
    with pytest.raises(ConfigError, match=r"what Python finds as tensorrt .* is no TensorRT"):
        Library("tensorrt")


def test_the_double_has_what_the_library_has() -> None:
    """Every public name of the TensorRT double is one of the real library's, where that is installed."""
    real = pytest.importorskip(
        "tensorrt_rtx", reason="TensorRT-RTX is not installed: `pip install commentary-llm[rtx]`"
    )
    from tensorrt_double import Context, Engine, Inspector, RtxContext, RuntimeCache, RuntimeConfig, Severity

    for double, cls in (
        (Engine, real.ICudaEngine),
        (Context, real.IExecutionContext),
        (RtxContext, real.IExecutionContext),
        (Inspector, real.EngineInspector),
        (RuntimeConfig, real.IRuntimeConfig),
        (RuntimeCache, real.IRuntimeCache),
    ):
        names = {name for name in vars(double) if not name.startswith("_") and not name.endswith("_")}
        assert names, double
        assert not {name for name in names if not hasattr(cls, name)}, double
    assert {level.name for level in Severity} <= set(dir(real.ILogger.Severity))
    assert hasattr(real.Runtime, "deserialize_cuda_engine")
    assert hasattr(real.LayerInformationFormat, "JSON")
    assert {"INPUT", "OUTPUT"} <= set(dir(real.TensorIOMode))
    assert np.dtype(real.nptype(real.DataType.HALF)) == np.float16


def test_the_cuda_double_has_what_cuda_has() -> None:
    real = pytest.importorskip("cuda.bindings.runtime", reason="cuda-python is not installed")
    from cuda_double import CudaDouble

    names = {name for name in dir(CudaDouble) if name.startswith("cuda")}
    assert not {name for name in names if not hasattr(real, name)}
    for enum in ("cudaError_t", "cudaMemcpyKind", "cudaStreamCaptureMode", "cudaDeviceAttr"):
        for member in getattr(CudaDouble, enum):
            assert int(getattr(getattr(real, enum), member.name)) == int(member)
    assert int(real.cudaStreamNonBlocking) == CudaDouble.cudaStreamNonBlocking
