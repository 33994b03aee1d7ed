"""Geometry of the latency charts: a stacked bar for each spoken cue, the stages' medians, the range of totals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from commentary_llm.report.timeline import SHOOT_OUT
from commentary_llm.session.figures import TARGET_MS, is_spoken, milliseconds, percentiles
from commentary_llm.session.record import CueRecord, Stage

STAGE_NAMES = {
    Stage.OPENER: "Opener",
    Stage.QUEUE: "Queue",
    Stage.PROMPT: "Prompt",
    Stage.FIRST_TOKEN: "First token",
    Stage.TEXT: "Checked text",
    Stage.SPEECH: "Speech",
    Stage.AUDIBLE: "Audible",
    Stage.REST: "Rest of the line",
}
TOTAL_NAMES = {
    "first_audible": "Event to first audible sample",
    "on_air": "Event to the moment it is heard",
    "text_done": "Event to finished text",
    "last_sample": "Event to last sample",
}

LABEL_WIDTH = 64.0
PLOT_WIDTH = 900.0
VALUE_WIDTH = 76.0
CHART_WIDTH = LABEL_WIDTH + PLOT_WIDTH + VALUE_WIDTH


@dataclass(frozen=True)
class Mark:
    """A grid line."""

    label: str
    x: float


@dataclass(frozen=True)
class Segment:
    stage: int  # index into Stage
    x: float
    width: float


@dataclass(frozen=True)
class Bar:
    index: int  # the record's
    y: float
    label: str
    value: str  # event to first audible sample
    title: str
    segments: tuple[Segment, ...]
    audible_x: float | None  # where the first audible sample came, where it lies on the scale
    clipped: bool  # the bar goes on beyond the scale


@dataclass(frozen=True)
class CueChart:
    height: float
    row_height: float
    bar_height: float
    labelled: bool
    marks: tuple[Mark, ...]
    target_x: float | None
    bars: tuple[Bar, ...]
    clipped: int


@dataclass(frozen=True)
class Step:
    stage: int
    name: str
    x: float  # 0 … 100
    width: float
    value: str
    after: str  # since the event was accepted


@dataclass(frozen=True)
class MedianChart:
    steps: tuple[Step, ...]
    target_x: float | None


@dataclass(frozen=True)
class RangeRow:
    name: str
    points: tuple[tuple[str, float, str], ...]  # percentile, x in 0 … 100 (log scale), value


@dataclass(frozen=True)
class RangeChart:
    rows: tuple[RangeRow, ...]
    marks: tuple[Mark, ...]
    target_x: float


def timing(record: CueRecord, name: str) -> float | None:
    """A finite, not negative timing in ms, or None."""
    value = record.timings_ms.get(name)
    return value if value is not None and math.isfinite(value) and value >= 0 else None


def stage_line(record: CueRecord) -> str:
    """The stages of one cue in a line: "queue 0.4 ms, prompt 1.2 ms, …"."""
    parts = [
        f"{STAGE_NAMES[stage].lower()} {milliseconds(value)}"
        for stage in Stage
        if (value := timing(record, stage.value)) is not None
    ]
    return ", ".join(parts)


def nice_step(top: float, most: int) -> float:
    """The least step of 1, 2 or 5 times a power of ten that covers `top` in at most `most` steps."""
    power = 10.0 ** math.floor(math.log10(top / most))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * most >= top * (1 - 1e-9))


def build_cue_chart(records: Sequence[CueRecord]) -> CueChart | None:
    """A bar for each spoken cue with timings, in the order of `records`; None without any.

    The scale follows the first audible sample, which is what counts; longer bars (a long line takes seconds to be
    spoken) run out of it on the right.
    """
    rows = [
        (index, record)
        for index, record in enumerate(records)
        if is_spoken(record) and any(timing(record, stage.value) is not None for stage in Stage)
    ]
    if not rows:
        return None
    ends = [sum(timing(record, stage.value) or 0.0 for stage in Stage) for _, record in rows]
    audible = percentiles(timing(record, "first_audible") for _, record in rows)
    limit = min(max(ends), max(2 * TARGET_MS, 1.6 * audible.get("p99", math.inf)))
    step = nice_step(max(limit, 1.0), 8)
    top = step * math.ceil(max(limit, 1.0) / step - 1e-9)
    scale = PLOT_WIDTH / top
    row_height = 16.0 if len(rows) <= 250 else 6.0 if len(rows) <= 1000 else 3.0
    bar_height = row_height - (5.0 if row_height > 10 else 1.0)
    bars = tuple(
        _bar(index, record, number * row_height, scale, end > top * (1 + 1e-9))
        for number, ((index, record), end) in enumerate(zip(rows, ends, strict=True))
    )
    return CueChart(
        height=len(rows) * row_height,
        row_height=row_height,
        bar_height=bar_height,
        labelled=row_height > 10,
        marks=tuple(
            Mark(_axis_label(position * step), LABEL_WIDTH + position * step * scale)
            for position in range(round(top / step) + 1)
        ),
        target_x=LABEL_WIDTH + TARGET_MS * scale if top >= TARGET_MS else None,
        bars=bars,
        clipped=sum(bar.clipped for bar in bars),
    )


def _bar(index: int, record: CueRecord, y: float, scale: float, clipped: bool) -> Bar:
    segments: list[Segment] = []
    x = 0.0
    for number, stage in enumerate(Stage):
        width = min((timing(record, stage.value) or 0.0) * scale, PLOT_WIDTH - x)
        if width >= 0.05:
            segments.append(Segment(number, LABEL_WIDTH + x, width))
        x += width
    first = timing(record, "first_audible")
    value = milliseconds(first)
    return Bar(
        index=index,
        y=y,
        label=minute_label(record),
        value=value,
        title=f"{minute_label(record)} {event_name(record.event_type)}: first sound {value}",
        segments=tuple(segments),
        audible_x=LABEL_WIDTH + first * scale if first is not None and first * scale <= PLOT_WIDTH else None,
        clipped=clipped,
    )


def build_median_chart(percentiles_ms: Mapping[str, Mapping[str, float]]) -> MedianChart | None:
    """The stages' medians, each bar beginning where the one before ended; None without any."""
    medians = [
        (number, stage, value)
        for number, stage in enumerate(Stage)
        if math.isfinite(value := percentiles_ms.get(stage.value, {}).get("p50", math.nan))
    ]
    total = sum(value for _, _, value in medians)
    if total <= 0:
        return None
    steps: list[Step] = []
    done = 0.0
    for number, stage, value in medians:
        after = milliseconds(done + value)
        steps.append(
            Step(number, STAGE_NAMES[stage], 100 * done / total, 100 * value / total, milliseconds(value), after)
        )
        done += value
    return MedianChart(tuple(steps), 100 * TARGET_MS / total if total >= TARGET_MS else None)


