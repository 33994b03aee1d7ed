"""TensorRT engines on one NVIDIA GPU: the packages `tensorrt` and `tensorrt_rtx`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from asr_tts.interfaces import TensorSpec
from asr_tts.runtime.cuda import Cuda, Stage
from asr_tts.runtime.device_context import CONTEXTS, ContextPool, DeviceContext, DeviceNetwork
from asr_tts.runtime.engine_card import EngineCard, tensor_specs
from asr_tts.runtime.jit_cache import JitCache
from asr_tts.runtime.profiles import Profile
from asr_tts.runtime.tensorrt_library import Library, open_library
from commentary_llm.ground.errors import ArtifactError, EngineError
from commentary_llm.ground.mend import BUILD_ENGINES_COMMAND


class TensorRtRuntime(DeviceNetwork):
    """`SpeechRuntime` over one engine: weights once on the GPU, `contexts` execution contexts for each profile.

    All work of a stage ("asr", "tts") goes to the stage's own non-blocking stream. `run` copies through pinned memory,
    waits for its own results only, and may be called from several threads. After `warm_up` each fixed shape runs as a
    CUDA graph where the engine can be captured.

    Raises ConfigError when the library or a GPU is missing, ArtifactError when the engine was built for another GPU or
    library, is damaged or does not load; the message names both sides and the command that rebuilds.
    """

    def __init__(
        self, path: Path | str, kind: str, *, name: str | None = None, stage: str = "speech", contexts: int = CONTEXTS
    ) -> None:
        path = Path(path)
        self._name = name or path.stem
        if not path.is_file():
            raise ArtifactError(
                f"network {self._name!r}: no file {path}; build the engines with `{BUILD_ENGINES_COMMAND}`"
            )
        card = EngineCard.read(path)
        if card.library != kind:
            raise refusal(
                self._name, path, card, f"built by {card.library} {card.library_version}", f"this run uses {kind}"
            )
        self._library = open_library(kind)
        self._stage = Stage.of(stage)
        self._cuda = self._stage.cuda
        self._cuda.enter()
        self._card = card
        self._runtime, self._engine = load_engine(self._name, path, card, self._library, self._cuda)
        self._inputs, self._outputs = tensor_specs(card.inputs), tensor_specs(card.outputs)
        self._profiles = card.profiles
        self._check_tensors(path)
        self._jit = JitCache(self._engine, path) if kind == "tensorrt_rtx" else None
        self._contexts = ContextPool(self._stage, self._inputs, card.profiles, self._new_context, contexts)

    def _check_tensors(self, path: Path) -> None:
        """The engine's tensors are those of its card."""
        api, engine = self._library.api, self._engine
        found: dict[bool, dict[str, tuple[str, tuple[int, ...]]]] = {True: {}, False: {}}
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            is_input = engine.get_tensor_mode(name) == api.TensorIOMode.INPUT
            dtype = np.dtype(api.nptype(engine.get_tensor_dtype(name))).name
            found[is_input][name] = (dtype, tuple(engine.get_tensor_shape(name)))
            if engine.is_shape_inference_io(name):
                raise refusal(self._name, path, self._card, f"{name!r} is a shape tensor", "only data is expected")
        for is_input, expected in ((True, self._card.inputs), (False, self._card.outputs)):
            if found[is_input] != expected:
                side = "inputs" if is_input else "outputs"
                raise refusal(
                    self._name, path, self._card, f"{side} are {found[is_input]}", f"the card says {expected}"
                )
        if engine.num_optimization_profiles != len(self._card.profiles):
            profiles = engine.num_optimization_profiles
            expected_profiles = f"the card says {len(self._card.profiles)}"
            raise refusal(self._name, path, self._card, f"{profiles} optimisation profiles", expected_profiles)

    def _new_context(self, number: int) -> _Context:
        made_with = () if self._jit is None else (self._jit.config(),)
        with self._stage.lock:
            return _Context(
                self._name,
                self._library,
                self._engine.create_execution_context(*made_with),
                number,
                self._inputs,
                self._outputs,
                self._card.profiles[number],
                self._stage,
            )

    @property
    def description(self) -> str:
        library = "TensorRT-RTX" if self._library.kind == "tensorrt_rtx" else "TensorRT"
        return (
            f"{self._name}: {library} {self._library.version}, GPU of compute capability "
            f"{self._card.compute_capability}, {self._card.precision}"
        )

    def warm_up(self) -> None:
        """Runs every context of every profile on zeros and captures it as a CUDA graph where that can be done."""
        super().warm_up()
        if self._jit is not None:
            self._jit.save()


