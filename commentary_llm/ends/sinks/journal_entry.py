"""`commentary.jsonl`: one record per cue, on disk as soon as it is final."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from commentary_llm.ends.contract import Closing, Ending, EndsEvent, Opening
from commentary_llm.ends.layout import GrowingLayout
from commentary_llm.ends.registry import SINKS, SinkSetting
from commentary_llm.ground.errors import OutputError
from commentary_llm.ground.files import write_text_atomically
from commentary_llm.session.events import CueEnded, SegmentHeard, WhenFull
from commentary_llm.session.record import CueRecord

_EVENTS_WAITING = 4096  # more than a match has; only a disk that stands still lets as many wait


class JournalFile:
    """A `FileSink`. Each line is flushed, so that what was said survives a crash.

    Until it is finished, times are stream seconds; then they are those in the sound.
    """

    kinds = (SegmentHeard, CueEnded)
    capacity = _EVENTS_WAITING
    when_full = WhenFull.END

    def __init__(self, path: Path, setting: SinkSetting) -> None:
        """Makes the file, empty. Raises OutputError."""
        self.name = path.name
        self._path = path
        self._layout = GrowingLayout(full=setting.full_timeline)
        self.records: list[CueRecord] = []  # by stream time; filled by `finish`
        try:
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error

    def start(self, opening: Opening) -> None:
        pass

    def take(self, event: EndsEvent) -> None:
        """Raises OutputError when the disk is full; the lines before stay whole."""
        if isinstance(event, SegmentHeard):
            self._layout.hear(event.segment)
        elif isinstance(event, CueEnded):
            try:
                self._file.write(event.record.model_dump_json() + "\n")
                self._file.flush()
            except OSError as error:
                raise OutputError(
                    f"cannot write {self._path}: {error.strerror}; free some space and run again"
                ) from error

    async def stop(self, closing: Closing) -> None:
        self._file.close()

    def finish(self, ending: Ending) -> None:
        """Writes the final records over the running ones, atomically (their times are known only at the end)."""
        layout = self._layout.layout(ending.stream_end_s)
        lines = self._path.read_text(encoding="utf-8").splitlines()
        records = sorted(map(CueRecord.model_validate_json, lines), key=lambda record: record.stream_s)
        self.records = [_placed(record, layout.sound_s) for record in records]
        write_text_atomically(self._path, "".join(record.model_dump_json() + "\n" for record in self.records))


def _placed(record: CueRecord, sound_s: Callable[[float], float]) -> CueRecord:
    if record.start_s is None or record.end_s is None:
        return record
    times = {"start_s": round(sound_s(record.start_s), 3), "end_s": round(sound_s(record.end_s), 3)}
    return record.model_copy(update=times)


SINKS.register("journal", lambda target, setting: JournalFile(Path(target), setting))
