"""The report of a replay: one HTML file that needs nothing beside it but, for listening, the sound."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from commentary_llm.cue.wording import without_opener
from commentary_llm.ends.vtt import plain_text
from commentary_llm.ground.files import write_text_atomically
from commentary_llm.report.timeline import build_timeline, symbol_of
from commentary_llm.report.waterfall import (
    CHART_WIDTH,
    LABEL_WIDTH,
    PLOT_WIDTH,
    STAGE_NAMES,
    TOTAL_NAMES,
    build_cue_chart,
    build_median_chart,
    build_range_chart,
    event_name,
    minute_label,
    stage_line,
    timing,
)
from commentary_llm.report.word_diff import WordDiff, word_diff
from commentary_llm.session.figures import TARGET_MS, clock, decimal, is_spoken, milliseconds, percent
from commentary_llm.session.record import CueRecord, ReplaySummary, Stage

LOUDNESS_LUFS, LOUDNESS_TOLERANCE_LU = -23.0, 1.0  # EBU R128 for a live programme
TRUE_PEAK_DBTP = -1.0

_SOURCES = {"model": "Model", "template": "Template", "opener": "Opener alone", "none": "Not spoken"}
_URGENCIES = ("urgent", "key", "note", "fill")


@dataclass(frozen=True)
class Line:
    """One cue as the list shows it."""

    record: CueRecord
    source: str
    source_name: str
    urgency: str
    minute: str
    score: str
    event: str
    who: str
    spoken: bool
    start_s: float | None  # in the sound; end_s is known where start_s is
    end_s: float | None
    sound: str  # link to the place in the sound; empty when there is none
    first: str  # event to first audible sample
    late: bool  # beyond the target
    stages: str
    opener: str
    rest: str
    icon: str | None


@dataclass(frozen=True)
class Card:
    """A key figure. `state`: "good" or "bad" against its target, "" where there is none."""

    name: str
    value: str
    note: str
    state: str = ""


@dataclass(frozen=True)
class HeardRow:
    index: int
    minute: str
    event: str
    diff: WordDiff
    error: str  # against this announcement; empty when nothing was announced
    state: str


def write_report(
    records: Sequence[CueRecord], summary: ReplaySummary, out: Path, *, audio_name: str | None = "commentary.wav"
) -> None:
    """Writes the report of a replay to `out`; `audio_name` is the sound beside it, None where there is none.

    The file loads nothing from a network and reads without scripts. Raises OutputError as `write_text_atomically`
    does.
    """
    write_text_atomically(out, render_report(records, summary, audio_name=audio_name))


def render_report(
    records: Sequence[CueRecord], summary: ReplaySummary, *, audio_name: str | None = "commentary.wav"
) -> str:
    """The report as HTML; see `write_report`. Cues are shown in match order, whatever the order of `records`."""
    ordered = sorted(records, key=lambda record: (record.period, _finite_or(record.stream_s, math.inf)))
    sound = quote(audio_name) if audio_name else ""
    lines = [_line(record, sound) for record in ordered]
    titles = [f"{line.minute} {line.event}{f', {line.who}' if line.who else ''}, {line.score}" for line in lines]
    heard = _heard_rows(lines)
    style, script = _asset("page.css"), _asset("page.js")
    return (
        _environment()
        .get_template("page.html")
        .render(
            summary=summary,
            title=re.sub(r"(?<=\d)-(?=\d)", "–", summary.title),
            started=_readable_time(summary.started_at),
            lines=lines,
            cards=_cards(ordered, summary),
            timeline=build_timeline(ordered, summary.home, summary.away, titles) if ordered else None,
            icons_used=sorted({symbol for record in ordered if (symbol := symbol_of(record))}),
            chart=build_cue_chart(ordered),
            medians=build_median_chart(summary.percentiles_ms),
            ranges=build_range_chart(summary.percentiles_ms),
            percentile_rows=_percentile_rows(summary),
            stage_names=[STAGE_NAMES[stage] for stage in Stage],
            heard=heard,
            settings=_settings(summary),
            sources=_present([line.source for line in lines], tuple(_SOURCES)),
            source_names=_SOURCES,
            urgencies=_present([line.urgency for line in lines], _URGENCIES),
            sound=sound,
            target_ms=TARGET_MS,
            chart_width=CHART_WIDTH,
            label_width=LABEL_WIDTH,
            plot_width=PLOT_WIDTH,
            style=Markup(style),
            script=Markup(script),
            style_hash=_source_hash(style),
            script_hash=_source_hash(script),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_printable,
    )
    environment.filters.update(ms=milliseconds, percent=percent, n=_coordinate, whole=lambda value: f"{value:,.0f}")
    return environment


# What HTML forbids or a file in UTF-8 cannot hold: controls but white space, lone surrogates, non-characters.
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def _printable(value: Any) -> Any:
    return _FORBIDDEN.sub("", value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _coordinate(value: float) -> str:
    """At most one decimal: a tenth of a pixel is enough, and thousands of them make up the file."""
    return f"{value:.1f}".removesuffix(".0")


def _asset(name: str) -> str:
    return resources.files("commentary_llm.report").joinpath(name).read_text(encoding="utf-8")


def _source_hash(text: str) -> str:
    """As a Content-Security-Policy names an inline script or style, so that no other one runs."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _finite_or(value: float | None, other: float) -> float:
    return value if value is not None and math.isfinite(value) else other


