"""The fact gate: lets a clause through only if every word of it is known and every claim in it is true.

Vocabulary is closed (data files beside this module). Each token has to be part of a name of this match, a number
phrase that is checked, a claim whose conditions hold and whose names fill the right parts, or a word that asserts
nothing. Whatever the gate does not understand it refuses.
"""

from __future__ import annotations

import re

from commentary_llm.cue.cue import Cue
from commentary_llm.cue.facts import match_seconds
from commentary_llm.cue.history import LineHistory
from commentary_llm.language.contract import Cause, Verdict
from commentary_llm.language.en.gate.bindings import check_changes, check_claims, check_loose_names, resolve_names
from commentary_llm.language.en.gate.counts import NumberJudge
from commentary_llm.language.en.gate.lexicon import Lexicon, lexicon
from commentary_llm.language.en.gate.reader import ClauseReader
from commentary_llm.language.en.gate.refusal import Refused
from commentary_llm.language.en.names import NameBook

_LETTERS = re.compile(r"[^\W\d_]")
_ALLOWED = re.compile(r"[\w\s.,;:!?…'’‘\"“”()\-–—+&/]*", re.UNICODE)
# Questions that ask nothing.
_RHETORICAL = re.compile(r"\b(who else|what else|how about that|(can|would) you believe (it|that))\?", re.IGNORECASE)
_DANGLING = frozenset(
    [
        "a",
        "an",
        "the",
        "and",
        "or",
        "of",
        "to",
        "from",
        "by",
        "with",
        "his",
        "her",
        "their",
        "its",
        "at",
        "into",
        "for",
        "as",
        "is",
        "are",
        "was",
        "this",
        "that",
        "these",
        "those",
        "my",
    ]
)


class FactGate:
    """Judges clauses of one match one by one; a verdict depends on its arguments alone. Safe to share by threads."""

    def __init__(self, names: NameBook, vocabulary: Lexicon | None = None) -> None:
        self._reader = ClauseReader(vocabulary or lexicon(), names)

    def check(self, clause: str, cue: Cue, said_before: LineHistory | None = None, context: str = "") -> Verdict:
        """Whether `clause` may be said now about `cue.event`, against `cue.state`.

        `said_before`: refuses what was said within its window of match time; None leaves repetition unchecked.
        `context`: the clauses of the same line before this one; a name in them may be what "who scores" speaks of.
        """
        try:
            _check_form(clause, cue)
            reading = self._reader.read(clause, cue.facts, context)
            resolve_names(reading)
            check_claims(reading)
            NumberJudge(reading).check()
            check_changes(reading)
            check_loose_names(reading)
        except Refused as refused:
            return refused.verdict
        if said_before is not None and said_before.said(clause, match_seconds(cue.event)):
            return Verdict(ok=False, cause=Cause.REPETITION, detail=clause)
        return Verdict(ok=True)


def _check_form(clause: str, cue: Cue) -> None:
    text = clause.strip()
    if not _LETTERS.search(text):
        raise Refused(Cause.FORM, "no words")
    if not _ALLOWED.fullmatch(text) or any(ord(char) > 0x24F and char not in "…’‘“”–—" for char in text):
        raise Refused(Cause.FORM, "characters that are no English prose")
    if len(text.split()) > max(cue.max_words, 4) + 4:
        raise Refused(Cause.FORM, f"{len(text.split())} words, at most {cue.max_words}")
    if "?" in _RHETORICAL.sub("", text):
        raise Refused(Cause.UNCERTAIN, "a question")
    if text.endswith("-") or text.split()[-1].lower() in _DANGLING:
        raise Refused(Cause.FORM, f"broken off after {text.split()[-1]!r}")
