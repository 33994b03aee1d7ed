"""Zumu, a made-up tongue of a few words: all that a language is, in one folder."""

from __future__ import annotations

from collections.abc import Callable

from commentary_llm.cue.history import WHOLE_MATCH_S, LineHistory
from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.contract import Announcer, Chat, MatchLanguage
from commentary_llm.match import EventType, MatchEvent, MatchInfo

from .gate import ZumuGate, read_words
from .lines import ZumuOpeners, ZumuPrompts, ZumuTemplates
from .text import ZumuRules, ZumuSpeech


class Zumu:
    code = "qaa"
    name = "Zumu"
    personas = ("moto", "lelo")
    rules = ZumuRules()
    speech_text = ZumuSpeech()

    def __init__(self) -> None:
        self._words = read_words()

    def open(
        self,
        info: MatchInfo,
        *,
        persona: str,
        seed: int,
        chat: Chat,
        count_tokens: Callable[[str], int],
        examples: bool,
    ) -> MatchLanguage:
        if persona not in self.personas:
            raise ConfigError(f"persona {persona!r} is not known; choose one of {', '.join(self.personas)}")
        history, gate = LineHistory(self.rules, WHOLE_MATCH_S), ZumuGate(info, self._words)
        return MatchLanguage(
            rules=self.rules,
            history=history,
            gate=gate,
            openers=ZumuOpeners(info),
            templates=ZumuTemplates(gate, history),
            prompts=ZumuPrompts(info, persona, chat),
        )

    def announcer(self, info: MatchInfo) -> Announcer:
        def announce(event: MatchEvent) -> str:
            team = next((side.name for side in (info.home, info.away) if side.id == event.team), "")
            return f"Bolu va {team}." if event.type is EventType.GOAL else ""

        return announce


LANGUAGE = Zumu()
