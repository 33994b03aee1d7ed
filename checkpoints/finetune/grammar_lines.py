"""Draws one true line for a cue, from this folder's grammar or the engine's templates."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from checkpoints.finetune.grammar import Form, fitting, slots_of
from checkpoints.finetune.grammar_slots import all_slots
from commentary_llm.script import ClauseSplitter, Cue, FactGate, LineHistory, Persona
from commentary_llm.script.facts import Facts
from commentary_llm.script.templates.grammar import sections
from commentary_llm.script.tokens import normalize_line

_OWN_SHARE = 0.75  # of lines from this grammar, the rest from the engine's templates
_OPENER_SHARE = 0.4
_DRAWS = 40
_HOT, _CALM = 0.6, 0.45
_SENTENCE = re.compile(r"(^|[.!?]\s+)(\w)")


class LineDrawer:
    """Draws lines for cues; each passes the fact gate clause by clause, as it would on air."""

    def __init__(self, speaker: Persona, rng: random.Random) -> None:
        self._speaker = speaker
        self._rng = rng
        self._gate = FactGate()
        self.refused: Counter[str] = Counter()  # by form, for those who write grammar

    def draw(self, cue: Cue, facts: Facts, event_line: str, said: LineHistory) -> str | None:
        """A true line for `cue` that says nothing beyond `facts` and names nobody beyond `event_line`; or None."""
        styles = self._styles(cue)
        ours = fitting(facts, styles)
        wholes = [form for form in ours if form.part == ""]
        openers = [form for form in ours if form.part == "!"]
        after = [form for form in ours if form.part == "~"]
        tails = [form for form in ours if form.part == "+"]
        stock = [
            (form.text, form.weight, section.is_tail)
            for section in sections()
            if section.styles <= styles and facts.holds(section.condition)
            for form in section.forms
        ]
        last = _openings(said.last(2))
        for _ in range(_DRAWS):
            slots = all_slots(cue, facts, event_line, self._rng)
            source = ""
            if openers and after and self._rng.random() < _OPENER_SHARE:
                first = self._choose(openers)
                rest = [form for form in after if form.kind == first.kind]
                parts = [first.expand(self._rng)]
                source = first.text
                # Not every line goes on: "Goal, Brazil! Falcão!" may be all.
                if rest:
                    second = self._choose(rest)
                    source += " ~ " + second.text
                    parts.append(second.expand(self._rng))
            elif wholes and self._rng.random() < _OWN_SHARE:
                form = self._choose(wholes)
                source, parts = form.text, [form.expand(self._rng)]
            else:
                bodies = [(text, weight) for text, weight, tail in stock if not tail]
                if not bodies:
                    continue
                text = self._rng.choices([b[0] for b in bodies], weights=[b[1] for b in bodies])[0]
                source, parts = text, [text]
            if tails and self._rng.random() < self._tail_share(cue):
                parts.append(self._choose(tails).expand(self._rng))
            line = self._fill(parts, slots)
            if line is None or _openings([line]) & last or _says_twice(line):
                continue
            if self._passes(line, cue, said):
                return line
            self.refused[source] += 1
        return None

    def _styles(self, cue: Cue) -> frozenset[str]:
        excitement = cue.excitement * self._speaker.excitement
        styles = {self._speaker.name}
        if excitement >= _HOT:
            styles.add("hot")
        if excitement <= _CALM:
            styles.add("calm")
        return frozenset(styles)

    def _tail_share(self, cue: Cue) -> float:
        if self._speaker.always_score:
            return 0.7
        return self._speaker.tail_share * (0.5 if cue.urgency >= 2 else 0.35)

    def _choose(self, forms: Sequence[Form]) -> Form:
        return self._rng.choices(forms, weights=[form.weight for form in forms])[0]

    def _fill(self, parts: Sequence[str], slots: dict[str, str]) -> str | None:
        text = " ".join(parts)
        if not slots_of(text) <= slots.keys():
            return None
        text = " ".join(text.format_map(slots).split()).replace(".,", ",").replace("..", ".")
        if self._speaker.name == "dry":
            text = text.replace("!", ".")
        if self._speaker.name != "excited" and text.count("!") > 2:
            first, _, rest = text.partition("!")
            text = first + "!" + rest.replace("!", ".")
        return _SENTENCE.sub(lambda found: found[1] + found[2].upper(), text)

    def _passes(self, line: str, cue: Cue, said: LineHistory) -> bool:
        if len(line.split()) > cue.max_words:
            return False
        splitter = ClauseSplitter()
        before = ""
        for clause in [*splitter.push(line), *splitter.flush()]:
            # A clause has to stand alone and after the rest of its line.
            for context in {"", before}:
                if not self._gate.check(clause, cue, said, context).ok:
                    return False
            before = f"{before} {clause}".strip()
        return True


def _openings(lines: Iterable[str]) -> set[str]:
    return {" ".join(normalize_line(line).split()[:3]) for line in lines}


# Said once already in a line, these words would say the same thing twice.
_ONCE = (
    *[
        "level",
        "square",
        "lead",
        "leads",
        "goalless",
        "still",
        "trail",
        "minutes",
        "goes",
        "stoppage",
        "score",
        "all",
        "front",
        "goals",
        "save",
        "saved",
    ],
    *["denied", "booked", "change", "corner", "penalty", "offside", "woodwork", "let-off", "survive"],
    "off target",
    "free kick",
    "play is",
    "off the",
)
_SPOKEN_SCORE = re.compile(
    r"\b(?:nil|one|two|three|four|five|six|seven|eight), [^.!,]{2,40} (?:nil|one|two|three|four|five)\b"
)
_NUMBERS = re.compile(
    r"\b\d+-\d+\b|\b(?:nil|one|two|three|four|five|six|seven|eight)-(?:nil|one|two|three|four|five|all)\b"
)


def _says_twice(line: str) -> bool:
    low = line.lower()
    words = Counter(re.findall(r"[a-z]+", low))
    if any((words[once] if " " not in once else low.count(once)) > 1 for once in _ONCE):
        return True
    return len(_NUMBERS.findall(low)) + len(_SPOKEN_SCORE.findall(low)) > 1
