"""Runs the speech networks: one `SpeechRuntime` per loaded graph, whatever library executes it."""

from __future__ import annotations

from pathlib import Path

from asr_tts.interfaces import SpeechRuntime
from asr_tts.runtime.registry import DEVICES, RUNTIMES
from commentary_llm.ground.errors import ConfigError

VOICE_STAGE = "tts"  # somebody waits for what it makes; on a GPU all other stages take what it leaves


def network_file(folder: Path, network: str, kind: str) -> Path:
    """Where the runtime `kind` finds a network in a model's folder: an ONNX graph, or an engine built from it."""
    return folder / f"{network}.{RUNTIMES.get(kind).suffix}"


def open_runtime(
    path: Path | str,
    kind: str = "onnxruntime",
    *,
    device: str = "cpu",
    threads: int = 1,
    name: str | None = None,
    stage: str = "speech",
) -> SpeechRuntime:
    """Loads the network at `path` with the runtime `kind`; `name` (default: the file's stem) appears in errors.

    `device` is where ONNX Runtime computes. `threads` counts on the CPU; networks of one `stage` share a CUDA stream on
    a GPU. Raises ConfigError for an unknown kind or device (never another one in its place), one whose library is not
    installed, or a thread count below 1, and ArtifactError for a file that is missing, not a valid network, or built
    for another device, GPU or library.
    """
    runtime = RUNTIMES.get(kind)
    if device not in DEVICES:
        raise ConfigError(f"speech device {device!r} is not known (asked for {path}); choose one of {DEVICES}")
    return runtime.open(Path(path), device=device, threads=threads, name=name, stage=stage)
