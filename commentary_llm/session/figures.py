"""Figures of a match computed from its records, and how they are written."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypedDict

import numpy as np

from commentary_llm.ground.metrics import Metrics
from commentary_llm.session.record import BranchFigures, CueRecord, Stage

# Keys of `CueRecord.timings_ms` measured from the moment the event was accepted (`on_air`: from when it happened).
TOTALS = ("first_audible", "on_air", "text_done", "last_sample")


# Sound later than this after the picture is noticed (ITU-R BT.1359); the engine's goal for the first audible sample.
TARGET_MS = 125.0


# (said, heard) -> (errors, words said)
WordErrors = Callable[[str, str], tuple[int, int]]


class RecordFigures(TypedDict):
    """The fields of `ReplaySummary` that follow from the records alone: `ReplaySummary(**summarise(records), …)`."""

    cues: int
    spoken: int
    dropped: dict[str, int]
    refusals: dict[str, int]
    model_share: float
    percentiles_ms: dict[str, dict[str, float]]
    word_error: float | None


def is_spoken(record: CueRecord) -> bool:
    """Whether anything of the cue was heard; a line that was cut off counts."""
    return record.dropped is None and bool(record.text.strip())


def percentiles(values: Iterable[float | None]) -> dict[str, float]:
    """p50, p90, p99 (linear interpolation), max and count of the finite values; only `{"count": 0}` without any."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return {"count": 0.0}
    p50, p90, p99 = np.percentile(np.asarray(finite, dtype=np.float64), (50, 90, 99))
    return {"p50": float(p50), "p90": float(p90), "p99": float(p99), "max": max(finite), "count": float(len(finite))}


def summarise(records: Sequence[CueRecord], word_errors: WordErrors | None = None) -> RecordFigures:
    """Computes what a `ReplaySummary` says of the cues.

    Percentiles are over spoken cues, one entry for each stage and total that was measured at all. `word_errors`
    (as in `asr_tts.recognizer.word_error`) gets every announcement whose words are known; the word error is that of
    all their words together, None without the function or without announcements.
    """
    spoken = [record for record in records if is_spoken(record)]
    by_stage: dict[str, dict[str, float]] = {}
    for name in (*(stage.value for stage in Stage), *TOTALS):
        figures = percentiles(record.timings_ms.get(name) for record in spoken)
        if figures["count"]:
            by_stage[name] = figures
    announced = [record for record in records if record.announced.strip()]
    rate = None
    if word_errors is not None and announced:
        counted = [word_errors(record.announced, record.heard) for record in announced]
        rate = sum(errors for errors, _ in counted) / max(1, sum(words for _, words in counted))
    return RecordFigures(
        cues=len(records),
        spoken=len(spoken),
        dropped=_counts(record.dropped for record in records if record.dropped is not None),
        refusals=_counts(refusal.cause for record in records for refusal in record.refusals),
        model_share=sum(record.source == "model" for record in spoken) / len(spoken) if spoken else 0.0,
        percentiles_ms=by_stage,
        word_error=rate,
    )


def branch_figures(metrics: Metrics, records: Iterable[CueRecord]) -> BranchFigures:
    """What became of the branches: work from the engine's counters, what was heard from the records."""
    counts, wasted = metrics.of("branches"), metrics.of("branches_wasted")
    heard = [record for record in records if record.branch is not None and is_spoken(record)]
    settled = counts.get("settled", 0)
    return BranchFigures(
        build_ups=counts.get("build_ups", 0),
        prepared=counts.get("prepared", 0),
        settled=settled,
        heard=len(heard),
        refused=counts.get("refused", 0),
        hit_rate=round(len(heard) / settled, 4) if settled else None,
        wrong_heard=sum(record.branch not in (record.event_type, record.event_detail) for record in heard),
        wasted_tokens=wasted.get("tokens", 0),
        wasted_speech_s=round(wasted.get("speech_ms", 0) / 1e3, 3),
    )


def _counts(causes: Iterable[str]) -> dict[str, int]:
    """Occurrences by cause, most frequent first, then by name."""
    return dict(sorted(Counter(causes).items(), key=lambda item: (-item[1], item[0])))


def branches_line(branches: BranchFigures) -> str:
    """ "8 of 12 outcomes heard as prepared, 0 wrong; 310 tokens and 14.2 s of speech thrown away"."""
    return (
        f"{branches.heard} of {branches.settled} outcomes heard as prepared, {branches.wrong_heard} wrong; "
        f"{branches.wasted_tokens} tokens and {branches.wasted_speech_s:.1f} s of speech thrown away"
    )


def milliseconds(value: float | None) -> str:
    """ "0.42 ms", "38 ms", "1.24 s"; an en dash for what was not measured."""
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) >= 999.5:
        return f"{value / 1000:.2f} s"
    if abs(value) >= 9.95:
        return f"{value:.0f} ms"
    return f"{value:.1f} ms" if abs(value) >= 0.995 else f"{value:.2g} ms"


def percent(value: float | None) -> str:
    """0.934 as "93 %", shares under a tenth with one decimal; an en dash for what is unknown."""
    if value is None or not math.isfinite(value) or abs(value) > 1e6:
        return "–"
    return f"{100 * value:.0f} %" if value == 0 or abs(value) >= 0.1 else f"{100 * value:.1f} %"


def decimal(value: float | None, digits: int = 1) -> str:
    """Fixed decimals with a true minus sign; an en dash for what is unknown or infinite."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", "−")


def clock(value_s: float | None) -> str:
    """Seconds as "2:05" or "1:02:05"; an en dash for what is unknown."""
    if value_s is None or not math.isfinite(value_s):
        return "–"
    minutes, seconds = divmod(round(max(value_s, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
