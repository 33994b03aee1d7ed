"""What the auditor finds in a spoken line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Certainty(str, Enum):
    CERTAIN = "certain"  # the events contradict it
    DOUBTFUL = "doubtful"  # the events neither hold nor contradict it


@dataclass(frozen=True)
class Finding:
    """`kind`: "score", "lead", "count", "player", "outcome", …; `detail`: the words, and what holds instead."""

    kind: str
    detail: str
    certainty: Certainty = Certainty.CERTAIN

    @property
    def certain(self) -> bool:
        return self.certainty is Certainty.CERTAIN


def doubt(kind: str, detail: str) -> Finding:
    return Finding(kind, detail, Certainty.DOUBTFUL)
