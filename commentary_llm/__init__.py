"""Real-time football commentary: match events in, commentary text, speech and captions out.

The names below are the public API. They are loaded on first use, so that importing one room of the house does not pull
in torch, MPI and ONNX Runtime.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from commentary_llm.engine import CommentaryEngine
    from commentary_llm.match import EventType, MatchEvent, MatchInfo, MatchState
    from commentary_llm.session.session import Session
    from commentary_llm.settings import EngineConfig, MatchConfig, StationConfig
    from commentary_llm.station import Station

__all__ = [
    "CommentaryEngine",
    "EngineConfig",
    "EventType",
    "MatchConfig",
    "MatchEvent",
    "MatchInfo",
    "MatchState",
    "Session",
    "Station",
    "StationConfig",
]

_HOME = {
    "CommentaryEngine": "commentary_llm.engine",
    "EngineConfig": "commentary_llm.settings",
    "EventType": "commentary_llm.match",
    "MatchEvent": "commentary_llm.match",
    "MatchInfo": "commentary_llm.match",
    "MatchState": "commentary_llm.match",
    "MatchConfig": "commentary_llm.settings",
    "Session": "commentary_llm.session.session",
    "Station": "commentary_llm.station",
    "StationConfig": "commentary_llm.settings",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'commentary_llm' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
