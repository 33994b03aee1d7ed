"""A stand-in for `tensorrt` and `tensorrt_rtx` over the CUDA double: engines are ONNX graphs, run by ONNX Runtime.

Only what our runtime uses, with TensorRT's rules: a profile is chosen before shapes are set, shapes lie within it,
every tensor has an address on the GPU that is large enough, a context serves one thread at a time, the first call of a
context cannot be captured, an engine does not outlive its runtime. Refusals return False or None and log an error, as
TensorRT does; broken rules raise AssertionError.
"""

from __future__ import annotations

import enum
import json
import threading
import weakref
from typing import Any

import numpy as np
import onnx
import onnxruntime
from cuda_double import CudaDouble

from asr_tts.runtime.profiles import METADATA_KEY, parse_profiles

MAGIC = b"TRT-DOUBLE"


class Severity(enum.IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity
    Severity = Severity

    def __init__(self) -> None:
        self.ready_ = True


class TensorIOMode(enum.Enum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class LayerInformationFormat(enum.Enum):
    ONELINE = 0
    JSON = 1


def serialize(model: onnx.ModelProto, version: str) -> bytes:
    """An engine file for the double."""
    return MAGIC + version.encode() + b"\n" + model.SerializeToString()


class TensorRtDouble:
    """The module. `capturable_` False: an engine with loops, say."""

    ILogger = ILogger
    TensorIOMode = TensorIOMode
    LayerInformationFormat = LayerInformationFormat

    def __init__(self, cuda: CudaDouble, version: str = "9.9.9.9", rtx: bool = True) -> None:
        self.__version__ = version
        self.cuda_, self.rtx_ = cuda, rtx
        self.capturable_ = True
        self.fail_execution_ = False
        self.contexts_: list[Context] = []
        self.most_running_ = 0
        double = self

        class Runtime:
            def __init__(self, logger: ILogger) -> None:
                assert getattr(logger, "ready_", False), "the logger's base class was not initialised"
                self.logger_ = logger

            def deserialize_cuda_engine(self, serialized_engine: bytes) -> Engine | None:
                head, _, body = serialized_engine.partition(b"\n")
                if head != MAGIC + double.__version__.encode():
                    self.logger_.log(
                        Severity.ERROR, "Serialization assertion stdVersionRead == kSERIALIZATION_VERSION failed"
                    )
                    return None
                return Engine(double, self, onnx.load_model_from_string(body))

        self.Runtime = Runtime

    @staticmethod
    def nptype(dtype: Any) -> Any:
        return dtype


class Engine:
    def __init__(self, double: TensorRtDouble, runtime: Any, model: onnx.ModelProto) -> None:
        self.double_ = double
        self.runtime_ = weakref.ref(runtime)
        self.logger_ = runtime.logger_
        self.model_ = model
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session_ = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        self.profiles_ = parse_profiles(next(p.value for p in model.metadata_props if p.key == METADATA_KEY))
        dtypes = {1: np.float32, 7: np.int64, 10: np.float16, 9: np.bool_}
        self.tensors_ = {
            value.name: (
                mode,
                dtypes[value.type.tensor_type.elem_type],
                tuple(size.dim_value or -1 for size in value.type.tensor_type.shape.dim),
            )
            for mode, values in ((TensorIOMode.INPUT, model.graph.input), (TensorIOMode.OUTPUT, model.graph.output))
            for value in values
        }

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors_)

    @property
    def num_optimization_profiles(self) -> int:
        return len(self.profiles_)

    @property
    def device_memory_size_v2(self) -> int:
        return 4096

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors_)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return self.tensors_[name][0]

    def get_tensor_dtype(self, name: str) -> Any:
        return self.tensors_[name][1]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.tensors_[name][2]

    def is_shape_inference_io(self, name: str) -> bool:
        return False

    def create_runtime_config(self) -> RuntimeConfig:
        assert self.double_.rtx_, "TensorRT compiles nothing at run time"
        return RuntimeConfig(self)

    def create_execution_context(self, runtime_config: RuntimeConfig | None = None) -> Context:
        assert runtime_config is None or self.double_.rtx_
        context = (RtxContext if self.double_.rtx_ else Context)(self)
        self.double_.contexts_.append(context)
        return context

    def create_engine_inspector(self) -> Inspector:
        return Inspector(self)


class RuntimeConfig:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.cache_: RuntimeCache | None = None

    def create_runtime_cache(self) -> RuntimeCache:
        return RuntimeCache(self._engine.double_)

    def set_runtime_cache(self, cache: RuntimeCache) -> bool:
        self.cache_ = cache
        return True


class RuntimeCache:
    """Compiled kernels; of another version they are refused."""

    def __init__(self, double: TensorRtDouble) -> None:
        self._key = f"kernels of {double.__version__}".encode()

    def serialize(self) -> bytes:
        return self._key

    def deserialize(self, blob: bytes) -> bool:
        return blob == self._key


