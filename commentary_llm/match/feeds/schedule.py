"""When the events of a recording come: laid out in stream time, and at what pace they are handed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from commentary_llm.ground.errors import ConfigError
from commentary_llm.match import MatchEvent

# Kick-off of the next period follows the last event of the one before by this much, where nothing better is known.
BREAK_S = 10.0


@dataclass(frozen=True)
class Pace:
    """How fast a replay goes from one event to the next: `factor` times real time, or None for as fast as it can.

    Only the waiting is shortened. Work takes the time it takes, so latencies and what is dropped stay true; at 1x the
    replay is indistinguishable from live.
    """

    factor: float | None

    @classmethod
    def parse(cls, text: str) -> Pace:
        """Reads "max", "1x" … "60x", or "2.5". Raises ConfigError."""
        word = text.strip().lower()
        if word == "max":
            return cls(None)
        try:
            factor = float(word.removesuffix("x"))
        except ValueError:
            factor = 0.0
        if not 0.1 <= factor <= 1000:
            raise ConfigError(f"speed {text!r}: expected 'max' or a factor from 0.1x to 1000x, such as '1x' or '60x'")
        return cls(factor)

    def __str__(self) -> str:
        return "max" if self.factor is None else f"{self.factor:g}x"


class StreamTimes:
    """Places events in stream time: each period's kick-off plus the seconds elapsed in it.

    `period_starts_s` holds the kick-offs in the stream (of a recording: in its audio).
    """

    def __init__(self, period_starts_s: Mapping[int, float]) -> None:
        self.period_starts_s = dict(sorted(period_starts_s.items()))

    @classmethod
    def lay_out(cls, events: list[MatchEvent], kickoffs_s: Mapping[int, float] | None = None) -> StreamTimes:
        """Periods end to end with a short break between, save those whose kick-off is given in `kickoffs_s`.

        Raises ConfigError if a given kick-off lies before the end of the period before it.
        """
        given = dict(kickoffs_s or {})
        lengths: dict[int, float] = {}
        for event in events:
            lengths[event.period] = max(lengths.get(event.period, 0.0), event.elapsed_s)
        starts: dict[int, float] = {}
        free_s = 0.0
        for period in sorted(lengths):
            start_s = given.get(period, free_s)
            if period in given and starts and start_s < free_s - BREAK_S:
                raise ConfigError(
                    f"kick-off of period {period} at {start_s:g} s: the period before it lasts until "
                    f"{free_s - BREAK_S:g} s; give a later time"
                )
            starts[period] = start_s
            free_s = start_s + lengths[period] + BREAK_S
        return cls(starts)

    def __call__(self, event: MatchEvent) -> float:
        return self.period_starts_s[event.period] + event.elapsed_s