def _readable_time(iso: str) -> str:
    """ "2026-11-22T11:24:50Z" as "22 November 2026, 11:24 UTC"; what is no ISO 8601 time as it is."""
    try:
        time = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", iso))
    except ValueError:
        return iso
    return f"{time.day} {time:%B %Y, %H:%M} {time.tzname() or ''}".strip()


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "none"


def _line(record: CueRecord, sound: str) -> Line:
    spoken = is_spoken(record)
    source = _slug(record.source) if spoken else "none"
    start_s = record.start_s if spoken and record.start_s is not None and math.isfinite(record.start_s) else None
    first = timing(record, "first_audible") if spoken else None
    return Line(
        record=record,
        source=source,
        source_name=_SOURCES.get(source, record.source),
        urgency=_slug(record.urgency),
        minute=minute_label(record),
        score=record.score.replace("-", "–"),
        event=event_name(record.event_type),
        who=", ".join(name for name in (record.player, record.team) if name),
        spoken=spoken,
        start_s=start_s,
        end_s=None if start_s is None else _finite_or(record.end_s, start_s),
        sound=f"{sound}#t={start_s:.2f}" if sound and start_s is not None else "",
        first=milliseconds(first) if first is not None else "",
        late=first is not None and first > TARGET_MS,
        stages=stage_line(record),
        opener=record.opener,
        rest=without_opener(record.text, record.opener),
        icon=symbol_of(record),
    )


def _present(values: Sequence[str], order: Sequence[str]) -> list[tuple[str, int]]:
    """The values that occur with their counts: first those of `order`, then others by name."""
    others = sorted(set(values) - set(order))
    return [(value, values.count(value)) for value in (*order, *others) if value in values]


