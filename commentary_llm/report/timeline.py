"""Geometry of the match timeline: periods to scale, key moments, the score, one tick for each cue.

    [ home's goals, cards, substitutions  ]
    [ cue ticks, coloured by source       ]
    [ away's goals, cards, substitutions  ]
    [ score as two step lines             ]

Units are those of the SVG's view box, about CSS pixels on a wide screen.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from commentary_llm.session.record import CueRecord

WIDTH = 1160.0
MARGIN = 10.0
GAP = 12.0  # between periods
KICK_PITCH = 26.0  # shoot-out kicks stand side by side, not on a time scale

PERIOD_NAMES = {1: "First half", 2: "Second half", 3: "Extra time 1", 4: "Extra time 2", 5: "Shoot-out"}
_KICK_OFF_MINUTE = {1: 0, 2: 45, 3: 90, 4: 105, 5: 120}
_NOMINAL_S = {1: 2700.0, 2: 2700.0, 3: 900.0, 4: 900.0}
SHOOT_OUT = 5

_ICON_SIZE = 20.0
_LANE_LEVELS = 3  # icons nearer than their width are stacked so high, then may overlap
LANE_HEIGHT = _LANE_LEVELS * _ICON_SIZE + 18  # the team's name beside them
HEADER_HEIGHT = 30.0
TICKS_HEIGHT = 44.0
AXIS_HEIGHT = 20.0
SCORE_HEIGHT = 64.0

_HOME_Y = HEADER_HEIGHT
_TICKS_Y = _HOME_Y + LANE_HEIGHT
_AXIS_Y = _TICKS_Y + TICKS_HEIGHT
_AWAY_Y = _AXIS_Y + AXIS_HEIGHT
_SCORE_Y = _AWAY_Y + LANE_HEIGHT + 18
HEIGHT = _SCORE_Y + SCORE_HEIGHT + 14

_MINUTE = re.compile(r"(\d+)(?:\s*\+\s*(\d+))?")
_SCORE = re.compile(r"(\d+)\s*[-–:]\s*(\d+)")


@dataclass(frozen=True)
class PeriodBox:
    name: str
    x: float
    width: float


@dataclass(frozen=True)
class MinuteMark:
    label: str
    x: float


@dataclass(frozen=True)
class Icon:
    symbol: str  # id of the symbol in the page
    x: float  # centre
    y: float
    index: int  # the record's
    title: str


@dataclass(frozen=True)
class Tick:
    x: float
    y: float
    height: float
    index: int


@dataclass(frozen=True)
class ScoreStep:
    x: float
    y: float
    label: str
    crowded: bool  # the next goal is so near that the label has to stand on the left


@dataclass(frozen=True)
class ScoreLine:
    side: str  # "home" or "away"
    name: str
    points: str  # of an SVG polyline
    steps: tuple[ScoreStep, ...]  # where it rises


@dataclass(frozen=True)
class Timeline:
    width: float
    height: float
    periods: tuple[PeriodBox, ...]
    minutes: tuple[MinuteMark, ...]
    icons: tuple[Icon, ...]
    ticks: tuple[Tick, ...]
    scores: tuple[ScoreLine, ...]
    axis_y: float
    home_y: float
    away_y: float
    ticks_y: float
    score_y: float


def elapsed_s(record: CueRecord) -> float:
    """Seconds since the period's kick-off: as recorded, else the start of the minute that was shown."""
    if record.elapsed_s is not None and math.isfinite(record.elapsed_s):
        return max(0.0, record.elapsed_s)
    match = _MINUTE.search(record.minute)
    if match is None:
        return 0.0
    minute = int(match[1]) + int(match[2] or 0) - _KICK_OFF_MINUTE.get(record.period, 0) - 1
    return max(0.0, minute * 60.0)


def parse_score(score: str) -> tuple[int, int] | None:
    match = _SCORE.search(score)
    return (int(match[1]), int(match[2])) if match else None


def symbol_of(record: CueRecord) -> str | None:
    """The icon an event gets on the timeline; None for those that only get a tick."""
    kind, detail = record.event_type, record.event_detail or ""
    if kind == "card":
        return {"red": "i-red", "second_yellow": "i-second"}.get(detail, "i-yellow")
    if kind == "shot":
        return "i-miss" if record.period == SHOOT_OUT else None
    return {
        "goal": "i-goal",
        "own_goal": "i-own",
        "substitution": "i-sub",
        "penalty_awarded": "i-pen",
        "var_decision": "i-var",
    }.get(kind)


def build_timeline(records: Sequence[CueRecord], home: str | None, away: str | None, titles: Sequence[str]) -> Timeline:
    """Lays out `records`, given in match order; `titles` are their icons' accessible names."""
    places = _place(records)
    boxes, positions = places
    icons = _icons(records, positions, away, titles)
    return Timeline(
        width=WIDTH,
        height=HEIGHT,
        periods=tuple(PeriodBox(PERIOD_NAMES.get(period, f"Period {period}"), *box) for period, box in boxes.items()),
        minutes=_minutes(records, boxes),
        icons=icons,
        ticks=tuple(
            Tick(x, _AXIS_Y - 4 - height, height, index)
            for index, (record, x) in enumerate(zip(records, positions, strict=True))
            for height in (_TICK_HEIGHTS.get(record.urgency.lower(), 14.0),)
        ),
        scores=_scores(records, positions, boxes, home, away),
        axis_y=_AXIS_Y,
        home_y=_HOME_Y,
        away_y=_AWAY_Y,
        ticks_y=_TICKS_Y,
        score_y=_SCORE_Y,
    )


