"""The prompt: a prefix that stays the same all match (and so stays in the KV cache), and a short text per cue."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from commentary_llm.errors import ConfigError
from commentary_llm.match import EventType, MatchInfo
from commentary_llm.script.cue import Cue, Urgency
from commentary_llm.script.describe import describe
from commentary_llm.script.facts import facts_of
from commentary_llm.script.hints import Hint, hint_text, hints_of
from commentary_llm.script.personas import Persona, persona

# system, (role, content) turns -> the rendered conversation up to the assistant's turn; see Generator.chat.
Chat = Callable[[str, list[tuple[str, str]]], str]

_MARK = "\u0002cue\u0003"
_HEARD_WORDS = 20
_SAID_WORDS = 14
_RULES = (
    "For each event say one or two short sentences, present tense. Use only the names and facts of the event line. "
    "Never invent a player, score, minute or anything else. No questions, no history, no talk about yourself."
)
# Made-up names: one that leaks into the output is unknown to the fact gate and refused.
_EXAMPLES = (
    (
        "Goal for Norhaven: Tilde Marsk, header, assist Ove Lunt, minute 34. Norhaven 1, Castrel 0.",
        "Marsk heads it in! Set up by Lunt, and Norhaven lead one-nil!",
    ),
    (
        "Shot for Castrel: Baro Quint, saved by Iven Hollo, minute 51. Norhaven 1, Castrel 0.",
        "Quint goes for goal, and Hollo saves!",
    ),
    ("Yellow card: Ove Lunt of Norhaven, minute 60. Norhaven 1, Castrel 0.", "Lunt is booked."),
    (
        "Substitution, Castrel: Remy Dast on for Baro Quint, minute 66. Norhaven 1, Castrel 0.",
        "Castrel bring on Dast, and Quint makes way.",
    ),
    (
        "Castrel: Remy Dast to Ulf Serrin, minute 71. Norhaven 1, Castrel 0.",
        "Dast finds Serrin, Castrel still trail one-nil.",
    ),
)


class PromptBuilder:
    """Prompts for one match and one persona.

    `chat` renders system and turns with the model's template (`Generator.chat`); a completion model's rendering, plain
    paragraphs, works as well. `prefix` + `text(cue, …)` is the whole prompt.
    """

    def __init__(self, chat: Chat, info: MatchInfo, speaker: Persona | None = None, *, examples: bool = True) -> None:
        """`examples`: show a few events with their lines first; a model trained on these prompts needs none.

        Raises ConfigError when `chat` does not leave the text of the last turn as it is.
        """
        speaker = speaker or persona("neutral")
        shown = _EXAMPLES if examples else ()
        turns = [turn for event, line in shown for turn in (("user", event), ("assistant", line))]
        rendered = chat(self.system(info, speaker), [*turns, ("user", _MARK)])
        head, mark, tail = rendered.partition(_MARK)
        if not mark or _MARK in tail:
            raise ConfigError("the chat template changed or repeated the last turn; expected it once, as given")
        self.prefix = head
        self._suffix = tail

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

        `said`: the last lines, oldest first (`LineHistory.last(2)`). `heard`: what the recogniser made of the stadium's
        announcer lately; the prompt marks it as hearsay. `hints`: by default those of the event. `opener`: whole words
        that begin the assistant's turn; the model goes on after them, first with a space.
        """
        parts = []
        if said:
            parts.append("Just said: " + " / ".join(_clip(line, _SAID_WORDS) for line in said))
        if heard.strip():
            parts.append(f'Announcer heard: "{_clip(heard, _HEARD_WORDS)}"')
        mood = _mood(cue)
        if hints is None:
            hints = hints_of(facts_of(cue.event, cue.state))
        parts.append(describe(cue.event, cue.state) + hint_text(hints) + (f" {mood}" if mood else ""))
        return "\n".join(parts) + self._suffix + opener.rstrip()


def _mood(cue: Cue) -> str:
    if cue.urgency is Urgency.URGENT and cue.excitement >= 0.7 and cue.event.type is not EventType.CARD:
        return "(Shout it.)"
    return ""


def _clip(text: str, words: int) -> str:
    found = " ".join(text.split()).split(" ")
    return " ".join(found[:words]) + (" …" if len(found) > words else "")
