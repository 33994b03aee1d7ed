"""What was said around a moment of a recording."""

from __future__ import annotations

from asr_tts.audio.reader import AudioReader
from asr_tts.interfaces import Recognizer, Transcript
from asr_tts.recognizer.features import SAMPLE_RATE_HZ
from commentary_llm.ground.errors import InputError


def transcribe_around(
    recognizer: Recognizer, reader: AudioReader, time_s: float, *, before_s: float = 5.0, after_s: float = 5.0
) -> Transcript:
    """Transcribes `reader` from `before_s` before to `after_s` after second `time_s` of the recording. Blocks.

    Sound before the start and past the end of the recording is silence. Raises InputError for a reader that is not
    at 16 kHz, for a window longer than the recogniser's, and when the file cannot be read; EngineError when a
    network fails.
    """
    if reader.sample_rate_hz != SAMPLE_RATE_HZ:
        raise InputError(f"audio {reader.path}: read at {reader.sample_rate_hz} Hz; expected {SAMPLE_RATE_HZ} Hz")
    return recognizer.transcribe(reader.read(time_s - before_s, before_s + after_s), time_s - before_s)
