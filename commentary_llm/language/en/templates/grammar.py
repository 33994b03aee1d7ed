"""Reads the template files: sections of lines with the facts that must hold for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

from commentary_llm.cue.facts import Condition
from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.en.lists import lines_of
from commentary_llm.language.en.personas import PERSONAS

_HEAD = re.compile(r"\[(?P<name>[^\]]+)\]\s+(?P<weight>\d+)\s*\|\s*(?P<condition>.*)")
_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_SLOT = re.compile(r"\{(\w+)\}")
# Moods of a line's excitement (see `writer`), and the personas that have lines of their own.
STYLES = frozenset({"hot", "calm", *PERSONAS})
_FILES = ("goals.txt", "chances.txt", "restarts.txt", "moments.txt", "play.txt")


@dataclass(frozen=True)
class Form:
    """One surface form: `text` with `{slots}`; `pattern` is the line it was written as, alternatives and all."""

    text: str
    pattern: str
    section: str
    weight: float
    slots: frozenset[str]


@dataclass(frozen=True)
class Section:
    """Lines that share a condition. `styles` are the `@…` terms beside it."""

    name: str
    condition: Condition
    styles: frozenset[str]
    forms: tuple[Form, ...]

    @property
    def is_tail(self) -> bool:
        return self.name.startswith("+")


@lru_cache(maxsize=1)
def sections() -> tuple[Section, ...]:
    """All bundled sections, read once."""
    return tuple(section for name in _FILES for section in read_sections(Path(__file__).parent / name, STYLES))


@dataclass(frozen=True)
class Head:
    """What begins a section: `[name] weight | condition @style`."""

    name: str
    weight: int
    condition: Condition
    styles: frozenset[str]

    @classmethod
    def parse(cls, line: str, where: str, known: Set[str]) -> Head | None:
        """None for a line that is no head. Raises ConfigError for an undeclared flag or a style not in `known`."""
        found = _HEAD.fullmatch(line)
        if found is None:
            return None
        terms = found["condition"].split()
        styles = frozenset(term[1:] for term in terms if term.startswith("@"))
        if unknown := styles - known:
            raise ConfigError(f"{where}: style @{min(unknown)} is not one of {', '.join(sorted(known))}")
        condition = Condition.parse(" ".join(term for term in terms if not term.startswith("@")), where)
        return cls(found["name"], int(found["weight"]), condition, styles)


def read_sections(file: Path, styles: Set[str]) -> list[Section]:
    """The sections of one file, in its order. Raises ConfigError, with the line, for an unknown flag or style."""
    found: list[tuple[Head, list[str]]] = []
    for where, line in lines_of(file):
        head = Head.parse(line, where, styles)
        if head is not None:
            found.append((head, []))
        elif not found:
            raise ConfigError(f"{where}: {line!r} stands before the first section; expected [name] weight | condition")
        else:
            found[-1][1].append(line)
    return [Section(head.name, head.condition, head.styles, tuple(_forms(head, lines))) for head, lines in found]


def _forms(head: Head, lines: list[str]) -> Iterator[Form]:
    for line in lines:
        texts = _expand(line)
        # A line with many alternatives is still one line: it shares its weight among them.
        weight = head.weight / len(texts)
        for text in texts:
            yield Form(text, line, head.name, weight, frozenset(_SLOT.findall(text)))


def _expand(line: str) -> list[str]:
    parts = _CHOICE.split(line)
    choices = [part.split("|") if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(words) for words in product(*choices)]
