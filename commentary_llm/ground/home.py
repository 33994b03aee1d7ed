"""Where downloaded weights and everything built from them are kept."""

from __future__ import annotations

import os
from pathlib import Path


def commentary_home() -> Path:
    """Folder of all cached artifacts: `COMMENTARY_HOME`, by default `~/.cache/commentary-llm`.

    Read in this one place. The folder need not exist yet.
    """
    return Path(os.environ.get("COMMENTARY_HOME") or "~/.cache/commentary-llm").expanduser().absolute()


def downloads_dir() -> Path:
    """Weight packages as they were fetched."""
    return commentary_home() / "downloads"


def models_dir() -> Path:
    """Imported models, one folder each: `smollm2-135m-instruct`, `whisper-tiny.en`, `piper-en_US-joe-medium`."""
    return commentary_home() / "models"


def shards_dir(model: str, ranks: int) -> Path:
    """INT8 shards of `model` for `ranks` tensor-parallel ranks (torch backend)."""
    return commentary_home() / "shards" / model / f"int8-tp{ranks}"


def llm_engines_dir(model: str, ranks: int) -> Path:
    """TensorRT-LLM engines of `model` for `ranks` tensor-parallel ranks."""
    return commentary_home() / "engines" / model / f"tensorrt-llm-tp{ranks}"


def speech_engines_dir(runtime: str, compute_capability: str, precision: str) -> Path:
    """TensorRT engines of recogniser and voice for one kind of GPU."""
    return commentary_home() / "engines" / "speech" / f"{runtime}-{compute_capability}-{precision}"


def speech_graphs_dir(asr: str, tts: str) -> Path:
    """Recogniser and voice (by name or folder) with fixed shapes, for ONNX Runtime on any GPU."""
    return commentary_home() / "engines" / "speech" / f"onnxruntime-{Path(asr).name}-{Path(tts).name}"


def kernels_dir() -> Path:
    """CUDA kernels compiled on this machine."""
    return commentary_home() / "kernels"


def clips_dir() -> Path:
    """Openers as sound, of all voices and matches; bounded (see `asr_tts.synthesizer.clips`)."""
    return commentary_home() / "clips"


LLM_MODEL = "smollm2-135m-commentator"  # fine-tuned on this engine's prompts; see checkpoints/finetune
ASR_MODEL = "whisper-tiny.en"
TTS_MODEL = "piper-en_US-joe-medium"
