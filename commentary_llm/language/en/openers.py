"""Openers: a few words that the event itself makes certain, spoken at once while the rest of the line is written.

    book = OpenerBook(names)                # one per match
    make_ready(book.inventory())            # every sentence it can say, with its mood
    opener = book.choose(cue)               # "Goal! Messi!"
    # Its sentences, "Goal!" and "Messi!", are in the inventory each.

The lines are in `openers.txt`. Each is complete in itself, ends on a pause, and holds only what its condition says.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from commentary_llm.cue.cue import Cue
from commentary_llm.cue.excitement import Mood, mood_of
from commentary_llm.language.contract import OpenerSentence
from commentary_llm.language.en.names import NameBook, called
from commentary_llm.language.en.templates.grammar import Form, Section, read_sections
from commentary_llm.language.en.templates.slots import number_word
from commentary_llm.language.en.tokens import words_of
from commentary_llm.match import EventType, Player

_SENTENCE = re.compile(r"[^.!]+[.!]")
_SLOT = re.compile(r"\{(\w+)\}")
_MINUTES = range(2, 13)  # of stoppage time, in words
_JUST_USED = 2  # lines that may not come again at once, where there are others
_SIDES = {"t": "side", "o": "other", "credited": "credited", "winner": "winner"}


@lru_cache(maxsize=1)
def opener_sections() -> tuple[Section, ...]:
    """All bundled sections, likeliest first, read once."""
    return tuple(read_sections(Path(__file__).parent / "openers.txt", frozenset(Mood)))


class OpenerBook:
    """Chooses the openers of one match, and remembers them for variety. Not thread-safe."""

    def __init__(self, names: NameBook, seed: int = 0) -> None:
        self._names = names
        self._sides = (names.info.home, names.info.away)
        self._seed = seed
        self._said: set[tuple[str, str]] = set()  # pairs of neighbouring words in the openers so far
        self._used: dict[str, int] = {}  # form -> how often
        self._last: list[str] = []  # the newest forms, oldest first

    def choose(self, cue: Cue) -> str:
        """A true opener for `cue`: not of the last shapes, then the one that repeats least of what was said.

        '' for an event that has none: the director speaks of none such.
        """
        rng = random.Random(f"{self._seed}:{cue.event.event_id}")
        best: tuple[tuple[float, ...], Form, str] | None = None
        for form, text in self.fitting(cue):
            rank = (
                self._last.index(form.pattern) + 1 if form.pattern in self._last else 0,
                len(self._said & _word_pairs(text)),
                self._used.get(form.pattern, 0),
                -(rng.random() ** (1 / form.weight)),
            )
            if best is None or rank < best[0]:
                best = rank, form, text
        if best is None:
            return ""
        _, form, text = best
        self._said |= _word_pairs(text)
        self._used[form.pattern] = self._used.get(form.pattern, 0) + 1
        self._last = [*self._last, form.pattern][-_JUST_USED:]
        return text

    def first(self, cue: Cue) -> str:
        """The first of the list that is true of `cue`; '' where there is none. Nothing is remembered of it."""
        return next((text for _, text in self.fitting(cue)), "")

    def fitting(self, cue: Cue) -> Iterator[tuple[Form, str]]:
        """Every line that is true of `cue` in its mood, with its words."""
        slots = self._slots(cue)
        mood = mood_of(cue.excitement).value
        for section in opener_sections():
            if mood in section.styles and cue.facts.holds(section.condition):
                for form in section.forms:
                    if form.slots <= slots.keys():
                        yield (
                            form,
                            " ".join(_capital(each.strip().format_map(slots)) for each in _SENTENCE.findall(form.text)),
                        )

    def inventory(self) -> tuple[OpenerSentence, ...]:
        """Every sentence that `choose` can return, likeliest first: words for all, then sides, starters, the bench."""
        found: dict[OpenerSentence, int] = {}
        for section in opener_sections():
            for form in section.forms:
                for sentence in _SENTENCE.findall(form.text):
                    for text, rank in self._filled(sentence.strip(), section):
                        for mood in sorted(section.styles):
                            entry = OpenerSentence(_capital(text), Mood(mood))
                            found[entry] = min(rank, found.get(entry, rank))
        return tuple(sorted(found, key=lambda entry: found[entry]))

    def _filled(self, sentence: str, section: Section) -> Iterator[tuple[str, int]]:
        slot = _SLOT.search(sentence)
        if slot is None:
            yield sentence, 0
            return
        values: Iterator[tuple[str, int]]
        if slot[1] in _SIDES:
            values = ((called(team), 1) for team in self._sides)
        elif slot[1] == "n":
            values = ((number_word(minutes), 1) for minutes in _MINUTES)
        else:
            players = (player for team in self._sides for player in team.players)
            values = (
                (self._names.surnames[player.id], 2 if player.starter else 3)
                for player in players
                if _may_fill(slot[1], player)
            )
        for value, rank in values:
            yield sentence.replace(slot[0], value), rank

    def _slots(self, cue: Cue) -> dict[str, str]:
        event = cue.event
        people = {"p": event.player, "s": event.player, "keeper": event.goalkeeper, "on": event.player_on}
        if event.type is EventType.SUBSTITUTION:
            people |= {"off": event.player, "p": None, "s": None}
        elif event.type is EventType.SAVE:
            people["keeper"] = event.player
        slots = {
            slot: self._names.surnames[player]
            for slot, player in people.items()
            if player is not None and _may_fill(slot, cue.state.player(player))
        }
        for slot, role in _SIDES.items():
            for key in cue.facts.roles.get(role, ()):
                if key.startswith("t:"):
                    slots[slot] = called(cue.state.team(key[2:]))
        if event.minutes_added is not None and event.minutes_added in _MINUTES:
            slots["n"] = number_word(event.minutes_added)
        return slots


def _may_fill(slot: str, player: Player) -> bool:
    """Goalkeepers are named as such only where the line-up marks them; the bench has fewer sentences to make ready."""
    if slot == "keeper":
        return "keeper" in (player.position or "").lower()
    if slot == "on":
        return not player.starter
    return slot == "p" or player.starter


def _word_pairs(text: str) -> frozenset[tuple[str, str]]:
    return frozenset(pairwise(words_of(text)))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
