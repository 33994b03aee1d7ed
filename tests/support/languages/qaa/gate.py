"""What may be said in Zumu: known words whose condition holds, and names in the part that the word before gives."""

from __future__ import annotations

from pathlib import Path

from commentary_llm.cue.cue import Cue
from commentary_llm.cue.facts import Condition, match_seconds
from commentary_llm.cue.facts.keys import player_key, team_key
from commentary_llm.cue.history import LineHistory
from commentary_llm.ground.text import fold
from commentary_llm.language.contract import Cause, Verdict
from commentary_llm.match import MatchInfo

from .text import ZumuRules

Words = dict[str, tuple[Condition, str]]  # word -> when it may be said, and the roles it gives


def read_words() -> Words:
    words: Words = {}
    head = Condition.parse("", "words.txt"), ""
    lines = Path(__file__).with_name("words.txt").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if line.startswith("["):
            condition, _, roles = line.strip("[]").partition("|")
            head = Condition.parse(condition, f"words.txt:{number}"), roles.strip()
        elif line and not line.startswith("#"):
            words[line] = head
    return words


class ZumuGate:
    def __init__(self, info: MatchInfo, words: Words) -> None:
        self._words = words
        self._names: dict[str, str] = {}  # a folded last name -> key
        for team in (info.home, info.away):
            self._names[fold(team.name)] = team_key(team.id)
            self._names.update({fold(player.name.split()[-1]): player_key(player.id) for player in team.players})

    def check(self, clause: str, cue: Cue, said_before: LineHistory | None = None, context: str = "") -> Verdict:
        roles = "focus,side"
        for word in ZumuRules().words(clause):
            if word in self._names:
                if self._names[word] not in cue.facts.keys(roles):
                    kind = Cause.PLAYER if self._names[word].startswith("p:") else Cause.TEAM
                    return Verdict(ok=False, cause=kind, detail=word)
                roles = "focus,side"
            elif word not in self._words:
                return Verdict(ok=False, cause=Cause.UNKNOWN_WORD, detail=word)
            else:
                condition, given = self._words[word]
                if not cue.facts.holds(condition):
                    return Verdict(ok=False, cause=Cause.WHAT_HAPPENED, detail=word)
                roles = given or roles
        if said_before is not None and said_before.said(clause, match_seconds(cue.event)):
            return Verdict(ok=False, cause=Cause.REPETITION, detail=clause)
        return Verdict(ok=True)