class Inspector:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get_engine_information(self, layer_format: LayerInformationFormat) -> str:
        assert layer_format == LayerInformationFormat.JSON
        mark = "[ONNX Layer: a]"
        layers = [
            {"Name": "fused", "Metadata": f"{mark}\x1e{mark}\x1e{mark}", "Outputs": [{"Format/Datatype": "Half"}]},
            {"Name": "plain", "Metadata": mark, "Outputs": [{"Format/Datatype": "Float"}]},
        ]
        return json.dumps({"Layers": layers, "Bindings": list(self._engine.tensors_)})


class Context:
    def __init__(self, engine: Engine) -> None:
        self.engine_ = engine
        self.profile_: int | None = None
        self.shapes_: dict[str, tuple[int, ...]] = {}
        self.addresses_: dict[str, int] = {}
        self.executed_ = False
        self.captured_ = False
        self._one_thread = threading.Lock()

    def _refuse(self, why: str) -> bool:
        self.engine_.logger_.log(Severity.ERROR, why)
        return False

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        assert stream_handle in self.engine_.double_.cuda_.streams_, "not a stream"
        if not 0 <= profile_index < len(self.engine_.profiles_):
            return self._refuse("profile index out of range")
        self.profile_ = profile_index
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert self.profile_ is not None, "shapes belong to a profile; none was chosen"
        assert not self.captured_, "the captured graph keeps the old shape"
        if tuple(shape) != tuple(self.engine_.profiles_[self.profile_][name]):
            return self._refuse(f"IExecutionContext::setInputShape: {name}: {shape} is outside the profile")
        self.shapes_[name] = tuple(shape)
        return True

    def infer_shapes(self) -> list[str]:
        missing = [n for n, (mode, _, _) in self.engine_.tensors_.items() if mode == TensorIOMode.INPUT]
        missing = [name for name in missing if name not in self.shapes_]
        if missing:
            return missing
        feeds = {
            name: np.zeros(self.shapes_[name], dtype)
            for name, (mode, dtype, _) in self.engine_.tensors_.items()
            if mode == TensorIOMode.INPUT
        }
        for name, value in zip(self._outputs(), self.engine_.session_.run(self._outputs(), feeds), strict=True):
            self.shapes_[name] = value.shape
        return []

    def _outputs(self) -> list[str]:
        return [name for name, (mode, _, _) in self.engine_.tensors_.items() if mode == TensorIOMode.OUTPUT]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shapes_.get(name, self.engine_.tensors_[name][2])

    def set_tensor_address(self, name: str, memory: int) -> bool:
        assert name in self.engine_.tensors_
        assert not self.captured_, "the captured graph keeps the old address"
        self._bytes(name, memory)
        self.addresses_[name] = memory
        return True

    def _bytes(self, name: str, memory: int) -> bytearray:
        assert memory % 256 == 0, "TensorRT wants addresses that divide by 256"
        size = int(np.prod(self.shapes_[name])) * np.dtype(self.engine_.tensors_[name][1]).itemsize
        return self.engine_.double_.cuda_.device_bytes_(memory, size)

    def execute_async_v3(self, stream_handle: int) -> bool:
        double = self.engine_.double_
        assert self._one_thread.acquire(blocking=False), "two threads in one execution context"
        try:
            assert self.engine_.runtime_() is not None, "the runtime is gone, its engine is not"
            assert stream_handle, "the default stream makes TensorRT wait for the whole device"
            missing = self.engine_.tensors_.keys() - self.addresses_.keys()
            if missing:
                return self._refuse(f"no address for {sorted(missing)}")
            if double.fail_execution_:
                return self._refuse("Cuda Runtime (out of memory)")
            if double.cuda_.capturing_(stream_handle):
                assert self.executed_, "the first call of a context sets things up and cannot be captured"
                if not double.capturable_:
                    double.cuda_.spoil_capture_(stream_handle)
                    return self._refuse("operation not permitted when stream is capturing")
                self.captured_ = True
            self.executed_ = True
            double.cuda_.enqueue_(stream_handle, self._compute)
            return True
        finally:
            self._one_thread.release()

    def _compute(self) -> None:
        feeds = {}
        for name, (mode, dtype, _) in self.engine_.tensors_.items():
            if mode == TensorIOMode.INPUT:
                count = int(np.prod(self.shapes_[name]))
                stored = np.frombuffer(bytes(self._bytes(name, self.addresses_[name])), dtype)[:count]
                feeds[name] = stored.reshape(self.shapes_[name])
        for name, value in zip(self._outputs(), self.engine_.session_.run(self._outputs(), feeds), strict=True):
            assert value.shape == self.shapes_[name]
            memory = self._bytes(name, self.addresses_[name])
            memory[: value.nbytes] = np.ascontiguousarray(value).tobytes()


class RtxContext(Context):
    """TensorRT-RTX can tell beforehand."""

    def is_stream_capturable(self, stream: int) -> bool:
        return self.engine_.double_.capturable_
