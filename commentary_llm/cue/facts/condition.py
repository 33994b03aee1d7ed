"""Conditions on flags, as lists and tables write them; one that names an undeclared flag is refused as it is read."""

from __future__ import annotations

from collections.abc import Collection, Set
from dataclasses import dataclass
from difflib import get_close_matches

from commentary_llm.cue.facts.flags import FLAGS
from commentary_llm.ground.errors import ConfigError


@dataclass(frozen=True)
class Condition:
    """What has to be true of an event. Two of the same text are equal."""

    text: str
    refused: frozenset[str]  # none of these
    wanted: tuple[frozenset[str], ...]  # one of each

    @classmethod
    def parse(cls, text: str, where: str) -> Condition:
        """Reads flags that must all hold: `flag`, `!flag` for one that must not, `a/b` for either; '' always holds.

        `where`: the file and line, or the table, for the error. Raises ConfigError for an undeclared flag.
        """
        terms = text.split()
        refused = frozenset(term[1:] for term in terms if term.startswith("!"))
        wanted = tuple(frozenset(term.split("/")) for term in terms if not term.startswith("!"))
        check_declared(refused.union(*wanted), where)
        return cls(text, refused, wanted)

    def holds(self, flags: Set[str]) -> bool:
        return self.refused.isdisjoint(flags) and not any(term.isdisjoint(flags) for term in self.wanted)


def check_declared(flags: Collection[str], where: str) -> None:
    """Raises ConfigError, with `where`, for the first flag that is not among `FLAGS`."""
    if undeclared := set(flags) - FLAGS.keys():
        flag = min(undeclared)
        near = get_close_matches(flag, FLAGS, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{where}: flag {flag!r} is not declared in commentary_llm/cue/facts/flags.py{meant}")
