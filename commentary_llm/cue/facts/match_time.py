"""Match time as commentators count it."""

from __future__ import annotations

from commentary_llm.match import MatchEvent

_PERIOD_OFFSETS_S = {1: 0.0, 2: 2700.0, 3: 5400.0, 4: 6300.0, 5: 7200.0}


def match_seconds(event: MatchEvent) -> float:
    """Match time as one number that grows through the match: regular period starts plus elapsed seconds."""
    return _PERIOD_OFFSETS_S[event.period] + event.elapsed_s


def minute_of(event: MatchEvent) -> tuple[int, int]:
    """The minute as boards show it, (regular, added): 22:10 is (23, 0), 93:30 of the second half (90, 4)."""
    start = int(_PERIOD_OFFSETS_S[event.period] // 60)
    length = 45 if event.period <= 2 else 15
    played = int(event.elapsed_s // 60)
    if event.period == 5:
        return 120, 0
    if played < length:
        return start + played + 1, 0
    return start + length, played - length + 1
