"""Whisper, as `checkpoints.importers.whisper` leaves it."""

from __future__ import annotations

from pathlib import Path

from asr_tts.interfaces import Recognizer
from asr_tts.recognizer.registry import RECOGNIZERS


def open_whisper(folder: Path, *, runtime: str, device: str, threads: int, window_s: float | None) -> Recognizer:
    """See `open_recognizer`."""
    from asr_tts.recognizer.whisper import open_recognizer

    window = {} if window_s is None else {"window_s": window_s}
    return open_recognizer(folder, runtime=runtime, device=device, threads=threads, **window)


RECOGNIZERS.register("whisper-onnx", open_whisper)