def build_range_chart(percentiles_ms: Mapping[str, Mapping[str, float]]) -> RangeChart | None:
    """p50 … max of the totals on a common log scale with the target on it; None without any."""
    found = {
        name: {
            key: value
            for key in ("p50", "p90", "p99", "max")
            if math.isfinite(value := percentiles_ms.get(name, {}).get(key, math.nan)) and value > 0
        }
        for name in TOTAL_NAMES
    }
    found = {name: values for name, values in found.items() if values}
    if not found:
        return None
    values = [value for figures in found.values() for value in figures.values()]
    # 1-2-5 steps; the scale starts a little below the least value, so that nothing sits on the edge.
    ticks = [factor * 10.0**power for power in range(-4, 10) for factor in (1, 2, 5)]
    low = max(tick for tick in ticks if tick <= max(min(*values, TARGET_MS), 2e-4) / 2)
    high = min(tick for tick in ticks if tick >= min(max(*values, TARGET_MS), 1e9))

    def place(value: float) -> float:
        return 100 * min(max(math.log(value / low) / math.log(high / low), 0.0), 1.0)

    return RangeChart(
        rows=tuple(
            RangeRow(
                TOTAL_NAMES[name], tuple((key, place(value), milliseconds(value)) for key, value in figures.items())
            )
            for name, figures in found.items()
        ),
        marks=tuple(Mark(_axis_label(tick), place(tick)) for tick in ticks if low <= tick <= high),
        target_x=place(TARGET_MS),
    )


def _axis_label(value_ms: float) -> str:
    return f"{value_ms / 1000:g} s" if value_ms >= 1000 else f"{value_ms:g} ms"


def minute_label(record: CueRecord) -> str:
    """ "90+4" as "90+4′"; "Pens" in a shoot-out, where no clock runs; anything that is no minute as it is."""
    if record.period == SHOOT_OUT:
        return "Pens"
    minute = record.minute.strip().rstrip("'′")
    return f"{minute}′" if minute[-1:].isdigit() else minute


def event_name(event_type: str) -> str:
    """ "penalty_awarded" as "Penalty awarded"."""
    named = {"var_review": "VAR review", "var_decision": "VAR decision"}.get(event_type)
    return named or event_type.replace("_", " ").capitalize()
