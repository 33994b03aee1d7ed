"""Reads the template files: sections of lines with the facts that must hold for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import product

_HEAD = re.compile(r"\[(?P<name>[^\]]+)\]\s+(?P<weight>\d+)\s*\|\s*(?P<condition>.*)")
_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_SLOT = re.compile(r"\{(\w+)\}")
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
    """Lines that share a condition. `styles` are the `@…` terms, the rest is for `Facts.holds`."""

    name: str
    condition: str
    styles: frozenset[str]
    forms: tuple[Form, ...]

    @property
    def is_tail(self) -> bool:
        return self.name.startswith("+")


@lru_cache(maxsize=1)
def sections() -> tuple[Section, ...]:
    """All bundled sections, read once."""
    return tuple(section for name in _FILES for section in read_sections(files(__package__) / name))


def read_sections(file: Traversable) -> list[Section]:
    """The sections of one file, in its order."""
    found: list[Section] = []
    head: re.Match[str] | None = None
    lines: list[str] = []

    def close() -> None:
        if head is not None:
            found.append(_section(head, lines))

    for raw in file.read_text(encoding="utf-8").splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _HEAD.fullmatch(line)
        if match is None:
            assert head is not None, f"{file.name}: a line before the first section: {line!r}"
            lines.append(line)
            continue
        close()
        head, lines = match, []
    close()
    return found


def _section(head: re.Match[str], lines: list[str]) -> Section:
    terms = head["condition"].split()
    name = head["name"]
    forms: list[Form] = []
    for line in lines:
        texts = _expand(line)
        # A line with many alternatives is still one line: it shares its weight among them.
        weight = int(head["weight"]) / len(texts)
        forms.extend(Form(text, line, name, weight, frozenset(_SLOT.findall(text))) for text in texts)
    return Section(
        name,
        " ".join(term for term in terms if not term.startswith("@")),
        frozenset(term[1:] for term in terms if term.startswith("@")),
        tuple(forms),
    )


def _expand(line: str) -> list[str]:
    parts = _CHOICE.split(line)
    choices = [part.split("|") if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(words) for words in product(*choices)]
