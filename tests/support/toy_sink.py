"""A sink in one file, which nothing else knows of: it notes what a session tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_registries import register

from commentary_llm.ends.contract import Closing, Ending, EndsEvent, Opening
from commentary_llm.ends.registry import SINKS
from commentary_llm.session.events import CueEnded, EventTaken, SegmentHeard, SessionClosed, WhenFull


class ToySink:
    name = "toy"
    kinds = (EventTaken, SegmentHeard, CueEnded, SessionClosed)
    capacity = 100
    when_full = WhenFull.DROP_OLDEST

    def __init__(self, path: Path, match_id: str) -> None:
        self._path, self._notes = path, [f"opened for {match_id}"]

    def start(self, opening: Opening) -> None:
        self._notes.append(f"started: {opening.title}, {opening.sample_rate_hz} Hz")

    def take(self, event: EndsEvent) -> None:
        told = {EventTaken: "event.event_id", SegmentHeard: "segment.text", CueEnded: "record.text"}
        value: object = event
        for step in told.get(type(event), "match_id").split("."):
            value = getattr(value, step)
        self._notes.append(f"{type(event).__name__}: {value}")

    async def stop(self, closing: Closing) -> None:
        self._notes.append("stopped")
        closing.warnings.append("the toy is tired")

    def finish(self, ending: Ending) -> None:
        self._notes.append(f"finished: {ending.title}")
        self._path.write_text(json.dumps(self._notes), encoding="utf-8")


def register_toy_sink(monkeypatch: pytest.MonkeyPatch) -> None:
    """For one test, as `toy:PATH`."""
    register(SINKS, "toy", lambda target, setting: ToySink(Path(target), setting.match_id), monkeypatch)
