"""What was said and when, in match time: nothing is said twice within fifteen match minutes."""

from __future__ import annotations

from collections import deque

from commentary_llm.script.clauses import ClauseSplitter
from commentary_llm.script.tokens import normalize_line

REPEAT_WINDOW_S = 15 * 60.0
# "Goal!" or "Corner, Argentina." may come back; a sentence may not.
_MIN_CLAUSE_WORDS = 4


class LineHistory:
    """Lines said, by match seconds (see `facts.match_seconds`). Shared by gate and templates; one per match."""

    def __init__(self, window_s: float = REPEAT_WINDOW_S) -> None:
        self._window_s = window_s
        self._lines: deque[tuple[float, str]] = deque(maxlen=4096)
        self._said_at: dict[str, float] = {}

    def add(self, line: str, match_s: float) -> None:
        """Remembers `line` and its longer clauses as said at `match_s`."""
        self._lines.append((match_s, line))
        splitter = ClauseSplitter()
        for text in {line, *splitter.push(line), *splitter.flush()}:
            self._said_at[normalize_line(text)] = match_s
        if len(self._said_at) > 8192:
            self._said_at = {text: at for text, at in self._said_at.items() if match_s - at < self._window_s}

    def said(self, text: str, match_s: float) -> bool:
        """Whether `text` (four words or more) was said less than the window before `match_s`."""
        normal = normalize_line(text)
        if len(normal.split()) < _MIN_CLAUSE_WORDS:
            return False
        at = self._said_at.get(normal)
        return at is not None and abs(match_s - at) < self._window_s

    def said_whole(self, line: str, match_s: float) -> bool:
        """Whether `line`, of any length, was said less than the window before `match_s`."""
        at = self._said_at.get(normalize_line(line))
        return at is not None and abs(match_s - at) < self._window_s

    def last(self, count: int) -> list[str]:
        """The last `count` lines, oldest first."""
        return [line for _, line in list(self._lines)[-count:]] if count else []
