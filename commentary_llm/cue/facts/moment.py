"""Where and when: flags of the place on the pitch and of the clock."""

from __future__ import annotations

import math
import re

from commentary_llm.cue.facts.draft import Draft
from commentary_llm.cue.facts.match_time import minute_of
from commentary_llm.match import EventType, MatchEvent

_PITCH_M = (105.0, 68.0)
_NOTED_IN_AREA = re.compile(r"\b(inside|in) (the |his |their )?(own )?(penalty area|box)\b", re.IGNORECASE)


def _in_own_area(event: MatchEvent) -> bool:
    """By its place, or by the tracker's note where it has none."""
    if event.x is None or event.y is None:
        return _NOTED_IN_AREA.search(event.note or "") is not None
    return event.x * _PITCH_M[0] <= 16.5 and abs(event.y - 0.5) * _PITCH_M[1] <= 20.16


def in_final_third(event: MatchEvent) -> bool:
    """Whether its place is known and lies in the third before the goal that the side attacks."""
    return event.x is not None and event.y is not None and event.x >= 2 / 3


def add_place(draft: Draft) -> None:
    """Flags of the place, from x and y; "left" and "right" as the attacking side sees them."""
    event, flags = draft.event, draft.flags
    if event.type is EventType.FOUL:
        flags.add("penalty_foul" if _in_own_area(event) else "free_kick_foul")
        if "penalty_foul" in flags:  # a penalty is to come: nobody has a free kick
            draft.roles.pop("side_fk", None)
    if event.x is None or event.y is None:
        return
    to_goal_m = math.hypot((1 - event.x) * _PITCH_M[0], (event.y - 0.5) * _PITCH_M[1])
    wide_m = abs(event.y - 0.5) * _PITCH_M[1]
    depth_m = (1 - event.x) * _PITCH_M[0]
    in_box = depth_m <= 16.5 and wide_m <= 20.16
    if in_box:
        flags.add("in_box")
    elif depth_m <= 21.5 and wide_m <= 16:
        flags.add("edge_of_box")
    if not in_box and to_goal_m >= 22 and event.x > 0.5:
        flags.add("long_range")
    if to_goal_m <= 8:
        flags.add("close_range")
    if in_final_third(event):
        flags.add("final_third")
    flags.add("own_half" if event.x < 0.5 else "opposing_half")
    if 0.35 <= event.x <= 0.65:
        flags.add("midfield")
    if event.y <= 0.25:
        flags.add("left_side")
    elif event.y >= 0.75:
        flags.add("right_side")
    elif 0.35 <= event.y <= 0.65:
        flags.add("central")


def add_time(draft: Draft) -> None:
    event, flags = draft.event, draft.flags
    period = event.period
    flags.add({1: "first_half", 2: "second_half", 3: "extra_first", 4: "extra_second", 5: "shootout"}[period])
    if period in (3, 4):
        flags.add("extra_time")
    minute, added = minute_of(event)
    if added:
        flags.add("stoppage_time")
    if period == 1 and event.type is not EventType.PERIOD_END and (minute >= 43 or added):
        flags.add("before_break")
    if period <= 2 and 17 * 60 <= event.elapsed_s <= 28 * 60:
        flags.add("midway")
    if event.type is EventType.MATCH_END:
        flags.add("match_over")
        if period >= 3:
            flags.add("after_extra")
    if period == 5:
        flags.add("after_extra")
        if event.type is EventType.PERIOD_START:
            flags.add("shootout_start")
        if event.type is EventType.PERIOD_END:
            flags.add("shootout_end")
        return
    if event.elapsed_s < 600:
        flags.add("early_in_period")
        if period == 1:
            flags.add("early")
    if (period == 2 and minute >= 80) or (period == 4 and minute >= 113):
        flags.add("late")
    if added and period in (2, 4):
        flags.add("stoppage_late")
    if (period == 2 and minute >= 87) or (period == 4 and minute >= 117):
        flags.add("closing")
    if event.type is EventType.PERIOD_START:
        flags |= {"starts", {1: "kick_off", 2: "restart", 3: "extra_start", 4: "extra_restart"}[period]}
    if event.type is EventType.PERIOD_END:
        flags.add({1: "half_time", 2: "full_time", 3: "extra_half_time", 4: "extra_end"}[period])
        if period == 4:
            flags.add("after_extra")
    if event.type is EventType.MATCH_END and period <= 2:
        flags.add("full_time")
