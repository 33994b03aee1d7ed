from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import sample_records, sample_summary
from rich.console import Console

from asr_tts.recognizer.word_error import word_errors
from commentary_llm.ground.metrics import Metrics
from commentary_llm.report.summary import print_summary
from commentary_llm.session.figures import branch_figures, clock, decimal, milliseconds, percent, percentiles, summarise
from commentary_llm.session.record import ReplaySummary


def test_percentiles_without_values_count_nothing() -> None:
    assert percentiles([]) == {"count": 0}
    assert percentiles([None, math.nan, math.inf]) == {"count": 0}


@given(st.lists(st.floats(0, 1e6) | st.none() | st.just(math.nan), min_size=1))
def test_percentiles_are_ordered_and_within_the_values(values: list[float | None]) -> None:
    figures = percentiles(values)
    finite = [value for value in values if value is not None and not math.isnan(value)]
    assert figures["count"] == len(finite)
    if finite:
        slack = 1e-9 * max(finite)
        assert min(finite) - slack <= figures["p50"] <= figures["p90"] + slack <= figures["p99"] + 2 * slack
        assert figures["p99"] <= figures["max"] + slack
        assert figures["max"] == max(finite)
        assert figures["p90"] == pytest.approx(np.percentile(finite, 90))


def test_summarise_counts_what_the_records_hold() -> None:
    records = sample_records()
    figures = summarise(records)
    spoken = [record for record in records if record.dropped is None]
    assert figures["cues"] == 90
    assert figures["spoken"] == len(spoken)
    assert sum(figures["dropped"].values()) == 90 - len(spoken)
    assert sum(figures["refusals"].values()) == sum(len(record.refusals) for record in records)
    assert figures["model_share"] == sum(record.source == "model" for record in spoken) / len(spoken)
    assert list(figures["percentiles_ms"]) == [
        *("queue", "prompt", "first_token", "text", "speech", "audible", "rest"),
        *("first_audible", "text_done", "last_sample"),
    ]
    assert figures["percentiles_ms"]["first_audible"]["count"] == len(spoken)
    assert figures["word_error"] is None


def test_word_error_is_over_the_words_of_every_announcement() -> None:
    blank = sample_records(37)[4].model_copy(update={"announced": " ", "heard": "the crowd"})
    wrong = blank.model_copy(update={"announced": "Goal for Argentina", "heard": "gold for argentina."})
    missed = blank.model_copy(update={"announced": "Mbappé", "heard": ""})
    assert summarise([blank, wrong, missed], word_errors)["word_error"] == 2 / 4
    assert summarise([blank], word_errors)["word_error"] is None


def test_summarise_nothing() -> None:
    figures = summarise([])
    assert figures["model_share"] == 0
    assert figures["percentiles_ms"] == {}


def test_figures_make_a_summary_that_survives_json() -> None:
    summary = sample_summary(sample_records())
    assert ReplaySummary.model_validate_json(summary.model_dump_json()) == summary


@pytest.mark.parametrize("empty", [False, True])
def test_the_terminal_summary_is_short(empty: bool) -> None:
    summary = sample_summary([] if empty else sample_records(), title="A [b]3-3[/b] <France>")
    printed = io.StringIO()
    print_summary(summary, Console(file=printed, width=100))
    lines = printed.getvalue().splitlines()
    assert "A [b]3-3[/b] <France>" in lines[0]
    assert (7 if empty else 10) <= len(lines) <= 15
    assert "−22.9 LUFS" in printed.getvalue()


def test_numbers_as_people_read_them() -> None:
    assert [milliseconds(value) for value in (0.0123, 0.4, 1.26, 38.4, 999.4, 1240.0, math.nan, None)] == [
        *("0.012 ms", "0.4 ms", "1.3 ms", "38 ms", "999 ms", "1.24 s", "–", "–"),
    ]
    assert [percent(value) for value in (0.0, 0.034, 0.934, 1.0, math.nan)] == ["0 %", "3.4 %", "93 %", "100 %", "–"]
    assert [decimal(value) for value in (-22.94, -math.inf, None)] == ["−22.9", "–", "–"]
    assert [clock(value) for value in (5.4, 125.0, 3725.0, math.nan)] == ["0:05", "2:05", "1:02:05", "–"]


def test_branches_are_heard_by_record_and_wasted_by_counter() -> None:
    metrics = Metrics()
    for name, by in (("build_ups", 4), ("prepared", 9), ("settled", 3), ("ready", 2), ("refused", 1)):
        metrics.count("branches", name, by)
    metrics.count("branches_wasted", "tokens", 310)
    metrics.count("branches_wasted", "speech_ms", 14_250)
    spoken = next(record for record in sample_records() if record.text and record.event_type == "goal")
    heard = spoken.model_copy(update={"branch": "goal"})
    figures = branch_figures(metrics, [spoken, heard])
    assert (figures.heard, figures.wrong_heard, figures.hit_rate) == (1, 0, pytest.approx(1 / 3, abs=1e-4))
    assert (figures.wasted_tokens, figures.wasted_speech_s) == (310, 14.25)
    assert branch_figures(metrics, [heard.model_copy(update={"branch": "saved"})]).wrong_heard == 1
    assert branch_figures(Metrics(), []).hit_rate is None
