"""What every runtime on a GPU does: buffers for one set of shapes, copies in and out, CUDA graphs, contexts to take."""

from __future__ import annotations

import logging
import queue
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from asr_tts.interfaces import Tensor, TensorSpec
from asr_tts.runtime.cuda import BufferPool, DeviceBuffer, Graph, PinnedArray, Stage
from asr_tts.runtime.feeds import check_feeds
from asr_tts.runtime.network import Network
from asr_tts.runtime.profiles import Profile, zeros
from commentary_llm.ground.errors import EngineError

log = logging.getLogger(__name__)
# Two lines or windows may be under way at once: one computes while the other's arrays are copied and checked.
CONTEXTS = 2


class GpuTensor:
    """A `DeviceTensor`: one output of a network, copied to memory of its own."""

    def __init__(self, pool: BufferPool, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype
        self.buffer = pool.take(int(np.prod(shape)) * dtype.itemsize, self)


class DeviceContext(ABC):
    """Memory of one network for one profile, on the host (pinned) and on the GPU. One thread at a time."""

    def __init__(
        self,
        network: str,
        stage: Stage,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        shapes: Mapping[str, tuple[int, ...]],
    ) -> None:
        """`shapes` are those of all inputs and outputs, fixed. Raises EngineError when the GPU's memory is full."""
        self._network, self._stage, self._cuda = network, stage, stage.cuda
        self._inputs = {spec.name: spec for spec in inputs}
        self._outputs = {spec.name: spec for spec in outputs}
        self._device: dict[str, DeviceBuffer] = {}
        self._host: dict[str, PinnedArray] = {}
        for spec in (*inputs, *outputs):
            self._host[spec.name] = PinnedArray(self._cuda, shapes[spec.name], spec.dtype)
            self._device[spec.name] = DeviceBuffer(self._cuda, self._host[spec.name].array.nbytes)
        self._resident: dict[str, GpuTensor] = {}  # what an input's buffer holds already; such tensors never change
        self._done = self._cuda.new_event(self)
        self._graph: Graph | None = None

    @abstractmethod
    def _enqueue(self) -> None:
        """Queues the network on the stage's stream, from and to this context's buffers. Raises EngineError."""

    def _not_capturable(self) -> str | None:
        """Why the library says this cannot become a CUDA graph; None when it may."""
        return None

    def run(self, feeds: Mapping[str, Tensor], keep: Collection[str], pool: BufferPool) -> dict[str, Tensor]:
        """Copies in, computes, copies out; returns when the results are there."""
        for name in self._inputs:
            value = feeds[name]
            if isinstance(value, np.ndarray):
                np.copyto(self._host[name].array, value)
        kept = {
            name: GpuTensor(pool, self._host[name].array.shape, spec.dtype)
            for name, spec in self._outputs.items()
            if name in keep
        }
        cuda, stream = self._cuda, self._stage.stream
        with self._stage.lock:
            for name in self._inputs:
                self._feed(name, feeds[name])
            if self._graph is not None:
                self._graph.launch(stream)
            else:
                self._enqueue()
            for name in self._outputs:
                if name in kept:
                    cuda.on_device(kept[name].buffer, self._device[name], stream)
                else:
                    cuda.to_host(self._host[name], self._device[name], stream)
            cuda.call("cudaEventRecord", self._done, stream)
        # Outside the lock: another thread may queue its work behind this one meanwhile.
        cuda.call("cudaEventSynchronize", self._done)
        return {name: kept[name] if name in kept else self._host[name].array.copy() for name in self._outputs}

    def _feed(self, name: str, value: Tensor) -> None:
        if not isinstance(value, GpuTensor):
            self._resident.pop(name, None)
            self._cuda.to_device(self._device[name], self._host[name], self._stage.stream)
        elif self._resident.get(name) is not value:
            # Noted only once it is queued: after a failed copy the buffer holds nothing known.
            self._resident.pop(name, None)
            self._cuda.on_device(self._device[name], value.buffer, self._stage.stream)
            self._resident[name] = value

    def capture(self) -> None:
        """Turns the network's call into a CUDA graph; says in the log where that cannot be done.

        Whatever the library sets up at the first call of these shapes has to be set up: run it before.
        """
        with self._stage.lock:
            reason = self._not_capturable()
            if reason is not None:
                log.info("network %r: %s; it runs without a CUDA graph", self._network, reason)
                return
            try:
                self._graph = self._cuda.capture(self._stage.stream, self._enqueue)
            except EngineError as error:
                log.warning("network %r: runs without a CUDA graph: %s", self._network, error)


class ContextPool:
    """The contexts of one network, `contexts` for each profile; a thread takes one for the time of a run."""

    def __init__(
        self,
        stage: Stage,
        inputs: Sequence[TensorSpec],
        profiles: Sequence[Profile],
        make: Callable[[int], DeviceContext],
        contexts: int = CONTEXTS,
    ) -> None:
        """`make` makes a context for the profile of that number."""
        self._cuda, self._inputs, self._profiles, self._contexts = stage.cuda, inputs, profiles, contexts
        self._memory = BufferPool(stage.cuda)
        # Last in, first out: the context that was used last still holds inputs that have not changed.
        self._idle: list[queue.LifoQueue[DeviceContext]] = []
        for number in range(len(profiles)):
            self._idle.append(queue.LifoQueue())
            for _ in range(contexts):
                self._idle[number].put(make(number))

    def run(self, number: int, feeds: Mapping[str, Tensor], keep: Collection[str]) -> dict[str, Tensor]:
        """Runs a context of profile `number` on feeds that fit it. Blocks; thread-safe. Raises EngineError."""
        self._cuda.enter()
        context = self._idle[number].get()
        try:
            return context.run(feeds, keep, self._memory)
        finally:
            self._idle[number].put(context)

    def warm_up(self) -> None:
        """Runs every context on zeros and captures it as a CUDA graph where that can be done."""
        self._cuda.enter()
        for number, profile in enumerate(self._profiles):
            taken = [self._idle[number].get() for _ in range(self._contexts)]
            try:
                for context in taken:
                    context.run(zeros(self._inputs, profile), (), self._memory)
                    context.capture()
                    context.run(zeros(self._inputs, profile), (), self._memory)
            finally:
                for context in taken:
                    self._idle[number].put(context)


class DeviceNetwork(Network):
    """A `SpeechRuntime` whose contexts are on a GPU."""

    _contexts: ContextPool

    def run(self, feeds: Mapping[str, Tensor], keep: Collection[str] = ()) -> dict[str, Tensor]:
        """Runs the network once: every input by name in, every output by name out. Blocks; thread-safe.

        Outputs named in `keep` stay on the GPU and may be fed to any network of the same stage; the rest come as host
        arrays of their own. Raises EngineError naming the network and the tensor when an input is missing, unknown, of
        another dtype or of shapes that no profile has, or when the library or CUDA fails.
        """
        number = check_feeds(self._name, self._inputs, self._profiles, feeds, GpuTensor)
        assert number is not None
        return self._contexts.run(number, feeds, keep)

    def warm_up(self) -> None:
        """Runs every context of every profile on zeros and captures it as a CUDA graph where that can be done."""
        self._contexts.warm_up()
