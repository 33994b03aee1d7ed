"""Reads the template files: sections of lines with the facts that must hold for them."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

from commentary_llm.cue.facts import Condition
from commentary_llm.ground.errors import ConfigError
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


def read_sections(file: Path, styles: Set[str]) -> list[Section]:
    """The sections of one file, in its order. Raises ConfigError, with the line, for an unknown flag or style."""
    found: list[Section] = []
    head: re.Match[str] | None = None
    where = ""
    lines: list[str] = []

    def close() -> None:
        if head is not None:
            found.append(_section(head, lines, styles, where))

    for number, raw in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _HEAD.fullmatch(line)
        if match is None:
            assert head is not None, f"{file.name}: a line before the first section: {line!r}"
            lines.append(line)
            continue
        close()
        head, lines, where = match, [], f"{file.name}:{number}"
    close()
    return found


def _section(head: re.Match[str], lines: list[str], known: Set[str], where: str) -> Section:
    terms = head["condition"].split()
    name = head["name"]
    forms: list[Form] = []
    for line in lines:
        texts = _expand(line)
        # A line with many alternatives is still one line: it shares its weight among them.
        weight = int(head["weight"]) / len(texts)
        forms.extend(Form(text, line, name, weight, frozenset(_SLOT.findall(text))) for text in texts)
    styles = frozenset(term[1:] for term in terms if term.startswith("@"))
    if unknown := styles - known:
        raise ConfigError(f"{where}: style @{min(unknown)} is not one of {', '.join(sorted(known))}")
    condition = Condition.parse(" ".join(term for term in terms if not term.startswith("@")), where)
    return Section(name, condition, styles, tuple(forms))


def _expand(line: str) -> list[str]:
    parts = _CHOICE.split(line)
    choices = [part.split("|") if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(words) for words in product(*choices)]
