"""The whole engine with scripted models: templates after openers, spoken as hums."""

from __future__ import annotations

from typing import Any

import pytest
from session_fakes import ScriptedGenerator, ScriptedSynthesizer

from commentary_llm.engine import CommentaryEngine
from commentary_llm.ground.clock import StreamClock
from commentary_llm.match import MatchInfo
from commentary_llm.settings import EngineConfig, StationConfig
from commentary_llm.station.station import Station


def scripted_station() -> Station:
    return Station(StationConfig(), ScriptedGenerator(), ScriptedSynthesizer())


def scripted_engine(info: MatchInfo, clock: StreamClock) -> CommentaryEngine:
    return CommentaryEngine(EngineConfig(match=info, candidates=2), scripted_station(), clock=clock)


def start_scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets commands run with scripted models."""

    def start(config: EngineConfig, *, clock: StreamClock, **others: Any) -> CommentaryEngine:
        assert config.match is not None
        return scripted_engine(config.match, clock)

    monkeypatch.setattr(CommentaryEngine, "start", start)
