"""The runtimes `tensorrt` and `tensorrt_rtx`: engines on an NVIDIA GPU, whatever device was asked for."""

from __future__ import annotations

from pathlib import Path

from asr_tts.interfaces import SpeechRuntime
from asr_tts.runtime.registry import RUNTIMES, Networks


class TensorRtEntry:
    """See `Runtime`; `kind` is the library."""

    suffix = "engine"

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def networks(self, device: str) -> Networks:
        """Engines only."""
        return "engines"

    def check(self, device: str) -> None:
        """Nothing beforehand: the engine's own check names both versions."""

    def open(self, path: Path, *, device: str, threads: int, name: str | None, stage: str) -> SpeechRuntime:
        """See `open_runtime`."""
        from asr_tts.runtime.tensorrt_runtime import TensorRtRuntime

        return TensorRtRuntime(path, self._kind, name=name, stage=stage)


for _kind in ("tensorrt", "tensorrt_rtx"):
    RUNTIMES.register(_kind, TensorRtEntry(_kind))
