"""Streams, memory and graphs of one GPU through `cuda-python` (the package `cuda.bindings`); no torch.

Every call is checked: a failed one raises EngineError with the function's name and CUDA's own words. All copies are
asynchronous and take pinned host memory; nothing is synchronised behind the caller's back.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from asr_tts.runtime import VOICE_STAGE
from commentary_llm.ground.errors import ConfigError, EngineError

_INSTALL = "install it with `pip install 'commentary-llm[gpu]'` (or `[rtx]`, `[tensorrt]`)"


class Cuda:
    """One GPU. Thread-safe; a thread that uses it calls `enter` first."""

    def __init__(self, device: int = 0) -> None:
        """Raises ConfigError when cuda-python or the GPU is missing."""
        try:
            from cuda.bindings import runtime
        except ImportError as error:
            raise ConfigError(f"the package cuda-python cannot be imported ({error}); {_INSTALL}") from error
        self._api: Any = runtime
        self._device = device
        try:
            count = self.call("cudaGetDeviceCount")
        except (EngineError, RuntimeError) as error:  # without a driver the bindings raise before CUDA can answer
            raise ConfigError(
                f"no NVIDIA GPU can be used here ({error}); the speech runtime asked for needs one"
            ) from error
        if device >= count:
            raise ConfigError(f"GPU {device} was asked for; this machine shows {count}")
        self.enter()

    def call(self, function: str, *arguments: Any) -> Any:
        """Calls a function of the CUDA runtime; its result: None, a value or a tuple of them. Raises EngineError."""
        status, *values = getattr(self._api, function)(*arguments)
        if status != self._api.cudaError_t.cudaSuccess:
            _, text = self._api.cudaGetErrorString(status)
            words = text.decode() if isinstance(text, bytes) else str(text)
            raise EngineError(f"CUDA on GPU {self._device}: {function} failed: {words}")
        if len(values) > 1:
            return tuple(values)
        return values[0] if values else None

    def enter(self) -> None:
        """Makes this the calling thread's GPU; CUDA keeps that per thread."""
        self.call("cudaSetDevice", self._device)

    @property
    def compute_capability(self) -> str:
        """Such as 8.9."""
        attributes = self._api.cudaDeviceAttr
        major, minor = (
            self.call("cudaDeviceGetAttribute", attribute, self._device)
            for attribute in (
                attributes.cudaDevAttrComputeCapabilityMajor,
                attributes.cudaDevAttrComputeCapabilityMinor,
            )
        )
        return f"{major}.{minor}"

    def to_device(self, target: DeviceBuffer, source: PinnedArray, stream: Any) -> None:
        """Queues a copy of all of `source`; it has to stay as it is until the stream gets there."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call("cudaMemcpyAsync", target.address, source.address, source.array.nbytes, kind, stream)

    def to_host(self, target: PinnedArray, source: DeviceBuffer, stream: Any) -> None:
        """Queues a copy; `target` may be read after the stream has been waited for."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call("cudaMemcpyAsync", target.address, source.address, target.array.nbytes, kind, stream)

    def on_device(self, target: DeviceBuffer, source: DeviceBuffer, stream: Any) -> None:
        """Queues a copy of all of `source`."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        self.call("cudaMemcpyAsync", target.address, source.address, source.size_bytes, kind, stream)

    @property
    def free_bytes(self) -> int:
        """Memory of the GPU that nobody, in this process or another, has taken."""
        free_bytes, _ = self.call("cudaMemGetInfo")
        return int(free_bytes)

    def new_stream(self, urgent: bool) -> Any:
        """A stream that does not wait for the default stream; kernels of an urgent one start before those of others.

        A kernel that runs is not interrupted by either.
        """
        least, greatest = self.call("cudaDeviceGetStreamPriorityRange")
        priority = greatest if urgent else least
        return self.call("cudaStreamCreateWithPriority", self._api.cudaStreamNonBlocking, priority)

    def new_event(self, owner: object) -> Any:
        """An event without a time stamp, cheaper to record; it lives as long as `owner`."""
        event = self.call("cudaEventCreateWithFlags", self._api.cudaEventDisableTiming)
        self.release_later(owner, "cudaEventDestroy", event)
        return event

    def capture(self, stream: Any, enqueue: Callable[[], None]) -> Graph:
        """What `enqueue` puts on `stream`, as a graph; nothing runs yet. Raises EngineError, and ends the capture."""
        # Thread-local: what other threads do on other streams does not break it.
        self.call("cudaStreamBeginCapture", stream, self._api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)
        try:
            enqueue()
        except BaseException:
            self._api.cudaStreamEndCapture(stream)
            raise
        captured = self.call("cudaStreamEndCapture", stream)
        try:
            return Graph(self, self.call("cudaGraphInstantiate", captured, 0))
        finally:
            self.call("cudaGraphDestroy", captured)

    def release_later(self, owner: object, function: str, handle: Any) -> None:
        """Calls `function` on `handle` when `owner` is gone; not at exit, when CUDA may be gone before."""
        weakref.finalize(owner, _release, self._api, function, handle).atexit = False


def _release(api: Any, function: str, handle: Any) -> None:
    getattr(api, function)(handle)


class DeviceBuffer:
    """Memory on the GPU, freed with the object."""

    def __init__(self, cuda: Cuda, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.address: int = int(cuda.call("cudaMalloc", size_bytes))
        cuda.release_later(self, "cudaFree", self.address)


class PinnedArray:
    """A host array in page-locked memory, which the GPU copies from and to without the CPU; freed with the object."""

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        size_bytes = int(np.prod(shape)) * dtype.itemsize
        self.address: int = int(cuda.call("cudaMallocHost", size_bytes))
        cuda.release_later(self, "cudaFreeHost", self.address)
        memory = (ctypes.c_byte * size_bytes).from_address(self.address)
        self.array: np.ndarray = np.ctypeslib.as_array(memory).view(dtype).reshape(shape)


class Graph:
    """Captured work that one call starts as a whole."""

    def __init__(self, cuda: Cuda, executable: Any) -> None:
        self._cuda = cuda
        self._executable = executable
        cuda.release_later(self, "cudaGraphExecDestroy", executable)

    def launch(self, stream: Any) -> None:
        """Queues it."""
        self._cuda.call("cudaGraphLaunch", self._executable, stream)


class BufferPool:
    """GPU memory of a few sizes that is used over and over: cudaMalloc and cudaFree stop the whole GPU."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self._free: dict[int, list[DeviceBuffer]] = {}
        self._lock = threading.Lock()

    def take(self, size_bytes: int, owner: object) -> DeviceBuffer:
        """A buffer that comes back to the pool when `owner` is gone."""
        with self._lock:
            waiting = self._free.setdefault(size_bytes, [])
            buffer = waiting.pop() if waiting else None
        buffer = buffer or DeviceBuffer(self._cuda, size_bytes)
        weakref.finalize(owner, self._give_back, buffer).atexit = False
        return buffer

    def _give_back(self, buffer: DeviceBuffer) -> None:
        # May run inside `take` when the garbage collector strikes there, so it takes no lock: append is atomic.
        self._free[buffer.size_bytes].append(buffer)


class Stage:
    """The stream of one stage of the engine (ASR, TTS) on one GPU, and the lock that keeps its calls apart."""

    _all: ClassVar[dict[tuple[int, str], Stage]] = {}
    _guard = threading.Lock()

    def __init__(self, cuda: Cuda, name: str) -> None:
        self.cuda = cuda
        self.stream = cuda.new_stream(urgent=name == VOICE_STAGE)
        self.lock = threading.Lock()

    @classmethod
    def of(cls, name: str, device: int = 0) -> Stage:
        """The stage's one instance in this process."""
        with cls._guard:
            stage = cls._all.get((device, name))
            if stage is None:
                stage = cls._all[device, name] = cls(Cuda(device), name)
            return stage
