"""The runtime `onnxruntime`: on the CPU, or on an NVIDIA GPU where onnxruntime-gpu is installed."""

from __future__ import annotations

from pathlib import Path

from asr_tts.interfaces import SpeechRuntime
from asr_tts.runtime.registry import RUNTIMES, Networks


class OnnxRuntimeEntry:
    """See `Runtime`."""

    suffix = "onnx"

    def networks(self, device: str) -> Networks:
        """A GPU runs fixed shapes only."""
        return "graphs" if device == "cuda" else "imported"

    def check(self, device: str) -> None:
        """See `Runtime.check`."""
        if device == "cuda":
            from asr_tts.runtime.onnxruntime_cuda import check_library

            check_library()

    def open(self, path: Path, *, device: str, threads: int, name: str | None, stage: str) -> SpeechRuntime:
        """See `open_runtime`."""
        if device == "cuda":
            from asr_tts.runtime.onnxruntime_cuda import OnnxCudaRuntime

            return OnnxCudaRuntime(path, name=name, stage=stage)
        from asr_tts.runtime.onnxruntime_runtime import OnnxRuntime

        return OnnxRuntime(path, threads=threads, name=name)


RUNTIMES.register("onnxruntime", OnnxRuntimeEntry())
