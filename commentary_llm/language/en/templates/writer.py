"""Writes a true line for any cue without a language model."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from commentary_llm.cue.choice import repeats_opener
from commentary_llm.cue.cue import Cue
from commentary_llm.cue.facts import match_seconds
from commentary_llm.cue.history import LineHistory
from commentary_llm.language.en.clauses import EnglishSplitter
from commentary_llm.language.en.describe import describe
from commentary_llm.language.en.gate import FactGate
from commentary_llm.language.en.names import NameBook
from commentary_llm.language.en.personas import Persona, persona_called
from commentary_llm.language.en.templates.grammar import Form, Section, sections
from commentary_llm.language.en.templates.slots import fill_slots
from commentary_llm.language.en.text_rules import ENGLISH_RULES

_GOES_ON = ";:—–-"  # a clause ends with these in the middle of a sentence
_HOT, _CALM = 0.6, 0.45
# Said in the line already, a closing clause with the same word would say it twice.
_ONCE = ("level", "square", "lead", "ahead", "front", "up", "three", "two", "second", "third")


@dataclass(frozen=True)
class TemplateLine:
    """A written line and the form it came from."""

    text: str
    form: Form
    tail: Form | None = None


class TemplateWriter:
    """Template lines in varied wording.

    `history` is the match's shared record: a line in it is not written again within its window. The caller adds what
    was really said. Choice is a function of `seed`, the event id and what was written before.
    """

    def __init__(
        self, names: NameBook, gate: FactGate, history: LineHistory, speaker: Persona | None = None, seed: int = 0
    ) -> None:
        self._names = names
        self._gate = gate
        self._history = history
        self._persona = speaker or persona_called("neutral")
        self._seed = seed
        self._used_at: dict[str, float] = {}

    def write(self, cue: Cue, opener: str = "") -> str:
        """A line for `cue`, checked by the fact gate, unlike any in the history's window.

        Where every form was used up, the plain statement of the event (see `describe`), which carries the minute.
        With an `opener`: what follows it and says none of its words again, '' when there is nothing more to say.
        """
        now_s = match_seconds(cue.event)
        for line in self.lines(cue):
            text = _rest(line.text, opener)
            words = len(text.split()) + len(opener.split())
            if not text or (opener and words > cue.max_words) or self._said(text, opener, now_s):
                continue
            if not self._gate.check(text, cue, self._history, context=opener).ok:
                continue
            for form in filter(None, (line.form, line.tail)):
                self._used_at[form.pattern] = now_s
            return text
        return "" if opener else describe(cue.facts)

    def _said(self, text: str, opener: str, now_s: float) -> bool:
        return any(self._history.said_whole(line, now_s) for line in {text, f"{opener} {text}".strip()})

    def lines(self, cue: Cue) -> Iterator[TemplateLine]:
        """All lines that fit the cue, best first; each form once."""
        rng = random.Random(f"{self._seed}:{cue.event.event_id}")
        slots = fill_slots(cue, cue.facts, self._names, rng)
        fitting = [section for section in sections() if self._fits(section, cue)]
        tails = [form for section in fitting if section.is_tail for form in section.forms]
        bodies = [form for section in fitting if not section.is_tail for form in section.forms]
        now_s = match_seconds(cue.event)
        ranked_tails = self._rank([form for form in tails if form.slots <= slots.keys()], rng, now_s)
        for form in self._rank([form for form in bodies if form.slots <= slots.keys()], rng, now_s):
            text = self._finish(form.text.format_map(slots))
            if len(text.split()) > cue.max_words:
                continue
            tail = self._tail_for(text, ranked_tails, slots, cue, rng)
            if tail is None:
                yield TemplateLine(text, form)
            else:
                yield TemplateLine(f"{text} {self._finish(tail.text.format_map(slots))}", form, tail)

    def _fits(self, section: Section, cue: Cue) -> bool:
        excitement = cue.excitement * self._persona.excitement
        styles = {self._persona.name}
        if excitement >= _HOT:
            styles.add("hot")
        if excitement <= _CALM:
            styles.add("calm")
        return section.styles <= styles and cue.facts.holds(section.condition)

    def _rank(self, forms: list[Form], rng: random.Random, now_s: float) -> list[Form]:
        """Weighted random order (Efraimidis and Spirakis 2006); forms used long ago or never come first."""
        keyed = []
        for form in forms:
            used = self._used_at.get(form.pattern)
            age = 0 if used is None else 1 + int(max(0.0, 5400.0 - (now_s - used)) // 300)
            keyed.append((age, -(rng.random() ** (1 / form.weight)), form))
        keyed.sort(key=lambda item: item[:2])
        return [form for _, _, form in keyed]

    def _tail_for(
        self, text: str, tails: list[Form], slots: dict[str, str], cue: Cue, rng: random.Random
    ) -> Form | None:
        if not tails:
            return None
        words = {word.strip(".,!") for word in text.lower().split()}
        if cue.urgency < 3 and not self._persona.always_score and rng.random() > self._persona.tail_share:
            return None
        room = cue.max_words - len(text.split())
        for tail in tails:
            added = tail.text.format_map(slots)
            said_twice = words & {word.strip(".,!") for word in added.lower().split()} & set(_ONCE)
            if len(added.split()) <= room and not said_twice:
                return tail
        return None

    def _finish(self, text: str) -> str:
        # A score sentence in the middle of a line leaves its full stop behind.
        text = " ".join(text.split()).replace(".,", ",")
        if self._persona.name == "dry":
            text = text.replace("!", ".")
        return text[0].upper() + text[1:]


def _rest(text: str, opener: str) -> str:
    """The sentences of `text` that say no word of `opener` again."""
    if not opener:
        return text
    splitter = EnglishSplitter(min_comma_words=99)
    sentences: list[str] = []
    for clause in [*splitter.push(text), *splitter.flush()]:
        if sentences and sentences[-1][-1] in _GOES_ON:
            sentences[-1] += " " + clause
        else:
            sentences.append(clause)
    kept = " ".join(sentence for sentence in sentences if not repeats_opener(sentence, opener, ENGLISH_RULES))
    return kept[:1].upper() + kept[1:]
