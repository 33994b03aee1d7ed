"""The whole engine of one match with scripted models: templates after openers, spoken as hums."""

from __future__ import annotations

from typing import Any

import pytest
from session_fakes import ScriptedGenerator, ScriptedSynthesizer

from commentary_llm.engine import CommentaryEngine
from commentary_llm.ground.clock import StreamClock
from commentary_llm.match import MatchInfo
from commentary_llm.settings import EngineConfig
from commentary_llm.station.station import Station


def scripted_engine(info: MatchInfo, clock: StreamClock) -> CommentaryEngine:
    config = EngineConfig(match=info, candidates=2)
    return CommentaryEngine(config, Station(config.station, ScriptedGenerator(), ScriptedSynthesizer()), clock=clock)


def start_scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets commands run with scripted models."""

    def start(config: EngineConfig, *, clock: StreamClock, **others: Any) -> CommentaryEngine:
        assert config.match is not None
        return scripted_engine(config.match, clock)

    monkeypatch.setattr(CommentaryEngine, "start", start)
