"""What was said and when, in match time: no sentence comes twice, and worn phrases can be told from new ones."""

from __future__ import annotations

from collections import deque

from commentary_llm.cue.wording import Bigram, TextRules, bigrams, clauses_of, without_opener

REPEAT_WINDOW_S = 15 * 60.0
WHOLE_MATCH_S = float("inf")
# "Goal!" or "Corner, Argentina." may come back; a sentence may not.
_MIN_CLAUSE_WORDS = 4
_LINES_KEPT = 64  # of those asked for with `last`


class LineHistory:
    """Lines said, by match seconds (see `facts.match_seconds`). Shared by gate, templates and choice; one per match.

    Nothing is said again for `window_s` of match time. A line may begin with an opener, which comes back on purpose:
    only what follows it counts as said.
    """

    def __init__(self, rules: TextRules, window_s: float = REPEAT_WINDOW_S) -> None:
        """`rules`: of the language that the lines are in."""
        self.rules = rules
        self._window_s = window_s
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._said_at: dict[tuple[str, ...], float] = {}
        self._bigrams: set[Bigram] = set()

    def add(self, line: str, match_s: float, opener: str = "") -> None:
        """Remembers `line` as said at `match_s`, and its clauses; `opener` are the prepared words it begins with."""
        self._lines.append(line)
        own = without_opener(line, opener)
        for text in {line, own, *clauses_of(own, self.rules)} - {opener, ""}:
            self._said_at[self.rules.words(text)] = match_s
        self._bigrams.update(bigrams(self.rules.words(line)))

    def said(self, text: str, match_s: float) -> bool:
        """Whether `text` (four words or more) was said less than the window before `match_s`."""
        return len(self.rules.words(text)) >= _MIN_CLAUSE_WORDS and self.said_whole(text, match_s)

    def said_whole(self, line: str, match_s: float) -> bool:
        """Whether `line`, of any length, was said less than the window before `match_s`."""
        at = self._said_at.get(self.rules.words(line))
        return at is not None and abs(match_s - at) < self._window_s

    def new_share(self, text: str) -> float:
        """Share in [0, 1] of the pairs of neighbouring words of `text` that were not said yet; 1 for a single word."""
        pairs = bigrams(self.rules.words(text))
        return len(set(pairs) - self._bigrams) / len(pairs) if pairs else 1.0

    def last(self, count: int) -> list[str]:
        """The last `count` lines (at most 64), oldest first."""
        return list(self._lines)[-count:] if count else []
