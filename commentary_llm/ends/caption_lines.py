"""Captions of a live match: JSON lines, each written when what it tells can be heard.

    {"type": "ready", "match_id": …, "sample_rate_hz": 22050, "channels": 1, "format": "s16le", "stream_s": 6.2, …}
    {"type": "caption", "event_id": "e7", "text": "Goal!", "start_s": 31.48}     the first sample of a clause
    {"type": "caption_end", "event_id": "e7", "end_s": 32.2, "cut_off": false}   its end; a cut brings it early
    {"type": "cue", "record": {…}}                                               the whole cue: see `CueRecord`
    {"type": "end", "events": …, "refused": …, "pcm_dropped_s": …, …}            the last line

Times are stream seconds: 0 is when the program began to load, "ready" when the engine could take events.
"""

from __future__ import annotations

import json

from commentary_llm.ends.outlet import Outlet
from commentary_llm.session.events import CueEnded, SessionEvent
from commentary_llm.session.timeline import Segment


class Captions:
    """Writes the lines above; without an outlet it writes nothing. Takes records from the session's events."""

    def __init__(self, outlet: Outlet | None) -> None:
        self._outlet = outlet

    def began(self, segment: Segment, at_s: float) -> None:
        self.write({"type": "caption", "event_id": segment.event_id, "text": segment.text, "start_s": round(at_s, 3)})

    def ended(self, segment: Segment, at_s: float) -> None:
        cut = segment.cut_s is not None
        self.write({"type": "caption_end", "event_id": segment.event_id, "end_s": round(at_s, 3), "cut_off": cut})

    def put(self, event: SessionEvent) -> None:
        if isinstance(event, CueEnded):
            self.write({"type": "cue", "record": event.record.model_dump(mode="json")})

    def write(self, line: dict[str, object]) -> None:
        if self._outlet is not None:
            self._outlet.put((json.dumps(line, ensure_ascii=False) + "\n").encode())
