"""Voices of Piper, as `checkpoints.importers.piper` leaves them."""

from __future__ import annotations

from pathlib import Path

from asr_tts.interfaces import SpeechTextOf, Synthesizer
from asr_tts.synthesizer.registry import VOICES
from commentary_llm.ground.device_turn import DeviceTurn


def open_piper(
    folder: Path, *, texts: SpeechTextOf, runtime: str, device: str, threads: int, turn: DeviceTurn | None
) -> Synthesizer:
    """The voice's own noise follows from the words alone: openers made once serve every seed of a match."""
    from asr_tts.synthesizer.piper import PiperSynthesizer

    return PiperSynthesizer.load(folder, texts, runtime=runtime, device=device, threads=threads, turn=turn)


VOICES.register("piper-onnx", open_piper)
