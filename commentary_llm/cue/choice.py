"""Which of several true lines is the best one to say."""

from __future__ import annotations

from dataclasses import dataclass

from commentary_llm.cue.history import LineHistory
from commentary_llm.cue.wording import TextRules

_TELLING_WORDS = 4  # a line with as many words of its own tells enough; more tell no better
UNSAYABLE = float("-inf")


@dataclass(frozen=True)
class Draft:
    """A true line to choose among: what would be said after the opener.

    `logprob`: natural log, summed over the `tokens` it took, under the unpenalised distribution at temperature 1.
    """

    text: str
    logprob: float
    tokens: int


@dataclass(frozen=True)
class Room:
    """What a line has to fit: the words that begin it, and how many more there is time for."""

    opener: str = ""
    words: int = 24


@dataclass(frozen=True)
class ChoiceWeights:
    """What counts how much. Novelty, fit and content lie in [0, 1]; likelihood is nats a token, at most 0.

    Chosen on every cue of two matches, five candidates each after its opener. Distinct-2 of the lines and nats a token:
                                      World Cup final 2022     a league match of StatsBomb's (121 lines)
        the first that is true        0.81  -0.41              0.66  -0.39
        these weights                 0.88  -0.34              0.73  -0.38
        novelty 0                     0.77  -0.31              0.64  -0.33
        likelihood 0                  0.90  -0.40              0.73  -0.39
        likelihood 1                  0.86  -0.31              0.72  -0.34
    """

    likelihood: float = 0.3
    novelty: float = 1.5
    fit: float = 0.5
    content: float = 0.3


def score(
    draft: Draft, room: Room, history: LineHistory, match_s: float, weights: ChoiceWeights | None = None
) -> float:
    """How good `draft` is, higher is better; `UNSAYABLE` when all of it was said before or its opener says it.

    Likelihood: the model's own mean log-probability a token. Novelty: pairs of neighbouring words not heard yet in
    the match. Fit: words against those there is time for. Content: words of its own that carry news.
    """
    weights = weights or ChoiceWeights()
    line = f"{room.opener} {draft.text}".strip()
    if history.said_whole(draft.text, match_s) or history.said_whole(line, match_s):
        return UNSAYABLE
    if repeats_opener(draft.text, room.opener, history.rules):
        return UNSAYABLE
    return (
        weights.likelihood * draft.logprob / max(1, draft.tokens)
        + weights.novelty * history.new_share(line)
        + weights.fit * _fit(draft.text, room)
        + weights.content * _content(draft.text, history.rules)
    )


def repeats_opener(text: str, opener: str, rules: TextRules) -> bool:
    """Whether `text` says a word of the opener again: "Goal! Messi!" and then "Messi scores". Small words may come."""
    return bool(rules.telling(text) & rules.telling(opener))


def _fit(text: str, room: Room) -> float:
    """1 within the room, falling to 0 at twice as many words."""
    words = len(text.split())
    return 1.0 if words <= room.words else max(0.0, 2.0 - words / max(1, room.words))


def _content(text: str, rules: TextRules) -> float:
    return min(1.0, len(rules.telling(text)) / _TELLING_WORDS)
