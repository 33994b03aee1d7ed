"""What jobs of the whole engine share."""

from __future__ import annotations

import pytest

from asr_tts.synthesizer.clips import ClipCache
from commentary_llm.ground.errors import ArtifactError
from commentary_llm.ground.home import clips_dir
from commentary_llm.language.en.names import name_book
from commentary_llm.language.en.openers import OpenerBook
from commentary_llm.match import MatchInfo
from commentary_llm.session.sound_bank import SoundBank
from commentary_llm.settings import StationConfig
from commentary_llm.speech import load_voice
from commentary_llm.station.openers import OpenerMaker


@pytest.fixture(scope="session", autouse=True)
def _openers_of_the_small_match(small_match: MatchInfo) -> None:
    """Made once, before any job: the limits on how long jobs may take are not about this."""
    try:
        voice = load_voice(StationConfig())
    except ArtifactError:
        return  # no weights: the tests that need them skip by themselves
    maker = OpenerMaker(SoundBank(), voice, ClipCache(clips_dir()), lambda: False)
    maker.open(small_match.id, OpenerBook(name_book(small_match)).inventory(), in_background=False)
    maker.make_now(small_match.id, lambda share: None)
    maker.close_match(small_match.id)
    maker.close()
