"""Hears speech: Whisper on windows of sound, live beside a stream or at moments of a recording."""

from __future__ import annotations

from asr_tts.recognizer.listener import ListenerStats, ListeningPool, StreamEar
from asr_tts.recognizer.offline import transcribe_around
from asr_tts.recognizer.whisper import HearingLimits, WhisperRecognizer, open_recognizer
from asr_tts.recognizer.word_error import word_error_rate, word_errors

__all__ = [
    "HearingLimits",
    "ListenerStats",
    "ListeningPool",
    "StreamEar",
    "WhisperRecognizer",
    "open_recognizer",
    "transcribe_around",
    "word_error_rate",
    "word_errors",
]
