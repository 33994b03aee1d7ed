"""English as tests use it, for whatever match a cue is of."""

from __future__ import annotations

from commentary_llm.cue.cue import Cue
from commentary_llm.cue.history import REPEAT_WINDOW_S, LineHistory
from commentary_llm.language.contract import Verdict
from commentary_llm.language.en.gate import FactGate
from commentary_llm.language.en.names import NameBook, name_book
from commentary_llm.language.en.personas import persona_called
from commentary_llm.language.en.templates import TemplateWriter
from commentary_llm.language.en.text_rules import ENGLISH_RULES
from commentary_llm.match import MatchInfo

_books: dict[int, NameBook] = {}  # by the identity of the line-ups, which the book keeps alive
_gates: dict[int, FactGate] = {}


def names_of(info: MatchInfo) -> NameBook:
    """The names of a match, worked out once."""
    if id(info) not in _books:
        _books[id(info)] = name_book(info)
    return _books[id(info)]


def gate_of(info: MatchInfo) -> FactGate:
    if id(info) not in _gates:
        _gates[id(info)] = FactGate(names_of(info))
    return _gates[id(info)]


class AnyGate:
    """The gate of the match that each cue is of."""

    def check(self, clause: str, cue: Cue, said_before: LineHistory | None = None, context: str = "") -> Verdict:
        return gate_of(cue.state.info).check(clause, cue, said_before, context)


def history(window_s: float = REPEAT_WINDOW_S) -> LineHistory:
    return LineHistory(ENGLISH_RULES, window_s)


def template_writer(
    info: MatchInfo, said: LineHistory | None = None, persona: str = "neutral", seed: int = 0
) -> TemplateWriter:
    return TemplateWriter(names_of(info), gate_of(info), said or history(), persona_called(persona), seed)
