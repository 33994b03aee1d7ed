from __future__ import annotations

import pytest

from asr_tts.synthesizer import PiperSynthesizer
from commentary_llm.ground.home import TTS_MODEL, models_dir
from commentary_llm.speech import speech_text_of


@pytest.fixture(scope="session")
def synthesizer() -> PiperSynthesizer:
    """The embedded voice; for tests marked `models`."""
    return PiperSynthesizer.load(models_dir() / TTS_MODEL, speech_text_of, threads=2)
