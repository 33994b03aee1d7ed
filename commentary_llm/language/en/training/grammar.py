"""Reads the grammar's text files: weighted forms whose alternatives are chosen at random.

`grammar.txt` has whole lines and closing sentences, `continuations.txt` what may follow an opener.
"""

from __future__ import annotations

import random
import re
from collections.abc import Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from commentary_llm.cue.facts import Condition, Facts
from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.en.lists import lines_of
from commentary_llm.language.en.templates.grammar import STYLES, Head

_FILES = ("grammar.txt", "continuations.txt")
_DEFINE = re.compile(r"\$(?P<name>\w+)")
_OPTION = "= "
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


@lru_cache(maxsize=1)
def _read() -> tuple[tuple[Form, ...], dict[str, tuple[str, ...]]]:
    return read_grammar(Path(__file__).parent)


def read_grammar(folder: Path) -> tuple[tuple[Form, ...], dict[str, tuple[str, ...]]]:
    """Forms and named alternatives of a folder. Raises ConfigError, with the line, for what cannot be read."""
    found: list[Form] = []
    names: dict[str, list[str]] = {}
    options: list[str] | None = None
    head: Head | None = None
    used: dict[str, str] = {}  # name -> where it is first asked for
    for where, line in (each for name in _FILES for each in lines_of(folder / name)):
        if define := _DEFINE.fullmatch(line):
            options = names[define["name"]] = []
        elif line.startswith(_OPTION):
            if options is None:
                raise ConfigError(f"{where}: {line!r} stands below no name; expected $name first")
            options.append(line.removeprefix(_OPTION).strip())
        elif begun := Head.parse(line, where, STYLES):
            head, options = begun, None
        elif head is None:
            raise ConfigError(f"{where}: {line!r} stands before the first section; expected [name] weight | condition")
        else:
            part = head.name[0] if head.name[0] in "~+" else ""
            found.append(Form(line, head.name, part, head.condition, head.styles, float(head.weight)))
            for reference in _REFERENCE.findall(line):
                used.setdefault(reference.lower(), where)
    for name, where in used.items():
        if not names.get(name):
            raise ConfigError(f"{where}: <{name}> has no alternatives; expected ${name} and lines with = below it")
    return tuple(found), {name: tuple(options) for name, options in names.items()}


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