_TICK_HEIGHTS = {"urgent": 36.0, "key": 27.0, "note": 19.0, "fill": 12.0}


def _duration_s(records: Sequence[CueRecord], period: int) -> float:
    """Length of a period on the scale: as played, at least the regular time."""
    return max([_NOMINAL_S.get(period, 60.0), *(elapsed_s(each) for each in records if each.period == period)])


def _place(records: Sequence[CueRecord]) -> tuple[dict[int, tuple[float, float]], list[float]]:
    """Each period's (x, width), and each record's x."""
    periods = sorted({record.period for record in records})
    kicks = sum(record.period == SHOOT_OUT for record in records)
    room = WIDTH - 2 * MARGIN - GAP * max(0, len(periods) - 1)
    # A shoot-out of many kicks must not squeeze the match: at most a quarter of the width.
    shoot_out = min(max(KICK_PITCH * kicks, 110.0), room / 4) if SHOOT_OUT in periods and len(periods) > 1 else 0.0
    timed = [period for period in periods if period != SHOOT_OUT or not shoot_out]
    lengths = {period: _duration_s(records, period) for period in timed}
    scale = (room - shoot_out) / sum(lengths.values()) if lengths else 0.0
    boxes: dict[int, tuple[float, float]] = {}
    x = MARGIN
    for period in periods:
        width = lengths[period] * scale if period in lengths else shoot_out
        boxes[period] = (x, width)
        x += width + GAP
    positions: list[float] = []
    kick = 0
    for record in records:
        left, width = boxes[record.period]
        if record.period == SHOOT_OUT:
            positions.append(left + width * (kick + 0.5) / kicks)
            kick += 1
        else:
            positions.append(left + width * elapsed_s(record) / lengths[record.period])
    return boxes, positions


def _minutes(records: Sequence[CueRecord], boxes: dict[int, tuple[float, float]]) -> tuple[MinuteMark, ...]:
    marks: list[MinuteMark] = []
    for period, (left, width) in boxes.items():
        if period not in _NOMINAL_S:
            continue
        regular = int(_NOMINAL_S[period] / 60)
        per_minute = width / (_duration_s(records, period) / 60)
        step = 15 if regular > 15 else 5 if per_minute * 5 >= 40 else 15
        first = _KICK_OFF_MINUTE[period]
        marks.extend(
            MinuteMark(f"{first + minute}′", left + minute * per_minute) for minute in range(0, regular, step) if minute
        )
        marks.append(MinuteMark(f"{first + regular}′", left + regular * per_minute))
    return tuple(marks)


def _icons(
    records: Sequence[CueRecord], positions: Sequence[float], away: str | None, titles: Sequence[str]
) -> tuple[Icon, ...]:
    icons: list[Icon] = []
    # For each lane, where the last icon of each level stands.
    taken: dict[bool, list[float]] = {False: [-math.inf] * _LANE_LEVELS, True: [-math.inf] * _LANE_LEVELS}
    for index, (record, x) in enumerate(zip(records, positions, strict=True)):
        symbol = symbol_of(record)
        if symbol is None:
            continue
        below = away is not None and record.team == away
        levels = taken[below]
        free = [level for level in range(_LANE_LEVELS) if x - levels[level] >= _ICON_SIZE]
        level = free[0] if free else min(range(_LANE_LEVELS), key=levels.__getitem__)
        levels[level] = x
        offset = (level + 0.5) * _ICON_SIZE + 2
        icons.append(Icon(symbol, x, _AWAY_Y + offset if below else _TICKS_Y - offset, index, titles[index]))
    return tuple(icons)


def _scores(
    records: Sequence[CueRecord],
    positions: Sequence[float],
    boxes: dict[int, tuple[float, float]],
    home: str | None,
    away: str | None,
) -> tuple[ScoreLine, ...]:
    """Goals of both sides over time; the shoot-out is kept apart from the score and so left out."""
    run = [
        (x, score)
        for record, x in zip(records, positions, strict=True)
        if record.period != SHOOT_OUT and (score := parse_score(record.score)) is not None
    ]
    if not run:
        return ()
    top = max(1, *(goals for _, score in run for goals in score))
    left = min(x for x, _ in boxes.values())
    right = max(x + width for period, (x, width) in boxes.items() if period != SHOOT_OUT)
    lines: list[ScoreLine] = []
    for side, name in enumerate((home or "Home", away or "Away")):
        # Both lines on the same height would hide each other: the home side's is drawn a little higher.
        shift = -2.0 if side == 0 else 2.0

        def height(goals: int, shift: float = shift) -> float:
            return _SCORE_Y + SCORE_HEIGHT - (SCORE_HEIGHT - 8) * goals / top + shift - 2

        goals = 0
        points = [f"{left:.1f},{height(0):.1f}"]
        steps: list[ScoreStep] = []
        for x, score in run:
            if score[side] != goals:
                points += [f"{x:.1f},{height(goals):.1f}", f"{x:.1f},{height(score[side]):.1f}"]
                goals = score[side]
                crowded = any(x < later <= x + 36 and after != score for later, after in run)
                steps.append(ScoreStep(x, height(goals), f"{score[0]}–{score[1]}", crowded))
        points.append(f"{right:.1f},{height(goals):.1f}")
        lines.append(ScoreLine("home" if side == 0 else "away", name, " ".join(points), tuple(steps)))
    return tuple(lines)
