"""A stand-in for `cuda.bindings.runtime` that keeps the rules which a GPU would only punish by wrong numbers.

What is queued on a stream runs when somebody waits for it and not before; memory starts as garbage; addresses are
checked against what is allocated; capturing streams record instead of running. A broken rule raises AssertionError.
"""

from __future__ import annotations

import ctypes
import enum
import itertools
import threading
from collections.abc import Callable
from typing import Any

_GARBAGE = 0xCB
_ALIGNMENT = 256


class cudaError_t(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorNoDevice = 100
    cudaErrorStreamCaptureInvalidated = 901


class cudaMemcpyKind(enum.IntEnum):
    cudaMemcpyHostToHost = 0
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2
    cudaMemcpyDeviceToDevice = 3


class cudaStreamCaptureMode(enum.IntEnum):
    cudaStreamCaptureModeGlobal = 0
    cudaStreamCaptureModeThreadLocal = 1


class cudaDeviceAttr(enum.IntEnum):
    cudaDevAttrComputeCapabilityMajor = 75
    cudaDevAttrComputeCapabilityMinor = 76


Work = Callable[[], None]


class _Stream:
    def __init__(self, handle: int, priority: int) -> None:
        self.handle = handle
        self.priority = priority
        self.queue: list[Work] = []
        self.done = 0  # how much of the queue has run
        self.captured: list[Work] | None = None
        self.capturing_thread = 0
        self.spoilt = False

    def __int__(self) -> int:
        return self.handle

    def run_to(self, place: int) -> None:
        while self.done < place:
            work = self.queue[self.done]
            self.done += 1
            work()


class _Event:
    def __init__(self) -> None:
        self.stream: _Stream | None = None
        self.place = 0


class CudaDouble:
    """One GPU. Public names are those of `cuda.bindings.runtime`; `…_` ones are for tests."""

    cudaError_t = cudaError_t
    cudaMemcpyKind = cudaMemcpyKind
    cudaStreamCaptureMode = cudaStreamCaptureMode
    cudaDeviceAttr = cudaDeviceAttr
    cudaStreamNonBlocking = 1
    cudaEventDisableTiming = 2

    def __init__(self, compute_capability: str = "8.9", devices: int = 1) -> None:
        self.capability_ = compute_capability
        self.devices_ = devices
        self.memory_: dict[int, bytearray] = {}
        self.pinned_: dict[int, Any] = {}
        self.streams_: dict[int, _Stream] = {}
        self.launches_ = 0
        self.calls_: list[str] = []
        self.out_of_memory_ = False
        self._next = itertools.count(1)
        self._current = threading.local()
        self._lock = threading.RLock()

    # Devices

    def cudaGetDeviceCount(self) -> tuple[Any, ...]:
        if not self.devices_:
            return (cudaError_t.cudaErrorNoDevice, 0)
        return (cudaError_t.cudaSuccess, self.devices_)

    def cudaSetDevice(self, device: int) -> tuple[Any, ...]:
        if device >= self.devices_:
            return (cudaError_t.cudaErrorInvalidValue,)
        self._current.device = device
        return (cudaError_t.cudaSuccess,)

    def cudaDeviceGetAttribute(self, attribute: cudaDeviceAttr, device: int) -> tuple[Any, ...]:
        major, minor = map(int, self.capability_.split("."))
        wanted = attribute == cudaDeviceAttr.cudaDevAttrComputeCapabilityMajor
        return (cudaError_t.cudaSuccess, major if wanted else minor)

    def cudaGetErrorString(self, error: cudaError_t) -> tuple[Any, ...]:
        return (cudaError_t.cudaSuccess, error.name.encode())

    def _entered(self, function: str) -> None:
        assert getattr(self._current, "device", None) is not None, f"{function}: this thread never chose its GPU"
        self.calls_.append(function)

    # Memory

    def cudaMalloc(self, size: int) -> tuple[Any, ...]:
        self._entered("cudaMalloc")
        assert size > 0
        self._not_capturing("cudaMalloc")
        if self.out_of_memory_:
            return (cudaError_t.cudaErrorMemoryAllocation, 0)
        address = 0x7F00_0000_0000 + next(self._next) * (1 << 32)
        self.memory_[address] = bytearray([_GARBAGE]) * size
        return (cudaError_t.cudaSuccess, address)

    def cudaFree(self, address: int) -> tuple[Any, ...]:
        # May come from the garbage collector, in any thread.
        assert address in self.memory_, f"cudaFree of {address:#x}, which is not allocated"
        del self.memory_[address]
        return (cudaError_t.cudaSuccess,)

    def cudaMallocHost(self, size: int) -> tuple[Any, ...]:
        self._entered("cudaMallocHost")
        self._not_capturing("cudaMallocHost")
        block = (ctypes.c_ubyte * size)(*([_GARBAGE] * min(size, 64)))
        address = ctypes.addressof(block)
        self.pinned_[address] = block
        return (cudaError_t.cudaSuccess, address)

    def cudaFreeHost(self, address: int) -> tuple[Any, ...]:
        assert address in self.pinned_, f"cudaFreeHost of {address:#x}, which is not allocated"
        # The block itself stays, so that a late reader gets garbage in place of a crash.
        block = self.pinned_.pop(address)
        ctypes.memset(address, _GARBAGE, len(block))
        return (cudaError_t.cudaSuccess,)

    def cudaMemGetInfo(self) -> tuple[Any, ...]:
        total = 1 << 30
        return (cudaError_t.cudaSuccess, total - sum(map(len, self.memory_.values())), total)

    def device_bytes_(self, address: int, size: int) -> bytearray:
        assert address in self.memory_, f"{address:#x} is not GPU memory (any more)"
        assert len(self.memory_[address]) >= size, (
            f"{size} bytes at {address:#x}, which has {len(self.memory_[address])}"
        )
        return self.memory_[address]

    def _host_bytes(self, address: int, size: int) -> Any:
        assert address in self.pinned_, f"{address:#x} is not pinned host memory (any more)"
        assert len(self.pinned_[address]) >= size
        return self.pinned_[address]

    def cudaMemcpyAsync(self, dst: int, src: int, size: int, kind: cudaMemcpyKind, stream: _Stream) -> tuple[Any, ...]:
        self._entered("cudaMemcpyAsync")
        read = self._host_bytes if kind == cudaMemcpyKind.cudaMemcpyHostToDevice else self.device_bytes_
        write = self._host_bytes if kind == cudaMemcpyKind.cudaMemcpyDeviceToHost else self.device_bytes_
        read(src, size), write(dst, size)

        def copy() -> None:
            # Looked up again: memory that was freed meanwhile is an error.
            write(dst, size)[:size] = bytes(read(src, size)[:size])

        self.enqueue_(stream, copy)
        return (cudaError_t.cudaSuccess,)

    # Streams and events

    def cudaDeviceGetStreamPriorityRange(self) -> tuple[Any, ...]:
        return (cudaError_t.cudaSuccess, 0, -5)

    def cudaStreamCreateWithPriority(self, flags: int, priority: int) -> tuple[Any, ...]:
        self._entered("cudaStreamCreateWithPriority")
        assert flags == self.cudaStreamNonBlocking, "a blocking stream waits for the default stream"
        assert -5 <= priority <= 0
        stream = _Stream(0x5000 + next(self._next), priority)
        self.streams_[stream.handle] = stream
        return (cudaError_t.cudaSuccess, stream)

    def enqueue_(self, stream: _Stream | int, work: Work) -> None:
        with self._lock:
            if isinstance(stream, int):
                stream = self.streams_[stream]
            if stream.captured is not None:
                assert stream.capturing_thread == threading.get_ident(), (
                    "queued on a stream that another thread captures"
                )
                stream.captured.append(work)
            else:
                stream.queue.append(work)

    def capturing_(self, stream: _Stream | int) -> bool:
        return (self.streams_[stream] if isinstance(stream, int) else stream).captured is not None

    def spoil_capture_(self, stream: int) -> None:
        self.streams_[stream].spoilt = True

    def _not_capturing(self, function: str) -> None:
        for stream in self.streams_.values():
            mine = stream.captured is not None and stream.capturing_thread == threading.get_ident()
            assert not mine, f"{function} while this thread captures a stream"

    def cudaStreamSynchronize(self, stream: _Stream) -> tuple[Any, ...]:
        self._entered("cudaStreamSynchronize")
        self._not_capturing("cudaStreamSynchronize")
        with self._lock:
            stream.run_to(len(stream.queue))
        return (cudaError_t.cudaSuccess,)

    def cudaEventCreateWithFlags(self, flags: int) -> tuple[Any, ...]:
        self._entered("cudaEventCreateWithFlags")
        return (cudaError_t.cudaSuccess, _Event())

    def cudaEventDestroy(self, event: _Event) -> tuple[Any, ...]:
        return (cudaError_t.cudaSuccess,)

    def cudaEventRecord(self, event: _Event, stream: _Stream) -> tuple[Any, ...]:
        self._entered("cudaEventRecord")
        self._not_capturing("cudaEventRecord")
        event.stream, event.place = stream, len(stream.queue)
        return (cudaError_t.cudaSuccess,)

    def cudaEventSynchronize(self, event: _Event) -> tuple[Any, ...]:
        self._entered("cudaEventSynchronize")
        assert event.stream is not None, "waited for an event that was never recorded"
        with self._lock:
            event.stream.run_to(event.place)
        return (cudaError_t.cudaSuccess,)

    # Graphs

    def cudaStreamBeginCapture(self, stream: _Stream, mode: cudaStreamCaptureMode) -> tuple[Any, ...]:
        self._entered("cudaStreamBeginCapture")
        assert mode == cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal, "other threads' allocations break it"
        assert stream.captured is None, "this stream is being captured already"
        stream.captured, stream.capturing_thread, stream.spoilt = [], threading.get_ident(), False
        return (cudaError_t.cudaSuccess,)

    def cudaStreamEndCapture(self, stream: _Stream) -> tuple[Any, ...]:
        assert stream.captured is not None, "no capture to end"
        captured, stream.captured = stream.captured, None
        if stream.spoilt:
            return (cudaError_t.cudaErrorStreamCaptureInvalidated, None)
        return (cudaError_t.cudaSuccess, captured)

    def cudaGraphInstantiate(self, graph: list[Work], flags: int) -> tuple[Any, ...]:
        assert graph, "an empty graph"
        return (cudaError_t.cudaSuccess, {"work": list(graph), "alive": True})

    def cudaGraphDestroy(self, graph: list[Work]) -> tuple[Any, ...]:
        return (cudaError_t.cudaSuccess,)

    def cudaGraphLaunch(self, executable: dict[str, Any], stream: _Stream) -> tuple[Any, ...]:
        self._entered("cudaGraphLaunch")
        assert executable["alive"], "launched a destroyed graph"
        self.launches_ += 1
        for work in executable["work"]:
            self.enqueue_(stream, work)
        return (cudaError_t.cudaSuccess,)

    def cudaGraphExecDestroy(self, executable: dict[str, Any]) -> tuple[Any, ...]:
        executable["alive"] = False
        return (cudaError_t.cudaSuccess,)
