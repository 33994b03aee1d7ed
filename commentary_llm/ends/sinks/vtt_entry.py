"""`captions.vtt`: what was said, on the timeline of the sound file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from commentary_llm.ends.contract import Closing, Ending, EndsEvent, Opening
from commentary_llm.ends.layout import GrowingLayout
from commentary_llm.ends.registry import SINKS, SinkSetting
from commentary_llm.ends.vtt import write_vtt
from commentary_llm.session.events import CueEnded, SegmentHeard, WhenFull

_EVENTS_WAITING = 4096  # as of the journal


class _Line(NamedTuple):
    start_s: float
    end_s: float
    text: str


class VttFile:
    """A `FileSink`; keeps the words, some hundred bytes a line, until the match is over."""

    kinds = (SegmentHeard, CueEnded)
    capacity = _EVENTS_WAITING
    when_full = WhenFull.END

    def __init__(self, path: Path, setting: SinkSetting) -> None:
        self.name = path.name
        self._path, self._match_id = path, setting.match_id
        self._layout = GrowingLayout(full=setting.full_timeline)
        self._lines: list[_Line] = []

    def start(self, opening: Opening) -> None:
        pass

    def take(self, event: EndsEvent) -> None:
        if isinstance(event, SegmentHeard):
            self._layout.hear(event.segment)
        elif isinstance(event, CueEnded):
            record = event.record
            if record.start_s is not None and record.end_s is not None:
                self._lines.append(_Line(record.start_s, record.end_s, record.text))

    async def stop(self, closing: Closing) -> None:
        pass

    def finish(self, ending: Ending) -> None:
        sound_s = self._layout.layout(ending.stream_end_s).sound_s
        placed = [_Line(round(sound_s(start), 3), round(sound_s(end), 3), text) for start, end, text in self._lines]
        write_vtt(placed, self._path, title=f"{ending.title} (match {self._match_id})")


SINKS.register("vtt", lambda target, setting: VttFile(Path(target), setting))
