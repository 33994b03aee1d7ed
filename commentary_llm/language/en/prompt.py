"""The prompt: a prefix that stays the same all match (and so stays in the KV cache), and a short text per cue."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from commentary_llm.cue.cue import Cue
from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.contract import Chat
from commentary_llm.language.en.describe import event_line
from commentary_llm.language.en.hints import Hint, hint_text, hints_of
from commentary_llm.language.en.names import NameBook
from commentary_llm.language.en.personas import Persona, persona_called
from commentary_llm.match import MatchInfo

_MARK = "\u0002cue\u0003"
LIMIT_TOKENS = 48  # of the text after the prefix: each costs about half a millisecond on a laptop
_SAID_WORDS = (8, 5)
_HEARD_WORDS = (8, 4)
_PIECES = re.compile(r"[^\W\d_]+|\S")
_RULES = (
    "For each event say one or two short sentences, present tense. Use only the names and facts of the event line. "
    "Where the line has begun already, go on from its last word and say something new. "
    "Never invent a player, score, minute or anything else. No questions, no history, no talk about yourself."
)
# Made-up names: one that leaks into the output is unknown to the fact gate and refused.
_EXAMPLES = (
    (
        "34' Goal for Norhaven: Marsk, header, assist Lunt. Norhaven lead 1-0.",
        "Goal! Marsk! Headed home from a Lunt delivery, and Norhaven go in front!",
    ),
    (
        "Said: Lunt delivery, and Norhaven go in front!\n"
        "51' Shot for Castrel: Quint, saved by Hollo. Norhaven lead 1-0. Also: long range.",
        "Saved! Hollo is equal to it from distance.",
    ),
    ("60' Yellow card: Lunt of Norhaven. Norhaven lead 1-0.", "Yellow card for Lunt. No complaints from Norhaven."),
    (
        "66' Substitution, Castrel: Dast on for Quint. Norhaven lead 1-0.",
        "Change for Castrel. Dast comes on, and Quint makes way.",
    ),
    ("71' Castrel: Dast to Serrin. Norhaven lead 1-0. Also: left.", "Down the left, Dast finds Serrin."),
)


class PromptBuilder:
    """Prompts for one match and one persona.

    `chat` renders system and turns with the model's template (`Generator.chat`); a completion model's rendering, plain
    paragraphs, works as well. `prefix` + `text(cue, …)` is the whole prompt.
    """

    def __init__(
        self,
        chat: Chat,
        names: NameBook,
        speaker: Persona | None = None,
        *,
        examples: bool = True,
        count_tokens: Callable[[str], int] | None = None,
        limit_tokens: int = LIMIT_TOKENS,
    ) -> None:
        """`examples`: show a few events with their lines first; a model trained on these prompts needs none.

        `count_tokens`: the model's own (`Generator.count_tokens`); an estimate for English without it. `text` stays
        under `limit_tokens` where event line and opener alone do. Raises ConfigError when `chat` does not leave the
        text of the last turn as it is.
        """
        speaker = speaker or persona_called("neutral")
        shown = _EXAMPLES if examples else ()
        turns = [turn for event, line in shown for turn in (("user", event), ("assistant", line))]
        rendered = chat(self.system(names.info, speaker), [*turns, ("user", _MARK)])
        head, mark, tail = rendered.partition(_MARK)
        if not mark or _MARK in tail:
            raise ConfigError("the chat template changed or repeated the last turn; expected it once, as given")
        self.prefix = head
        self._names = names
        self._suffix = tail
        self._count = count_tokens or _estimate
        self._limit_tokens = limit_tokens

    @staticmethod
    def system(info: MatchInfo, speaker: Persona) -> str:
        """The system message: manner, rules and the match."""
        where = ", ".join(filter(None, (info.competition, info.stage, info.venue)))
        match = f"The match: {info.home.name} against {info.away.name}" + (f", {where}." if where else ".")
        return f"{speaker.manner} {_RULES} {match}"

    def text(
        self,
        cue: Cue,
        said: Sequence[str] = (),
        heard: str = "",
        hints: tuple[Hint, ...] | None = None,
        opener: str = "",
    ) -> str:
        """The part of the prompt that changes: what was said and heard last, the event in one plain line, the opener.

        `said`: the last lines, oldest first (`LineHistory.last(1)`). `heard`: what the recogniser made of the stadium's
        announcer lately; the prompt marks it as hearsay. `hints`: by default those of the event. `opener`: whole words
        that begin the assistant's turn; the model goes on after them, first with a space.

        Event line and opener are always there. Hints, the end of what was said and what was heard follow in this order
        as far as `limit_tokens` allows.
        """
        line = event_line(cue.facts, self._names)
        end = self._suffix + opener.rstrip()
        if hints is None:
            hints = hints_of(cue.facts, self._names)
        shown: tuple[Hint, ...] = ()
        for hint in hints:
            if self._fits(line + hint_text((*shown, hint)) + end):
                shown = (*shown, hint)
        line += hint_text(shown)
        for forms in (_said_forms(said), _heard_forms(heard)):
            longest = next((form for form in forms if self._fits(f"{form}\n{line}{end}")), None)
            if longest is not None:
                line = f"{longest}\n{line}"
        return line + end

    def _fits(self, text: str) -> bool:
        return self._count(text) < self._limit_tokens


def _estimate(text: str) -> int:
    """Tokens of `text` for want of a tokenizer: words, marks and digits one by one, long words in pieces of four."""
    return sum(-(-len(piece) // 4) for piece in _PIECES.findall(text))


def _said_forms(said: Sequence[str]) -> list[str]:
    """The end of the last line, longest first: what comes next should sound different."""
    words = " ".join(said[-1:]).split()
    return [f"Said: {' '.join(words[-count:])}" for count in _SAID_WORDS] if words else []


def _heard_forms(heard: str) -> list[str]:
    words = heard.split()
    return [f'Heard: "{" ".join(words[:count])}"' for count in _HEARD_WORDS] if words else []
