"""Words that stand beside a score or a count, by what they make of it."""

from __future__ import annotations

TRAILING = frozenset({"trail", "trails", "trailing", "behind", "down", "are behind", "is behind", "losing"})
AHEAD = frozenset(
    {"up", "ahead", "lead", "leads", "leading", "clear", "take", "takes", "have", "has", "in front", "are up", "is up"}
)
WINNING = frozenset(
    ["win", "wins", "won", "victory", "beat", "beats", "winners", "victorious", "triumph", "prevail"]
) | {"win it", "wins it", "have won", "have won it", "a victory", "the winners", "the victory", "win the match"}
BEATING = frozenset({"beat", "beats"})
ON_PENALTIES = frozenset(
    ["on penalties", "shoot out", "the shoot out", "penalties", "win on penalties", "win it on penalties", "shootout"]
) | frozenset(["wins on penalties", "have won it on penalties", "won on penalties", "win the shoot out"])
BEFORE_PENALTIES = frozenset({"after extra time", "in extra time"})
MAKING = frozenset({"makes it", "make it", "that makes it", "makes that", "it is", "it is now", "that is"})
AFTER_SINGLE = frozenset({"and", "now", "for", "from", "in", "as", "here"})
