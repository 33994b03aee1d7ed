"""English, put together: `Language` over the modules of this folder."""

from __future__ import annotations

from collections.abc import Callable

from commentary_llm.cue.history import WHOLE_MATCH_S, LineHistory
from commentary_llm.language.contract import Announcer, Chat, MatchLanguage
from commentary_llm.language.en.announcer import announcer
from commentary_llm.language.en.gate import FactGate
from commentary_llm.language.en.gate.lexicon import lexicon
from commentary_llm.language.en.names import known_teams, name_book
from commentary_llm.language.en.openers import OpenerBook, opener_sections
from commentary_llm.language.en.personas import PERSONAS, persona_called
from commentary_llm.language.en.prompt import PromptBuilder
from commentary_llm.language.en.speech import ENGLISH_SPEECH
from commentary_llm.language.en.templates import TemplateWriter
from commentary_llm.language.en.templates.grammar import sections
from commentary_llm.language.en.text_rules import ENGLISH_RULES
from commentary_llm.match import MatchInfo


class English:
    """Implements `Language`."""

    code = "en"
    name = "English"
    personas = tuple(PERSONAS)
    rules = ENGLISH_RULES
    speech_text = ENGLISH_SPEECH

    def __init__(self) -> None:
        """Reads all lists. Raises ConfigError for a condition that asks for what nobody declared."""
        for read in (lexicon, known_teams, opener_sections, sections):
            read()

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
        speaker, names = persona_called(persona), name_book(info)
        history, gate = LineHistory(self.rules, WHOLE_MATCH_S), FactGate(names)
        return MatchLanguage(
            rules=self.rules,
            history=history,
            gate=gate,
            openers=OpenerBook(names, seed),
            templates=TemplateWriter(names, gate, history, speaker, seed),
            prompts=PromptBuilder(chat, names, speaker, examples=examples, count_tokens=count_tokens),
        )

    def announcer(self, info: MatchInfo) -> Announcer:
        return announcer(info)
