"""Runs the speech networks: one `SpeechRuntime` per loaded graph, whatever library executes it."""

from __future__ import annotations

from pathlib import Path

from asr_tts.interfaces import SpeechRuntime
from commentary_llm.errors import ConfigError

RUNTIME_KINDS = ("onnxruntime",)


def open_runtime(
    path: Path | str, kind: str = "onnxruntime", *, threads: int = 1, name: str | None = None
) -> SpeechRuntime:
    """Loads the network at `path` with the runtime `kind`; `name` (default: the file's stem) appears in errors.

    Raises ConfigError for a kind that this build does not have (never another one in its place) or a thread count
    below 1, and ArtifactError for a file that is missing or not a valid network.
    """
    if kind == "onnxruntime":
        # Imported here: ONNX Runtime takes 0.2 s to load and is of no use to ranks above 0.
        from asr_tts.runtime.onnxruntime_runtime import OnnxRuntime

        return OnnxRuntime(path, threads=threads, name=name)
    raise ConfigError(
        f"speech runtime {kind!r} is not available in this build (asked for {path}); choose one of {RUNTIME_KINDS}"
    )