class _Context(DeviceContext):
    """One execution context."""

    def __init__(
        self,
        network: str,
        library: Library,
        context: Any,
        number: int,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        profile: Profile,
        stage: Stage,
    ) -> None:
        self._network, self._library, self._context = network, library, context
        if self._context is None:
            raise self._error("no execution context could be made")
        self._need(self._context.set_optimization_profile_async(number, int(stage.stream)), f"profile {number}")
        stage.cuda.call("cudaStreamSynchronize", stage.stream)
        for spec in inputs:
            shape = profile[spec.name]
            self._need(self._context.set_input_shape(spec.name, shape), f"shape {shape} of {spec.name!r}")
        unknown = self._context.infer_shapes()
        if unknown:
            raise self._error(f"the shapes of {unknown} do not follow from the inputs")
        shapes = {spec.name: tuple(self._context.get_tensor_shape(spec.name)) for spec in (*inputs, *outputs)}
        for name, shape in shapes.items():
            if min(shape, default=1) < 1:
                raise self._error(f"tensor {name!r} has the shape {shape}; expected fixed sizes above 0")
        super().__init__(network, stage, inputs, outputs, shapes)
        for name, buffer in self._device.items():
            self._need(self._context.set_tensor_address(name, buffer.address), f"address of {name!r}")

    def _enqueue(self) -> None:
        self._need(self._context.execute_async_v3(int(self._stage.stream)), "execution")

    def _not_capturable(self) -> str | None:
        # TensorRT-RTX can tell; TensorRT captures everything but loops and conditionals, which fail then.
        tell = getattr(self._context, "is_stream_capturable", None)
        if tell is None or tell(int(self._stage.stream)):
            return None
        return "TensorRT says it cannot be captured"

    def _need(self, done: bool, what: str) -> None:
        if not done:
            raise self._error(f"{what} was refused")

    def _error(self, what: str) -> EngineError:
        return EngineError(f"network {self._network!r}: {what} by TensorRT: {self._library.last_errors()}")


def load_engine(network: str, path: Path, card: EngineCard, library: Library, cuda: Cuda) -> tuple[Any, Any]:
    """TensorRT's runtime and the deserialised engine; the engine must not outlive the runtime.

    Raises ArtifactError when the library, the GPU or the file differs from what the card says, or TensorRT refuses it.
    """
    if card.library_version != library.version:
        found = f"built by {card.library} {card.library_version}"
        raise refusal(network, path, card, found, f"version {library.version} is installed")
    present = cuda.compute_capability
    if card.compute_capability != present:
        found = f"built for GPUs of compute capability {card.compute_capability}"
        raise refusal(network, path, card, found, f"this GPU has {present}")
    plan = path.read_bytes()
    digest = hashlib.sha256(plan).hexdigest()
    if digest != card.sha256:
        raise refusal(network, path, card, f"SHA-256 is {digest}", f"the card says {card.sha256}")
    runtime = library.api.Runtime(library.logger)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        found = f"{library.kind} {library.version} does not load it"
        raise refusal(network, path, card, found, library.last_errors())
    return runtime, engine


def refusal(network: str, path: Path, card: EngineCard, found: str, expected: str) -> ArtifactError:
    """Why an engine is not loaded: both sides, and the command that rebuilds."""
    return ArtifactError(f"network {network!r}: {path}: {found}, {expected}. Rebuild with `{card.command}`")
