"""Openers, templates and prompts of Zumu."""

from __future__ import annotations

from collections.abc import Sequence

from commentary_llm.cue.choice import repeats_opener
from commentary_llm.cue.cue import Cue
from commentary_llm.cue.excitement import Mood
from commentary_llm.cue.history import LineHistory
from commentary_llm.language.contract import Chat, OpenerSentence
from commentary_llm.match import EventType, MatchInfo

from .gate import ZumuGate

_OPENERS = {EventType.GOAL: "Bolu! {p}!", EventType.CARD: "Karta! {p}!", EventType.SUBSTITUTION: "Ima {on}!"}
_LINES = ("Ano {t}.", "Rosa va {t}.", "Sefi va {t}.", "Uta {p}.")
_TURN = "\u0002"


def _slots(cue: Cue) -> dict[str, str]:
    state, event = cue.state, cue.event

    def called(player: str | None) -> str:
        return state.player(player).name.split()[-1] if player is not None else ""

    team = state.team(event.team).name if event.team is not None else ""
    return {"p": called(event.player), "on": called(event.player_on), "t": team}


class ZumuOpeners:
    def __init__(self, info: MatchInfo) -> None:
        self._players = [player.name.split()[-1] for team in (info.home, info.away) for player in team.players]

    def choose(self, cue: Cue) -> str:
        return self.first(cue)

    def first(self, cue: Cue) -> str:
        return _OPENERS.get(cue.event.type, "").format_map(_slots(cue))

    def inventory(self) -> tuple[OpenerSentence, ...]:
        texts = ["Bolu!", "Karta!", *(form.format(name) for name in self._players for form in ("{}!", "Ima {}!"))]
        return tuple(OpenerSentence(text, mood) for text in texts for mood in Mood)


class ZumuTemplates:
    def __init__(self, gate: ZumuGate, history: LineHistory) -> None:
        self._gate, self._history = gate, history

    def write(self, cue: Cue, opener: str = "") -> str:
        for form in _LINES:
            line = form.format_map(_slots(cue))
            new = not repeats_opener(line, opener, self._history.rules)
            if new and self._gate.check(line, cue, self._history, opener).ok:
                return line
        return ""


class ZumuPrompts:
    def __init__(self, info: MatchInfo, persona: str, chat: Chat) -> None:
        self.prefix, _, self._suffix = chat(f"Zumu {persona}", [("user", _TURN)]).partition(_TURN)
        self._info = info

    def text(self, cue: Cue, said: Sequence[str] = (), heard: str = "", *, opener: str = "") -> str:
        return f"{cue.event.type.value} {_slots(cue)['t']}{self._suffix}{opener}"
