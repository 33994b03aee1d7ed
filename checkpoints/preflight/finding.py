"""What the checks before a start found, one line each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Level(str, Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # it starts, perhaps slowly
    ERROR = "error"  # it cannot start


@dataclass(frozen=True)
class Finding:
    """`found` on this machine against `wanted`; `mend` says what to do unless it is OK."""

    level: Level
    what: str
    found: str
    wanted: str = ""
    mend: str = ""

    def sentence(self) -> str:
        """For the terminal: "warning: CUDA: found 12.8, expected >=13.0,<14; use the image"."""
        expected = f", expected {self.wanted}" if self.wanted else ""
        mend = f"; {self.mend}" if self.mend else ""
        return f"{self.level.value}: {self.what}: found {self.found}{expected}{mend}"


def table(findings: Iterable[Finding]) -> str:
    """The findings in columns, what to do below each that is not OK."""
    rows = [(f.level.value, f.what, f.found, f.wanted) for f in findings]
    head = ("", "what", "found", "expected")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(4)]

    def line(row: tuple[str, str, str, str]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

    lines = [line(head)]
    for finding, row in zip(findings, rows, strict=True):
        lines.append(line(row))
        if finding.level is not Level.OK and finding.mend:
            lines.append(" " * (widths[0] + 2) + f"-> {finding.mend}")
    return "\n".join(lines)
