"""Captions of a live match: JSON lines, each written when what it tells can be heard.

    {"type": "ready", "match_id": …, "sample_rate_hz": 22050, "channels": 1, "format": "s16le", "stream_s": 6.2, …}
    {"type": "caption", "event_id": "e7", "text": "Goal!", "start_s": 31.48}     the first sample of a clause
    {"type": "caption_end", "event_id": "e7", "end_s": 32.2, "cut_off": false}   its end; a cut brings it early
    {"type": "cue", "record": {…}}                                               the whole cue: see `CueRecord`
    {"type": "end", "accepted": …, "refused": …, "pcm_dropped_s": …, …}          the last line

Every line has the match's id. The first one says what the PCM stream beside it is. Times are stream seconds: 0 is when
the program began to load, "ready" when the engine could take events.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone

from commentary_llm.ends.contract import ClauseOffAir, ClauseOnAir, Closing, EndsEvent, Opening
from commentary_llm.ends.outlet import Outlet
from commentary_llm.ends.registry import SINKS
from commentary_llm.session.events import CueEnded, WhenFull

_LINES = 1_000
_LAST_WORDS_S = 2.0  # for a reader to take what is left


class CaptionLines:
    """A `Sink` that a slow reader cannot hold up; it loses the oldest lines."""

    name = "captions"
    kinds = (ClauseOnAir, ClauseOffAir, CueEnded)
    capacity = _LINES
    when_full = WhenFull.DROP_OLDEST

    def __init__(self, target: str, match_id: str) -> None:
        """`target`: a file or FIFO, or "-" for standard output. Raises OutputError."""
        self._match_id = match_id
        self._outlet = Outlet(target, what=self.name, capacity=_LINES, when_full="drop oldest")

    def start(self, opening: Opening) -> None:
        self._write(
            "ready",
            title=opening.title,
            sample_rate_hz=opening.sample_rate_hz,
            channels=1,
            format="s16le",
            stream_s=round(opening.stream_s, 3),
            at=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            events=opening.events_from,
        )

    def take(self, event: EndsEvent) -> None:
        if isinstance(event, ClauseOnAir):
            segment = event.segment
            self._write("caption", event_id=segment.event_id, text=segment.text, start_s=round(event.at_s, 3))
        elif isinstance(event, ClauseOffAir):
            segment = event.segment
            cut_off = segment.cut_s is not None
            self._write("caption_end", event_id=segment.event_id, end_s=round(event.at_s, 3), cut_off=cut_off)
        elif isinstance(event, CueEnded):
            self._write("cue", record=event.record.model_dump(mode="json"))

    async def stop(self, closing: Closing) -> None:
        self._write("end", **closing.figures)
        await self._outlet.close(_LAST_WORDS_S)
        if self._outlet.dropped_blocks:
            closing.warnings.append(f"{self.name}: {self._outlet.dropped_blocks} lines were not taken by a reader")

    def _write(self, kind: str, **fields: object) -> None:
        line = {"type": kind, "match_id": self._match_id, **fields}
        self._outlet.put((json.dumps(line, ensure_ascii=False) + "\n").encode())


SINKS.register("captions", lambda target, setting: CaptionLines(target, setting.match_id))
