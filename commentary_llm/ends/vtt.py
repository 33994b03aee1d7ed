"""Captions of a replay as WebVTT (https://www.w3.org/TR/webvtt1/): two rows of at most 42 characters at a time."""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from commentary_llm.ground.files import write_text_atomically

ROW_CHARACTERS = 42  # what broadcasters' subtitle guidelines allow a row
CUE_ROWS = 2


class Spoken(Protocol):
    """What captions need of a line; a `CueRecord` is one. Without times it was not heard."""

    @property
    def start_s(self) -> float | None: ...

    @property
    def end_s(self) -> float | None: ...

    @property
    def text(self) -> str: ...


def write_vtt(records: Iterable[Spoken], out: Path, *, title: str | None = None) -> None:
    """Writes the spoken records as captions on the timeline of `commentary.wav`.

    Cues are in order and never overlap; a text too long for two rows becomes several cues that share its time in
    proportion to their length. `title` (the match) goes into a NOTE at the top. Raises OutputError as
    `write_text_atomically` does.
    """
    blocks = ["WEBVTT"]
    if title and plain_text(title):
        blocks.append(f"NOTE {escape_vtt(plain_text(title))}")
    for number, (start_ms, end_ms, rows) in enumerate(_timed_rows(records), start=1):
        payload = "\n".join(escape_vtt(row) for row in rows)
        blocks.append(f"{number}\n{timestamp(start_ms)} --> {timestamp(end_ms)}\n{payload}")
    write_text_atomically(out, "\n\n".join(blocks) + "\n")


def _timed_rows(records: Iterable[Spoken]) -> Iterator[tuple[int, int, list[str]]]:
    """Start and end in ms and the rows of each caption."""
    timed = [
        (record.start_s, record.end_s, plain_text(record.text))
        for record in records
        if record.start_s is not None
        and record.end_s is not None
        and math.isfinite(record.start_s)
        and math.isfinite(record.end_s)
        and plain_text(record.text)
    ]
    timed.sort(key=lambda entry: entry[:2])
    free_ms = 0
    for index, (start_s, end_s, text) in enumerate(timed):
        groups = split_rows(text)
        start_ms = max(round(start_s * 1000), free_ms)
        end_ms = round(end_s * 1000)
        if index + 1 < len(timed):
            end_ms = min(end_ms, round(timed[index + 1][0] * 1000))
        # A cue has to end after it starts; one millisecond each is the least that keeps every word in the file.
        end_ms = max(end_ms, start_ms + len(groups))
        lengths = [sum(map(len, group)) for group in groups]
        begin_ms = start_ms
        for position, group in enumerate(groups):
            left = len(groups) - position - 1
            stop_ms = start_ms + round((end_ms - start_ms) * sum(lengths[: position + 1]) / sum(lengths))
            stop_ms = min(max(stop_ms, begin_ms + 1), end_ms - left)
            yield begin_ms, stop_ms, group
            begin_ms = stop_ms
        free_ms = end_ms


def split_rows(text: str) -> list[list[str]]:
    """Splits plain text into captions of one or two rows of at most `ROW_CHARACTERS`, the rows about equally long."""
    rows = textwrap.wrap(text, ROW_CHARACTERS, break_on_hyphens=False)
    # The narrowest width with as few rows: two even rows read better than a full one and a lonely word.
    low = max(1, -(-len(text) // (len(rows) or 1)))
    for width in range(low, ROW_CHARACTERS):
        narrower = textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)
        if len(narrower) == len(rows) and all(len(row) <= width for row in narrower):
            rows = narrower
            break
    return [rows[start : start + CUE_ROWS] for start in range(0, len(rows), CUE_ROWS)]


def plain_text(text: str) -> str:
    """One line without control characters, white space collapsed."""
    return " ".join("".join(" " if unicodedata.category(each) in ("Cc", "Cs") else each for each in text).split())


def escape_vtt(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def timestamp(time_ms: int) -> str:
    """Milliseconds as WebVTT writes them: "00:02:05.040"."""
    seconds, thousandths = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}.{thousandths:03d}"
