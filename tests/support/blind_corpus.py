"""Clauses labelled by hand by somebody who had not seen the fact gate: what a commentator says, and subtle lies.

`clauses/blind_clauses.jsonl` holds one clause a line: `match` (a match file beside it; the built-in match where left
out), `event` (its id; the clause is spoken right after it), `text`, `true`, and optionally `opener` (words of the same
cue that are on air already; the clause goes on from them) and `lie` (which kind of falsehood, on false clauses alone).

A clause is true if the match file supports it, or if it says nothing that could be checked (a cheer, a sigh). It is
false if the file contradicts it or if it claims something that nobody could know from the file ("his tenth of the
season").

`clauses/blind_clauses_later.jsonl`, in the same form, was written when gate and auditor had been mended on the first
file, to see how much they had learnt by heart. The clauses must not be changed to suit the gate or the auditor; a wrong
label may be mended.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from commentary_llm.match.feeds import Recording, builtin_match_path, read_jsonl

DATA = Path(__file__).parent / "clauses"
BUILTIN = "built-in"
FIRST, LATER = "blind_clauses.jsonl", "blind_clauses_later.jsonl"


@dataclass(frozen=True)
class BlindClause:
    """`lie` is the kind of falsehood ("swap", "score", …), empty on a true clause."""

    match: str
    event: str
    text: str
    true: bool
    opener: str = ""
    lie: str = ""

    def __str__(self) -> str:
        return f"{self.event} {self.opener} {self.text}".replace("  ", " ")


def blind_clauses(file: str = FIRST) -> list[BlindClause]:
    lines = (DATA / file).read_text(encoding="utf-8").splitlines()
    return [BlindClause(**{"match": BUILTIN, **json.loads(line)}) for line in lines]


def blind_recording(match: str) -> Recording:
    """The match file a clause belongs to."""
    return read_jsonl(builtin_match_path() if match == BUILTIN else DATA / f"{match}.jsonl")
