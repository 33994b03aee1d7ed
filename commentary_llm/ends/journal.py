"""`commentary.jsonl`: one record per cue, on disk as soon as it is final."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from commentary_llm.ground.errors import OutputError
from commentary_llm.ground.files import write_text_atomically
from commentary_llm.session.record import CueRecord


class Journal:
    """Appends records to a new file. Each line is flushed, so that what was said survives a crash."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error

    def write(self, record: CueRecord) -> None:
        """Raises OutputError when the disk is full; the lines before stay whole."""
        try:
            self._file.write(record.model_dump_json() + "\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}; free some space and run again") from error

    def replace(self, records: list[CueRecord]) -> None:
        """Writes the final records over the running ones, atomically (their times are known only at the end)."""
        write_text_atomically(self.path, "".join(r.model_dump_json() + "\n" for r in records))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
