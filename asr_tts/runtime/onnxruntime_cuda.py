"""ONNX Runtime on one NVIDIA GPU: its CUDA execution provider, every operator of the network there.

Networks of fixed shapes only (`checkpoints.engines`): at the sizes of speech a launch costs more than what it computes,
so each shape is captured as a CUDA graph, which starts hundreds of kernels by one call.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from asr_tts.interfaces import TensorSpec
from asr_tts.runtime.cuda import Stage
from asr_tts.runtime.device_context import CONTEXTS, ContextPool, DeviceContext, DeviceNetwork
from asr_tts.runtime.onnx_session import ORT_ERRORS, check_file, precision_of, session_options, specs_of
from asr_tts.runtime.profiles import METADATA_KEY, parse_profiles, zeros
from commentary_llm.ground.errors import ArtifactError, ConfigError, EngineError
from commentary_llm.ground.mend import CONVERT_GRAPHS_COMMAND

log = logging.getLogger(__name__)
# Both packages install the same files: whichever comes last wins, and removing either leaves a broken one.
INSTALL_COMMAND = "pip uninstall --yes onnxruntime onnxruntime-gpu && pip install --no-deps onnxruntime-gpu==1.31.1"
_PROVIDER = "CUDAExecutionProvider"
# Of one network, weights aside. A voice needs some 30 MB: more means that something grows.
_MEMORY_LIMIT_BYTES = 1 << 30


@functools.cache
def check_library() -> None:
    """Raises ConfigError with the command that installs it when ONNX Runtime has no CUDA provider."""
    found = onnxruntime.get_available_providers()
    if _PROVIDER not in found:
        raise ConfigError(
            f"speech on a GPU needs ONNX Runtime's {_PROVIDER}; onnxruntime {onnxruntime.__version__} as installed has "
            f"{', '.join(found)}. The packages onnxruntime and onnxruntime-gpu must not both be installed: run "
            f"`{INSTALL_COMMAND}`, or choose the speech device cpu"
        )
    # Every session on a GPU would warn of a plug-in that nobody asked for; errors stay.
    onnxruntime.set_default_logger_severity(3)
    # CUDA's and cuDNN's libraries come as Python packages (torch brings them along), outside the linker's path.
    onnxruntime.preload_dlls()


class OnnxCudaRuntime(DeviceNetwork):
    """`SpeechRuntime` over one session: weights once on the GPU, `contexts` sets of buffers for each profile.

    All work of a stage ("asr", "tts") goes to the stage's own non-blocking stream. `run` copies through pinned memory,
    waits for its own results only, and may be called from several threads. After `warm_up` each shape runs as a CUDA
    graph. Float32 throughout, TF32 off: the numbers are those of the CPU up to the order of sums.

    Raises ConfigError when the CUDA provider, its libraries or a GPU are missing, ArtifactError when the file is
    missing, no valid network, not of fixed shapes, or has an operator that would run on the CPU.
    """

    def __init__(
        self, path: Path | str, *, name: str | None = None, stage: str = "speech", contexts: int = CONTEXTS
    ) -> None:
        path = Path(path)
        self._name = name or path.stem
        check_file(self._name, path)
        check_library()
        self._stage = Stage.of(stage)
        cuda = self._stage.cuda
        cuda.enter()
        free_bytes = cuda.free_bytes
        self._session = _open_session(self._name, path, int(self._stage.stream))
        self._inputs = specs_of(self._name, self._session.get_inputs())
        self._outputs = specs_of(self._name, self._session.get_outputs())
        self._profiles = parse_profiles(self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY))
        if not self._profiles:
            raise ArtifactError(
                f"network {self._name!r}: {path} takes inputs of any shape, and a GPU runs fixed ones; convert it with "
                f"`{CONVERT_GRAPHS_COMMAND}`"
            )
        self._contexts = ContextPool(self._stage, self._inputs, self._profiles, self._new_context, contexts)
        log.info("network %r: %d MB of GPU memory", self._name, (free_bytes - cuda.free_bytes) // 1_000_000)

    def _new_context(self, number: int) -> _Context:
        profile = self._profiles[number]
        shapes = dict(profile)
        with self._stage.lock:
            # The first run of these shapes also chooses the convolutions' algorithms.
            names = [spec.name for spec in self._outputs]
            try:
                outputs = self._session.run(names, zeros(self._inputs, profile), _run_options(synchronise=True))
            except ORT_ERRORS as error:
                raise EngineError(f"network {self._name!r} failed on inputs {profile}: {error}") from error
        shapes |= {name: output.shape for name, output in zip(names, outputs, strict=True)}
        return _Context(self._name, self._stage, self._session, self._inputs, self._outputs, shapes)

    @property
    def description(self) -> str:
        precision = precision_of(self._inputs + self._outputs)
        return f"{self._name}: ONNX Runtime {onnxruntime.__version__}, CUDA, {precision}"


def _open_session(network: str, path: Path, stream: int) -> Any:
    options = session_options(threads=1)
    # An operator without a CUDA kernel is refused by name; otherwise it would run on the CPU, with copies around it.
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    # Weights beside the arena, which would round them up.
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    provider = {
        "device_id": "0",
        "user_compute_stream": str(stream),
        # Captured by us and not by ONNX Runtime, which keeps its graphs per thread; this makes it ready for that.
        "enable_cuda_graph": "1",
        "gpu_mem_limit": str(_MEMORY_LIMIT_BYTES),
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": "0",
    }
    try:
        session = onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=[(_PROVIDER, provider)], enable_fallback=False
        )
    except ORT_ERRORS as error:
        if not _provider_loads(path):
            raise ConfigError(
                f"network {network!r}: ONNX Runtime {onnxruntime.__version__} cannot load its {_PROVIDER}: CUDA 13 or "
                "cuDNN 9 is missing (torch for CUDA 13 brings both along), or the driver is older. Speech device cpu "
                "needs none of them"
            ) from error
        raise ArtifactError(
            f"network {network!r}: {path} does not load on the GPU in ONNX Runtime {onnxruntime.__version__}: {error}; "
            f"`{CONVERT_GRAPHS_COMMAND}` makes it anew"
        ) from error
    assert session.get_providers()[0] == _PROVIDER
    return session


def _provider_loads(path: Path) -> bool:
    """Whether a session that did not open lacked nothing of CUDA: without it a network lands on the CPU as a whole."""
    try:
        session = onnxruntime.InferenceSession(str(path), sess_options=session_options(1), providers=[_PROVIDER])
    except ORT_ERRORS:
        return True
    return bool(session.get_providers()[0] == _PROVIDER)


def _run_options(synchronise: bool) -> Any:
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", "-1")  # no graph of ONNX Runtime's own
    if not synchronise:
        options.add_run_config_entry("disable_synchronize_execution_providers", "1")
    return options


class _Context(DeviceContext):
    """A binding of the session's inputs and outputs to buffers of its own."""

    def __init__(
        self,
        network: str,
        stage: Stage,
        session: Any,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        shapes: Mapping[str, tuple[int, ...]],
    ) -> None:
        super().__init__(network, stage, inputs, outputs, shapes)
        self._session, self._options = session, _run_options(synchronise=False)
        self._binding = session.io_binding()
        for specs, bind in ((inputs, self._binding.bind_input), (outputs, self._binding.bind_output)):
            for spec in specs:
                address = self._device[spec.name].address
                bind(spec.name, "cuda", 0, spec.dtype, shapes[spec.name], address)

    def _enqueue(self) -> None:
        try:
            self._session.run_with_iobinding(self._binding, self._options)
        except ORT_ERRORS as error:
            raise EngineError(f"network {self._network!r} failed: {error}") from error
