"""What the gate says about one clause."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Cause(str, Enum):
    """Why a clause was refused. Bounded: it labels a metric."""

    FORM = "form"  # empty, too long, not plain English prose, broken off
    META = "meta"  # talk of the assistant about itself or its task
    UNKNOWN_NAME = "unknown_name"  # a capitalised word nobody in this match is called
    UNKNOWN_WORD = "unknown_word"  # outside the vocabulary the gate can vouch for
    AMBIGUOUS_NAME = "ambiguous_name"
    PLAYER = "player"  # a real player, but not the one who did it
    TEAM = "team"  # the other side
    SCORE = "score"
    MINUTE = "minute"
    COUNT = "count"
    WHAT_HAPPENED = "what_happened"
    UNKNOWABLE = "unknowable"  # records, history, injuries, other matches: not in the match state
    UNCERTAIN = "uncertain"  # negation, question, hypothesis: refused rather than understood
    REPETITION = "repetition"


@dataclass(frozen=True)
class Verdict:
    """`ok`, or the cause with the words it is about."""

    ok: bool
    cause: Cause | None = None
    detail: str = ""

    def __bool__(self) -> bool:
        return self.ok


PASSED = Verdict(ok=True)


class Refused(Exception):
    """Raised by a check inside the gate; `FactGate.check` turns it into a `Verdict`."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(detail)
        self.verdict = Verdict(ok=False, cause=cause, detail=detail)