def _cards(records: Sequence[CueRecord], summary: ReplaySummary) -> list[Card]:
    first = summary.percentiles_ms.get("first_audible", {})
    last = summary.percentiles_ms.get("last_sample", {})
    dropped = sum(summary.dropped.values())
    refused = sum(summary.refusals.values())
    by_model = round(summary.model_share * summary.spoken) if math.isfinite(summary.model_share) else 0
    p99 = first.get("p99")
    over = p99 is not None and p99 > TARGET_MS
    loud = abs(summary.loudness_lufs - LOUDNESS_LUFS) <= LOUDNESS_TOLERANCE_LU
    peak = summary.true_peak_dbtp <= TRUE_PEAK_DBTP
    announcements = sum(bool(record.announced.strip()) for record in records)
    cards = [
        Card("Lines spoken", f"{summary.spoken:,}", f"of {summary.cues:,} cues, {dropped:,} dropped"),
        Card(
            "By the model",
            percent(summary.model_share),
            f"{by_model:,} model, {summary.spoken - by_model:,} template, {refused:,} clauses refused",
        ),
        Card(
            "First sound, median",
            milliseconds(first.get("p50")),
            f"p90 {milliseconds(first.get('p90'))}, max {milliseconds(first.get('max'))}",
        ),
        Card(
            "First sound, p99",
            milliseconds(p99),
            f"target {TARGET_MS:.0f} ms: {'missed' if over else 'met'}" if p99 is not None else "not measured",
            "" if p99 is None else "bad" if over else "good",
        ),
        Card(
            "Last sound, median",
            milliseconds(last.get("p50")),
            f"p90 {milliseconds(last.get('p90'))}, max {milliseconds(last.get('max'))}",
        ),
        Card(
            "Loudness",
            f"{decimal(summary.loudness_lufs)} LUFS",
            f"{'within' if loud else 'outside'} −23 ±1; true peak {decimal(summary.true_peak_dbtp)} dBTP"
            f"{'' if peak else ', above −1'}",
            "good" if loud and peak else "bad",
        )
        if math.isfinite(summary.loudness_lufs)
        else Card("Loudness", "–", "not measured"),
    ]
    if summary.branches is not None and summary.branches.build_ups:
        found = summary.branches
        hits = f"{found.heard} of {found.settled}"
        waste = f"{found.wrong_heard} wrong, {found.wasted_tokens:,} tokens wasted"
        cards.append(Card("Outcomes prepared", hits, waste))
    if summary.word_error is not None:
        noun = "announcement" if announcements == 1 else "announcements"
        cards.append(Card("Word error", percent(summary.word_error), f"heard against {announcements:,} {noun}"))
    cards.append(Card("Sound", clock(summary.audio_s), f"made in {clock(summary.wall_s)} at {summary.speed} speed"))
    return cards


def _percentile_rows(summary: ReplaySummary) -> list[tuple[str, str, bool, list[str], str]]:
    """Name, key, whether it is a total, p50 … max, count. Names this page does not know come last, as they are."""
    names = {stage.value: name for stage, name in STAGE_NAMES.items()} | TOTAL_NAMES
    keys = [*names, *sorted(set(summary.percentiles_ms) - set(names))]
    rows = []
    for key in keys:
        figures = summary.percentiles_ms.get(key)
        if figures:
            values = [milliseconds(figures.get(each)) for each in ("p50", "p90", "p99", "max")]
            count = f"{_finite_or(figures.get('count'), 0):,.0f}"
            rows.append((names.get(key, key.replace("_", " ")), key, key in TOTAL_NAMES, values, count))
    return rows


def _heard_rows(lines: Sequence[Line]) -> list[HeardRow]:
    rows = []
    for index, line in enumerate(lines):
        heard, announced = plain_text(line.record.heard), plain_text(line.record.announced)
        if not heard and not announced:
            continue
        if not announced:
            # Nothing known to compare with, so nothing is wrong either.
            diff = WordDiff(word_diff(heard, heard).heard, ())
            rows.append(HeardRow(index, line.minute, line.event, diff, "", ""))
            continue
        diff = word_diff(heard, announced)
        state = "good" if diff.error == 0 else "bad" if diff.error > 0.25 else "fair"
        rows.append(HeardRow(index, line.minute, line.event, diff, percent(diff.error), state))
    return rows


def _settings(summary: ReplaySummary) -> list[tuple[str, str]]:
    rows = [
        ("Match", summary.match_id),
        ("Language model", summary.backend),
        ("Speech recogniser", summary.recognizer or "none: the recording has no sound to hear"),
        ("Speech synthesiser", summary.synthesizer),
        ("Ranks", str(summary.ranks)),
        ("Speed", summary.speed),
        ("Started", summary.started_at),
        ("Took", clock(summary.wall_s)),
        ("Events", f"{summary.events:,}"),
        ("Duplicate events ignored", f"{summary.duplicates:,}"),
        ("Late events put in place", f"{summary.late:,}"),
        ("Unknown events skipped", f"{summary.skipped_unknown:,}"),
    ]
    return [*rows, *sorted(summary.versions.items())]
