"""A synthetic match as the grammar would tell it on air: paced by the director, begun by the production openers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from checkpoints.finetune.matches import SyntheticMatch
from commentary_llm.cue.cue import Cue
from commentary_llm.cue.director import Director, SpeechStatus
from commentary_llm.cue.facts import match_seconds
from commentary_llm.cue.history import LineHistory
from commentary_llm.language.en.describe import event_line
from commentary_llm.language.en.hints import hint_text, hints_of
from commentary_llm.language.en.names import name_book
from commentary_llm.language.en.openers import OpenerBook
from commentary_llm.language.en.personas import Persona
from commentary_llm.language.en.text_rules import ENGLISH_RULES
from commentary_llm.language.en.training.drawer import LineDrawer
from commentary_llm.language.en.training.visible import visible

_WORDS_A_SECOND = 2.8  # of the voice


@dataclass(frozen=True)
class Told:
    """One cue. `line` is None where the grammar has nothing to go on with."""

    cue: Cue
    opener: str
    line: str | None

    @property
    def text(self) -> str:
        return f"{self.opener} {self.line or ''}".strip()


def paced_cues(match: SyntheticMatch) -> Iterator[Cue]:
    """The cues of a match in real time, each line taking as long as its words."""
    director, now = Director(), SpeechStatus(now_s=0.0)
    for event, state in match.steps:
        now = SpeechStatus(match_seconds(event), now.busy_until_s, last_end_s=now.last_end_s)
        cue = director.decide(event, state, now).cue
        if cue is not None:
            end_s = max(now.now_s, now.busy_until_s) + min(cue.max_words, 10) / _WORDS_A_SECOND
            now = SpeechStatus(now.now_s, end_s, last_end_s=end_s)
            yield cue


def narrate(match: SyntheticMatch, speaker: Persona, rng: random.Random) -> list[Told]:
    """Every cue of the match with its opener and the continuation drawn for it."""
    names, said, told = name_book(match.info), LineHistory(ENGLISH_RULES), []
    drawer, book = LineDrawer(names, speaker, rng), OpenerBook(names)
    for cue in paced_cues(match):
        hints = hints_of(cue.facts, names)
        shown = event_line(cue.facts, names) + hint_text(hints)
        opener = book.choose(cue)
        line = drawer.draw(cue, visible(cue.facts, names, hints, shown), shown, said, opener)
        told.append(Told(cue, opener, line))
        said.add(told[-1].text, match_seconds(cue.event))
    return told
