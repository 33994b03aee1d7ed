"""Draws one true line for a cue, or what follows an opener, from this folder's grammar or the engine's templates."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from commentary_llm.cue.choice import repeats_opener
from commentary_llm.cue.cue import Cue, Urgency
from commentary_llm.cue.facts import Facts
from commentary_llm.cue.history import LineHistory
from commentary_llm.cue.wording import clauses_of
from commentary_llm.ground.text import fold
from commentary_llm.language.en.gate import FactGate
from commentary_llm.language.en.names import NameBook
from commentary_llm.language.en.personas import Persona
from commentary_llm.language.en.templates.grammar import sections
from commentary_llm.language.en.text_rules import ENGLISH_RULES
from commentary_llm.language.en.tokens import spoken_words
from commentary_llm.language.en.training.grammar import Form, fitting, slots_of
from commentary_llm.language.en.training.slots import all_slots

_OWN_SHARE = 0.75  # of whole lines from this grammar, the rest from the engine's templates
_SECOND_SHARE = 0.3  # of short continuations that get another
_SHORT_WORDS = 6
_LONGEST_WORDS = 13
_DRAWS = 60
_HOT, _CALM = 0.6, 0.45
_SENTENCE = re.compile(r"(^|[.!?]\s+)(\w)")
# Words so common that saying one twice in a row is no repetition.
_PLAIN = frozenset([
    "a", "an", "the", "and", "but", "or", "of", "to", "in", "on", "at", "for", "from", "by", "with", "into", "as", "it",
    "its", "is", "are", "was", "be", "has", "have", "that", "this", "so", "their", "they", "no", "not", "now", "up",
    "out", "off", "over", "all", "one", "two", "three", "four", "five", "six", "nil", "goal", "goals", "here", "there",
    "then", "who", "what", "how", "minute", "minutes", "lead", "leads", "level", "still",
])  # fmt: skip
_NEWS = ("goal", "kick", "half_time", "period", "starts", "match_over", "var")


@dataclass(frozen=True)
class _Pool:
    """Forms that fit one cue. `stock`: the engine's own template lines."""

    mains: list[Form]
    tails: list[Form]
    stock: list[Form] = field(default_factory=list)


class LineDrawer:
    """Draws lines for the cues of one match; each passes the fact gate clause by clause, as it would on air."""

    def __init__(self, names: NameBook, speaker: Persona, rng: random.Random) -> None:
        self._names = names
        self._speaker = speaker
        self._rng = rng
        self._gate = FactGate(names)
        self._used: Counter[str] = Counter()
        self._spoken: set[tuple[str, ...]] = set()
        self.refused: Counter[str] = Counter()  # by form, for those who write grammar

    def draw(self, cue: Cue, facts: Facts, event_line: str, said: LineHistory, opener: str = "") -> str | None:
        """A true line for `cue`, or what follows `opener`; None where the grammar has nothing.

        It says nothing beyond `facts`, names nobody beyond `event_line`, and neither repeats a line of this match nor
        takes up the words of the opener and of the line before.
        """
        before = _telling(" ".join(said.last(1)))
        pool = self._pool(facts, self._styles(cue), after=bool(opener))
        if not pool.mains and not pool.stock:
            return None
        for _ in range(_DRAWS):
            slots = all_slots(cue, facts, self._names, event_line, self._rng)
            chosen = self._after(pool, cue) if opener else self._whole(pool, cue)
            line = self._fill([form.expand(self._rng) for form in chosen], slots)
            if line is None or _says_twice(f"{opener} {line}") or spoken_words(line) in self._spoken:
                continue
            if _telling(line) & before or repeats_opener(line, opener, ENGLISH_RULES):
                continue
            if len(line.split()) > _LONGEST_WORDS and opener:
                continue
            if self._passes(line, cue, said, opener):
                self._used.update(form.text for form in chosen)
                self._spoken.add(spoken_words(line))
                return line
            self.refused["  ~  ".join(form.text for form in chosen)] += 1
        return None

    @staticmethod
    def _pool(facts: Facts, styles: frozenset[str], after: bool) -> _Pool:
        ours = fitting(facts, styles)
        mains = [form for form in ours if form.part == ("~" if after else "")]
        tails = [form for form in ours if form.part == "+"]
        if after:
            return _Pool(mains, tails)
        stock = [
            Form(form.text, section.name, "", section.condition, section.styles, form.weight)
            for section in sections()
            if section.styles <= styles and facts.holds(section.condition) and not section.is_tail
            for form in section.forms
        ]
        return _Pool(mains, tails, stock)

    def _after(self, pool: _Pool, cue: Cue) -> list[Form]:
        chosen = [self._choose(pool.mains)]
        if len(chosen[0].text.split()) <= _SHORT_WORDS:
            if pool.tails and self._rng.random() < self._tail_share(cue):
                chosen.append(self._choose(pool.tails))
            elif self._rng.random() < _SECOND_SHARE:
                rest = [form for form in pool.mains if form.section != chosen[0].section]
                chosen += [self._choose(rest)] if rest else []
        return chosen

    def _whole(self, pool: _Pool, cue: Cue) -> list[Form]:
        ours = not pool.stock or (pool.mains and self._rng.random() < _OWN_SHARE)
        chosen = [self._choose(pool.mains if ours else pool.stock)]
        if pool.tails and self._rng.random() < self._tail_share(cue):
            chosen.append(self._choose(pool.tails))
        return chosen

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
            return 0.6
        return self._speaker.tail_share * (0.4 if cue.urgency >= Urgency.URGENT else 0.15)

    def _choose(self, forms: Sequence[Form]) -> Form:
        # What this match has had comes seldom again.
        weights = [form.weight * _interest(form) / (1 + 2 * self._used[form.text]) ** 2 for form in forms]
        return self._rng.choices(forms, weights=weights)[0]

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

    def _passes(self, line: str, cue: Cue, said: LineHistory, opener: str) -> bool:
        if len(line.split()) + len(opener.split()) > cue.max_words:
            return False
        before = opener
        for clause in clauses_of(line, ENGLISH_RULES):
            # A clause has to stand alone and after the rest of its line.
            for context in {"", before}:
                if not self._gate.check(clause, cue, said, context).ok:
                    return False
            before = f"{before} {clause}".strip()
        return True


def _interest(form: Form) -> float:
    """Less for score and clock where they are no news: they sound the same at every event."""
    news = any(
        kind in form.condition.text for kind in ("goal", "kick", "half_time", "period", "starts", "match_over", "var")
    )
    if news or "blind_listener" in form.styles:
        return 1.0
    return 0.25 if "core" in form.text else 0.4 if "layed}" in form.text else 1.0


def _telling(text: str) -> set[str]:
    """The words of `text` that a listener would notice twice: no names, no little words."""
    marks = re.findall(r"[.!?,:;]|[^\W\d_][\w'’-]*", text)
    starts = [True, *(mark in ".!?" for mark in marks)]
    return {
        fold(word)
        for word, first in zip(marks, starts, strict=False)
        if word[0].isalpha() and (first or word.islower())
    } - _PLAIN


# Said once already in a line, these words would say the same thing twice.
_ONCE = (
    "level", "square", "lead", "leads", "goalless", "still", "trail", "minutes", "goes", "stoppage", "score", "all",
    "front", "goals", "save", "saved", "denied", "booked", "change", "corner", "penalty", "offside", "woodwork",
    "let-off", "survive", "off target", "free kick", "play is", "off the",
)  # fmt: skip
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
