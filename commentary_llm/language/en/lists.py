"""Reads the lists beside the modules: one entry a line, blank lines and comments (`# …`) left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

SECTION = "## "  # begins a section in the lists of the gate


def lines_of(file: Path) -> Iterator[tuple[str, str]]:
    """("claims.txt:12", line) for each line that counts; those of sections (`## …`) do."""
    for number, line in enumerate(map(str.strip, file.read_text(encoding="utf-8").splitlines()), start=1):
        if line and (not line.startswith("#") or line.startswith(SECTION)):
            yield f"{file.name}:{number}", line
