"""What jobs of the whole engine share."""

from __future__ import annotations

import pytest

from asr_tts.synthesizer.clips import ClipCache
from commentary_llm.config import EngineConfig
from commentary_llm.engine import load_voice
from commentary_llm.ground.errors import ArtifactError
from commentary_llm.ground.home import clips_dir
from commentary_llm.language.en.names import name_book
from commentary_llm.language.en.openers import OpenerBook
from commentary_llm.language.en.text_rules import ENGLISH_RULES
from commentary_llm.match import MatchInfo
from commentary_llm.session.sound_bank import prepare_sounds


@pytest.fixture(scope="session", autouse=True)
def _openers_of_the_small_match(small_match: MatchInfo) -> None:
    """Made once, before any job: the limits on how long jobs may take are not about this."""
    try:
        voice = load_voice(EngineConfig(match=small_match))
    except ArtifactError:
        return  # no weights: the tests that need them skip by themselves
    openers = OpenerBook(name_book(small_match)).inventory()
    prepare_sounds(openers, ENGLISH_RULES, voice, ClipCache(clips_dir(), voice.identity), lambda share: None)
