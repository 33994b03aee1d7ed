"""A recorded match: who played, and the events in the order they arrived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from commentary_llm.match.events import MatchEvent, MatchInfo

MAX_LISTED = 20


@dataclass(frozen=True)
class Recording:
    """`skipped` counts, by reason, what the source held that is no event of ours.

    `warnings`: one sentence each on what a listener would notice (a goal left out, a final score other than the
    source states).
    """

    info: MatchInfo
    events: tuple[MatchEvent, ...]
    skipped: Counter[str] = field(default_factory=Counter, compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)


def listed(problems: Sequence[str]) -> str:
    """Problems one a line, the rest counted beyond the first `MAX_LISTED`."""
    lines = [f"  {problem}" for problem in problems[:MAX_LISTED]]
    if len(problems) > MAX_LISTED:
        lines.append(f"  … and {len(problems) - MAX_LISTED} more")
    return "\n".join(lines)
