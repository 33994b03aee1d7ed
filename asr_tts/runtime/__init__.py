"""Runs the speech networks: one `SpeechRuntime` per loaded graph, whatever library executes it."""

from __future__ import annotations

from pathlib import Path

from asr_tts.interfaces import SpeechRuntime
from commentary_llm.ground.errors import ConfigError

RUNTIME_KINDS = ("onnxruntime", "tensorrt", "tensorrt_rtx")
VOICE_STAGE = "tts"  # somebody waits for what it makes; on a GPU all other stages take what it leaves
DEVICES = ("cpu", "cuda")  # of ONNX Runtime; TensorRT runs on a GPU only


def network_file(folder: Path, network: str, kind: str) -> Path:
    """Where the runtime `kind` finds a network in a model's folder: an ONNX graph, or an engine built from it."""
    return folder / f"{network}.{'onnx' if kind == 'onnxruntime' else 'engine'}"


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
    if kind not in RUNTIME_KINDS:
        raise ConfigError(f"speech runtime {kind!r} is not known (asked for {path}); choose one of {RUNTIME_KINDS}")
    if device not in DEVICES:
        raise ConfigError(f"speech device {device!r} is not known (asked for {path}); choose one of {DEVICES}")
    # Imported here: ONNX Runtime takes 0.2 s to load and is of no use to ranks above 0.
    if kind != "onnxruntime":
        from asr_tts.runtime.tensorrt_runtime import TensorRtRuntime

        return TensorRtRuntime(path, kind, name=name, stage=stage)
    if device == "cuda":
        from asr_tts.runtime.onnxruntime_cuda import OnnxCudaRuntime

        return OnnxCudaRuntime(path, name=name, stage=stage)
    from asr_tts.runtime.onnxruntime_runtime import OnnxRuntime

    return OnnxRuntime(path, threads=threads, name=name)
