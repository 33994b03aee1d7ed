"""What a language is to the rest of the engine: everything that is said in it goes through these.

    tongue = language("en")                                       # from the registry
    spoken = tongue.open(info, persona="excited", …)              # one per match
    opener = spoken.openers.choose(cue)
    spoken.gate.check("Messi scores!", cue, context=opener)

A language is one folder (see `registry`). What it makes for a match belongs to that match alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from asr_tts.interfaces import SpeechText
from commentary_llm.cue.cue import Cue
from commentary_llm.cue.excitement import Mood
from commentary_llm.cue.history import LineHistory
from commentary_llm.cue.wording import TextRules
from commentary_llm.match import MatchEvent, MatchInfo

# system, (role, content) turns -> the rendered conversation up to the assistant's turn; see Generator.chat.
Chat = Callable[[str, list[tuple[str, str]]], str]
# What a stadium's announcer says about an event, as written; '' for what he does not announce.
Announcer = Callable[[MatchEvent], str]


class Cause(str, Enum):
    """Why a clause was refused. Bounded, and the same for every language: it labels a metric."""

    FORM = "form"  # empty, too long, not plain prose of the language, broken off
    META = "meta"  # talk of the assistant about itself or its task
    UNKNOWN_NAME = "unknown_name"  # a name that nobody in this match has
    UNKNOWN_WORD = "unknown_word"  # outside the vocabulary the gate can vouch for
    AMBIGUOUS_NAME = "ambiguous_name"
    PLAYER = "player"  # a real player, but not the one who did it
    TEAM = "team"  # the other side
    SCORE = "score"
    MINUTE = "minute"
    COUNT = "count"
    WHAT_HAPPENED = "what_happened"
    UNKNOWABLE = "unknowable"  # records, history, injuries, other matches: not in the match state
    UNCERTAIN = "uncertain"  # negation, question, hypothesis: refused rather than understood
    REPETITION = "repetition"


@dataclass(frozen=True)
class Verdict:
    """`ok`, or the cause with the words it is about."""

    ok: bool
    cause: Cause | None = None
    detail: str = ""

    def __bool__(self) -> bool:
        return self.ok


@dataclass(frozen=True)
class OpenerSentence:
    """One sentence of an opener as it is spoken and cached."""

    text: str
    mood: Mood


class Gate(Protocol):
    """What may be said, clause by clause. Safe to share between threads."""

    def check(self, clause: str, cue: Cue, said_before: LineHistory | None = None, context: str = "") -> Verdict:
        """Whether every word of `clause` is known and every claim in it true of `cue.facts`.

        `said_before`: refuses what was said within its window of match time; None leaves repetition unchecked.
        `context`: what the same line has said before this clause.
        """
        ...


class Openers(Protocol):
    """A few words that an event itself makes certain, spoken at once. Not thread-safe."""

    def choose(self, cue: Cue) -> str:
        """A true opener, remembered for variety; '' for an event that has none.

        It consists of sentences (see `TextRules.splitter`) that are in the inventory with the cue's mood.
        """
        ...

    def first(self, cue: Cue) -> str:
        """Any true opener, the same each time; nothing is remembered of it."""
        ...

    def inventory(self) -> tuple[OpenerSentence, ...]:
        """Every sentence that `choose` can return, likeliest first."""
        ...


class Templates(Protocol):
    """True lines without a language model. Not thread-safe."""

    def write(self, cue: Cue, opener: str = "") -> str:
        """A line for `cue` that its gate passes, unlike any in the history's window.

        With an `opener`: what follows it, '' when there is nothing more to say.
        """
        ...


class Prompts(Protocol):
    """The model's prompts: `prefix`, the same all match, and `text` per cue. Safe to share between threads."""

    @property
    def prefix(self) -> str: ...

    def text(self, cue: Cue, said: Sequence[str] = (), heard: str = "", *, opener: str = "") -> str:
        """The part that changes. `said`: the last lines, oldest first. `heard`: hearsay from the stadium.

        `opener`: whole words that begin the answer; the model goes on after them, first with a space.
        """
        ...


@dataclass(frozen=True)
class MatchLanguage:
    """A language at work on one match, for one voice."""

    rules: TextRules
    history: LineHistory  # of the lines said, shared by gate, templates and choice; the caller adds them
    gate: Gate
    openers: Openers
    templates: Templates
    prompts: Prompts


class Language(Protocol):
    """A language. Its lists are read and checked when it is loaded: what cannot be used stops the start."""

    @property
    def code(self) -> str:
        """Its folder's name, as BCP 47 has it: "en", "pt-BR"."""
        ...

    @property
    def name(self) -> str: ...

    @property
    def personas(self) -> Sequence[str]:
        """Manners that its commentators come in."""
        ...

    @property
    def rules(self) -> TextRules: ...

    @property
    def speech_text(self) -> SpeechText:
        """What a voice that speaks it needs."""
        ...

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
        """What is said about a match. `chat` and `count_tokens` are the model's (see `Generator`).

        `examples`: show the model a few events with their lines first. Raises ConfigError for an unknown persona, and
        for a chat template that changes the last turn.
        """
        ...

    def announcer(self, info: MatchInfo) -> Announcer:
        """The stadium's announcer, for a match that comes without sound."""
        ...
