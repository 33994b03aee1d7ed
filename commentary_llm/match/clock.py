"""Match time: the pair (period, seconds since that period's kick-off), and how football writes it.

Commentators count minutes from one: 0:00-0:59 is the 1st minute. Time past the regulation length of a period is
stoppage time, written "45+2", "90+4", "105+1", "120+3". A clock reading ("23:10", "45+2:30") counts from zero, as a
stadium clock does: "23:10" falls in the 24th minute, "45+2:30" is 47:30 on the first half's clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from commentary_llm.ground.errors import InputError

FIRST_PERIOD, SHOOTOUT_PERIOD = 1, 5
# Minutes already played at the kick-off of each period, and the minute its regulation time ends with.
PERIOD_START_MIN = {1: 0, 2: 45, 3: 90, 4: 105, 5: 120}
PERIOD_LIMIT_MIN = {1: 45, 2: 90, 3: 105, 4: 120}
SHOOTOUT_LABEL = "pens"

_PERIOD_BY_LIMIT = {limit: period for period, limit in PERIOD_LIMIT_MIN.items()}
_CLOCK = re.compile(r"(?P<minute>\d{1,3})(?:\+(?P<added>\d{1,2}))?(?::(?P<second>[0-5]\d(?:\.\d+)?))?'?")
_HINT = 'write it like "23", "23:10", "90+4" or "45+2:30"'


@dataclass(frozen=True, order=True)
class MatchTime:
    """A moment of a match; ordered by period, then by time within it.

    `period`: 1 and 2 the halves, 3 and 4 extra time, 5 the shoot-out. `elapsed_s`: seconds since its kick-off, >= 0.
    """

    period: int
    elapsed_s: float

    def __post_init__(self) -> None:
        if self.period not in PERIOD_START_MIN:
            raise InputError(f"period {self.period!r} does not exist; expected 1 to 5 (5 is the shoot-out)")
        if not self.elapsed_s >= 0:  # also catches NaN
            raise InputError(f"elapsed_s {self.elapsed_s!r} in period {self.period} is not a time >= 0")

    @property
    def _running_minute(self) -> int:
        return PERIOD_START_MIN[self.period] + int(self.elapsed_s // 60) + 1

    @property
    def minute(self) -> int:
        """Football minute from 1, held at 45, 90, 105 or 120 in stoppage time; 120 all through a shoot-out."""
        if self.period == SHOOTOUT_PERIOD:
            return PERIOD_START_MIN[SHOOTOUT_PERIOD]
        return min(self._running_minute, PERIOD_LIMIT_MIN[self.period])

    @property
    def added(self) -> int:
        """Minutes past 45, 90, 105 or 120; 0 in regulation time."""
        return 0 if self.period == SHOOTOUT_PERIOD else self._running_minute - self.minute

    @property
    def label(self) -> str:
        """`"23"`, `"90+4"`, or `"pens"`."""
        if self.period == SHOOTOUT_PERIOD:
            return SHOOTOUT_LABEL
        return f"{self.minute}+{self.added}" if self.added else str(self.minute)

    def __str__(self) -> str:
        return self.label

    @classmethod
    def parse(cls, text: str, period: int | None = None) -> MatchTime:
        """Reads "23", "23:10", "90+4" or "45+2:30"; a minute without seconds means its start.

        `period` is inferred where it is not given: a stoppage minute names its period, and any other minute belongs
        to the period whose regulation time holds it. A clock reading that falls on the boundary ("45:00") is the
        kick-off of the later period; past 120 and in a shoot-out the period has to be given.

        Raises InputError for anything else, and for a minute that the given period cannot hold.
        """
        match = _CLOCK.fullmatch(text.strip())
        if match is None:
            raise InputError(f"clock {text!r} is not a match time; {_HINT}")
        minute = int(match["minute"])
        reading = match["second"] is not None
        second = float(match["second"] or 0)
        if match["added"] is not None:
            if minute not in _PERIOD_BY_LIMIT:
                raise InputError(f"clock {text!r}: stoppage time follows minute 45, 90, 105 or 120, not {minute}")
            inferred = _PERIOD_BY_LIMIT[minute]
            if period not in (None, inferred):
                raise InputError(f"clock {text!r} is in period {inferred}, but period {period} is given")
            added = int(match["added"])
            if not reading and added == 0:
                raise InputError(f'clock {text!r}: stoppage minutes count from one, as in "{minute}+1"')
            whole = minute + added - (0 if reading else 1)
            return cls(inferred, (whole - PERIOD_START_MIN[inferred]) * 60 + second)
        if not reading and minute == 0:
            raise InputError(f'clock {text!r}: minutes count from one; {_HINT} ("0:00" is the kick-off)')
        whole = minute if reading else minute - 1
        if period is None:
            held = [p for p, limit in PERIOD_LIMIT_MIN.items() if PERIOD_START_MIN[p] <= whole < limit]
            if not held:
                raise InputError(f"clock {text!r} is past minute 120; give the period as well")
            period = held[0]
        if period not in PERIOD_START_MIN:
            raise InputError(f"period {period!r} does not exist; expected 1 to 5 (5 is the shoot-out)")
        elapsed_s = (whole - PERIOD_START_MIN[period]) * 60 + second
        if elapsed_s < 0:
            raise InputError(
                f"clock {text!r} is before the kick-off of period {period}, at minute {PERIOD_START_MIN[period]}"
            )
        return cls(period, elapsed_s)
