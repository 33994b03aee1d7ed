"""Every figure of the score, from small records made by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.console import Console

from commentary_llm.evaluation.figures import (
    Evaluation,
    evaluate_records,
    on_air_s,
)
from commentary_llm.evaluation.finding import Certainty, Finding
from commentary_llm.evaluation.table import print_evaluation
from commentary_llm.language.en.text_rules import ENGLISH_RULES
from commentary_llm.session.record import BranchFigures, CueRecord, Refusal, ReplaySummary


def record(event_id: str = "e", text: str = "Messi has the ball.", **fields: Any) -> CueRecord:
    """A spoken line of two seconds, heard half a second after its event at 100 s."""
    values: dict[str, Any] = {
        "event_id": event_id,
        "event_type": "pass",
        "period": 1,
        "minute": "2",
        "team": "Argentina",
        "player": "Lionel Messi",
        "urgency": "note",
        "reason": "attack",
        "deadline_s": 5.0,
        "text": text,
        "source": "model" if text else "none",
        "source_reason": "",
        "score": "0-0",
        "stream_s": 100.0,
        "start_s": 40.0,
        "end_s": 42.0,
        "timings_ms": {"on_air": 500.0, "last_sample": 900.0, "first_audible": 20.0},
    }
    return CueRecord(**{**values, **fields})


def dropped(event_id: str, cause: str) -> CueRecord:
    return record(event_id, "", dropped=cause, start_s=None, end_s=None, timings_ms={})


def score(*records: CueRecord, wrong: dict[str, str] | None = None, certain: bool = True) -> Evaluation:
    facts = wrong or {}

    def audit(heard: CueRecord) -> list[Finding]:
        certainty = Certainty.CERTAIN if certain else Certainty.DOUBTFUL
        return [Finding("outcome", facts[heard.event_id], certainty)] if heard.event_id in facts else []

    return evaluate_records(records, audit, ENGLISH_RULES.words)


def test_spoken_cues_are_shared_out_by_who_went_on_after_the_opener() -> None:
    figures = score(
        record("a"),
        record("b", "Goal! Messi!", opener="Goal! Messi!", source="opener"),
        record("c", source="template"),
        record("d"),
        dropped("e", "stale"),
    )
    assert figures.model_share == 0.5
    assert figures.sources == {"model": 2, "template": 1, "opener": 1}
    assert (figures.cues, figures.spoken) == (5, 4)


def test_wrong_facts_are_counted_with_their_lines() -> None:
    figures = score(record("a"), record("b", "Messi is offside."), dropped("c", "stale"), wrong={"b": "no offside"})
    assert figures.wrong_facts == 1
    assert figures.wrong[0].text == "Messi is offside."
    assert (figures.wrong[0].event_id, figures.wrong[0].what, figures.doubtful) == ("b", "no offside", ())
    unsure = score(record("a"), wrong={"a": "nobody knows"}, certain=False)
    assert (unsure.wrong_facts, unsure.wrong, len(unsure.doubtful)) == (0, (), 1)
    # What was never heard is nobody's wrong fact.
    assert score(dropped("c", "stale"), wrong={"c": "anything"}).wrong_facts == 0


def test_refusals_and_drops_are_counted_by_cause() -> None:
    refused = (Refusal(text="x", cause="player"), Refusal(text="y", cause="player"), Refusal(text="z", cause="score"))
    figures = score(record("a", refusals=refused), dropped("b", "stale"), dropped("c", "superseded"))
    assert figures.refusals == {"player": 2, "score": 1}
    assert figures.dropped == {"stale": 1, "superseded": 1}


def test_wording_with_and_without_openers() -> None:
    figures = score(
        record("a", "Goal! Messi! He makes no mistake.", opener="Goal! Messi!"),
        record("b", "Goal! Messi! He makes it two.", opener="Goal! Messi!"),
        record("c", "Goal! Messi!", opener="Goal! Messi!"),
        record("d", "Goal! Messi!", opener="Goal! Messi!"),
    )
    # goal-messi x4, messi-he x2, he-makes x2, makes-no, no-mistake, makes-it, it-two: 7 different of 12
    assert figures.wording.distinct_2 == pytest.approx(7 / 12, abs=1e-4)
    assert (figures.wording.lines, figures.wording.exact_repeats) == (4, 1)
    # he-makes x2, makes-no, no-mistake, makes-it, it-two: 5 of 6
    assert figures.wording_without_openers.distinct_2 == pytest.approx(5 / 6, abs=1e-4)
    assert (figures.wording_without_openers.lines, figures.wording_without_openers.exact_repeats) == (2, 0)


def test_words_and_seconds_a_cue() -> None:
    figures = score(record("a", "One two three."), record("b", "One two three four five.", end_s=44.0))
    assert figures.mean_words == 4.0
    assert figures.mean_speech_s == 3.0


def test_the_span_on_air_is_stream_time() -> None:
    assert on_air_s(record()) == (100.5, 102.5)
    assert on_air_s(dropped("a", "stale")) is None


def test_overlap_is_what_still_ran_when_the_next_urgent_event_came() -> None:
    def goal(at_s: float) -> CueRecord:
        return record(f"g{at_s}", urgency="urgent", stream_s=at_s, timings_ms={"on_air": 100.0}, deadline_s=None)

    # The line runs from 100.5 to 102.5.
    assert score(record("a"), goal(103.0)).overlap.lines == 0
    over = score(record("a"), goal(102.0), goal(102.2)).overlap
    # The goals at 102.0 and 102.2 sound for two seconds each; the first of them runs over the second.
    assert (over.lines, over.total_s, over.max_s) == (2, pytest.approx(0.5 + 1.9), 1.9)
    # Not begun when the goal came, and spoken nevertheless: all of it is over.
    assert score(record("a"), goal(100.2)).overlap.max_s == pytest.approx(2.0)


def test_deadlines_count_drops_but_not_what_gave_way() -> None:
    late_start = record("b", timings_ms={"on_air": 5500.0, "last_sample": 5900.0})
    late_end = record("c", timings_ms={"on_air": 500.0, "last_sample": 5100.0})
    figures = score(record("a"), late_start, late_end, dropped("d", "stale"), dropped("e", "superseded"))
    assert figures.first_heard_in_time == 0.5
    assert figures.last_ready_in_time == 0.25


def test_latencies_keep_their_counts() -> None:
    figures = score(record("a"), record("b", timings_ms={"first_audible": 40.0, "on_air": 1.0, "last_sample": 1.0}))
    assert figures.percentiles_ms["first_audible"] == {"p50": 30.0, "p90": 38.0, "p99": 39.8, "max": 40.0, "count": 2.0}


def test_a_match_without_cues_has_no_shares() -> None:
    figures = score()
    assert (figures.model_share, figures.first_heard_in_time, figures.mean_words) == (None, None, None)
    assert figures.wrong_facts == 0
    json.loads(figures.model_dump_json())


def test_the_table_shows_the_figures_and_every_wrong_line() -> None:
    console = Console(record=True, width=200)
    figures = score(record("a"), record("b", "Messi is [b]offside."), wrong={"b": "no offside"})
    branches = BranchFigures(
        build_ups=3,
        prepared=9,
        settled=2,
        heard=1,
        refused=0,
        hit_rate=0.5,
        wrong_heard=0,
        wasted_tokens=310,
        wasted_speech_s=14.25,
    )
    summary = ReplaySummary.model_construct(title="Argentina 0-0 France", branches=branches)
    print_evaluation(figures, summary, console)
    text = console.export_text()
    assert "Argentina 0-0 France" in text
    assert "Messi is [b]offside." in text
    assert "first audible" in text
    assert "1 of 2 outcomes heard as prepared" in text
