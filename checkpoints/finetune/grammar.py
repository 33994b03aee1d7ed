"""Reads the grammar's text files: weighted forms whose alternatives are chosen at random.

`grammar.txt` has whole lines and closing sentences, `continuations.txt` what may follow an opener.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from commentary_llm.cue.facts import Facts

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
    condition: str
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


def _lines() -> Iterator[str]:
    for name in _FILES:
        for line in (files(__package__) / name).read_text(encoding="utf-8").splitlines():
            yield line.strip()


@lru_cache(maxsize=1)
def _read() -> tuple[tuple[Form, ...], dict[str, tuple[str, ...]]]:
    found: list[Form] = []
    names: dict[str, tuple[str, ...]] = {}
    head: re.Match[str] | None = None
    for line in _lines():
        if not line or line.startswith("#"):
            continue
        if define := _DEFINE.fullmatch(line):
            names[define["name"]] = tuple(option.strip() for option in define["options"].split("|"))
            continue
        if match := _HEAD.fullmatch(line):
            head = match
            continue
        assert head is not None, f"a line before the first section: {line!r}"
        terms = head["condition"].split()
        name = head["name"]
        part = name[0] if name[0] in "~+" else ""
        found.append(
            Form(
                text=line,
                section=name,
                part=part,
                condition=" ".join(term for term in terms if not term.startswith("@")),
                styles=frozenset(term[1:] for term in terms if term.startswith("@")),
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
def _by_condition() -> dict[tuple[str, frozenset[str]], list[Form]]:
    groups: dict[tuple[str, frozenset[str]], list[Form]] = {}
    for form in forms():
        groups.setdefault((form.condition, form.styles), []).append(form)
    return groups
