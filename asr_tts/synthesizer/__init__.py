"""Text as written to speech: normalised, phonemised, and voiced by VITS in chunks as they are decoded."""

from asr_tts.synthesizer.piper import PiperSynthesizer, Speech
from asr_tts.synthesizer.style import style_for

__all__ = ["PiperSynthesizer", "Speech", "style_for"]
