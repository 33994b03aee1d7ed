"""Reads the grammar's text files: weighted forms whose alternatives are chosen at random.

`grammar.txt` has whole lines and closing sentences, `continuations.txt` what may follow an opener.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from commentary_llm.cue.facts import Condition, Facts
from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.en.templates.grammar import STYLES

_FILES = ("grammar.txt", "continuations.txt")
_HEAD = re.compile(r"\[(?P<name>[^\]]+)\]\s+(?P<weight>\d+)\s*\|\s*(?P<condition>.*)")
_DEFINE = re.compile(r"\$(?P<name>\w+)\s*=\s*(?P<options>.+)")
_REFERENCE = re.compile(r"<(\w+)>")
_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Form:
    """One entry of the grammar. `part`: "" a whole line, "~" what follows an opener, "+" a closing sentence."""

    text: str
    section: str
    part: str
    condition: Condition
    styles: frozenset[str]
    weight: float

    def expand(self, rng: random.Random) -> str:
        """A surface with `{slots}`: every `<name>` and `(a|b)` decided."""
        text = self.text
        while found := _REFERENCE.search(text):
            options = _alternatives()[found[1].lower()]
            chosen = rng.choice(options)
            if found[1][0].isupper():
                chosen = chosen[0].upper() + chosen[1:]
            text = text[: found.start()] + chosen + text[found.end() :]
        return _CHOICE.sub(lambda choice: rng.choice(choice[1].split("|")), text)


def slots_of(text: str) -> Set[str]:
    """Names of the `{slots}` in an expanded text."""
    return frozenset(_SLOT.findall(text))


def forms() -> tuple[Form, ...]:
    """All forms, read once."""
    return _read()[0]


def _alternatives() -> dict[str, tuple[str, ...]]:
    return _read()[1]


def _lines(folder: Path) -> Iterator[tuple[str, str]]:
    """File and line number, and the line."""
    for name in _FILES:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(map(str.strip, lines), start=1):
            yield f"{name}:{number}", line


@lru_cache(maxsize=1)
def _read() -> tuple[tuple[Form, ...], dict[str, tuple[str, ...]]]:
    return read_grammar(Path(__file__).parent)


def read_grammar(folder: Path) -> tuple[tuple[Form, ...], dict[str, tuple[str, ...]]]:
    """Forms and named alternatives of a folder. Raises ConfigError, with the line, for an unknown flag or style."""
    found: list[Form] = []
    names: dict[str, tuple[str, ...]] = {}
    head: re.Match[str] | None = None
    for where, line in _lines(folder):
        if not line or line.startswith("#"):
            continue
        if define := _DEFINE.fullmatch(line):
            names[define["name"]] = tuple(option.strip() for option in define["options"].split("|"))
            continue
        if match := _HEAD.fullmatch(line):
            head = match
            terms = head["condition"].split()
            condition = Condition.parse(" ".join(term for term in terms if not term.startswith("@")), where)
            styles = frozenset(term[1:] for term in terms if term.startswith("@"))
            if unknown := styles - STYLES:
                raise ConfigError(f"{where}: style @{min(unknown)} is not one of {', '.join(sorted(STYLES))}")
            continue
        assert head is not None, f"{where}: a line before the first section: {line!r}"
        name = head["name"]
        part = name[0] if name[0] in "~+" else ""
        found.append(
            Form(
                text=line,
                section=name,
                part=part,
                condition=condition,
                styles=styles,
                weight=float(head["weight"]),
            )
        )
    for form in found:
        for reference in _REFERENCE.findall(form.text):
            assert reference.lower() in names, f"<{reference}> in {form.text!r} is not defined"
    return tuple(found), names


def fitting(facts: Facts, styles: Set[str]) -> list[Form]:
    """Forms whose conditions hold and whose styles are among `styles`."""
    return [
        form
        for (condition, wanted), group in _by_condition().items()
        if wanted <= styles and facts.holds(condition)
        for form in group
    ]


@lru_cache(maxsize=1)
def _by_condition() -> dict[tuple[Condition, frozenset[str]], list[Form]]:
    groups: dict[tuple[Condition, frozenset[str]], list[Form]] = {}
    for form in forms():
        groups.setdefault((form.condition, form.styles), []).append(form)
    return groups
