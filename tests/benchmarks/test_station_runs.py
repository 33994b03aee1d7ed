"""The benchmark of many matches on a real station, with scripted models, for a few seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from rich.console import Console
from session_fakes import ScriptedGenerator, ScriptedSynthesizer

from benchmarks.__main__ import main
from benchmarks.batching import batching_gain
from benchmarks.feeds import FeedMaker
from benchmarks.harness import memory_mb
from benchmarks.matches import memory_per_match
from benchmarks.station_runs import StationRuns
from commentary_llm.ends.loop import EndsLoop
from commentary_llm.settings import MatchSettings, StationConfig
from commentary_llm.station import Station

MINUTES = 0.06


@pytest.fixture
def runs() -> Iterator[StationRuns]:
    station = Station(StationConfig(), ScriptedGenerator(), ScriptedSynthesizer())
    with EndsLoop() as loop:
        yield StationRuns(station, loop, MatchSettings(candidates=2), [os.getpid()], Console(stderr=True), quiet_s=0.2)


def test_every_figure_of_two_matches_is_there(runs: StationRuns) -> None:
    maker = FeedMaker(53)  # kicks off at once
    feeds = [maker.feed(MINUTES) for _ in range(2)]
    with runs.station:
        found = runs.measure(feeds, MINUTES, attempts=1)
        assert runs.station.sessions() == ()
    assert {
        "first_ready_p99_ms",
        "first_audible_p50_ms",
        "first_audible_p99_ms",
        "urgent_p99_ms",
        "samples",
        "model_share",
        "cues_per_s",
        "threads",
        "memory_mb_by_rank",
    } <= set(found)
    assert found["events"] == sum(timed.at_s < MINUTES * 60 for feed in feeds for timed in feed.events)
    assert found["samples"] >= 2
    assert found["spoken"] >= 2  # both kick-offs
    assert 0 < found["first_ready_p99_ms"] <= found["first_audible_p99_ms"]
    assert found["first_audible_p99_ms"] < 60_000
    assert found["threads"] >= 1
    assert found["memory_mb_by_rank"][0] > 10
    assert found["cores_used_by_rank"][0] >= 0
    assert found["probe"]["wakes"] > 10
    assert found["load_generator"]["late"]["count"] == found["events"]


def test_a_match_opens_beside_the_others(runs: StationRuns) -> None:
    maker = FeedMaker(53)
    with runs.station:
        found = runs.open_beside([maker.feed(1)], maker.feed(1, "cold"), 0.05)
    assert found["matches_on_air"] == 1
    assert found["may_begin_s"] >= 0
    assert found["others"]["matches_above_a_bar"] == []
    assert set(found["opened"]) >= {"first_ready", "model_share"}


def test_lines_are_decoded_one_at_a_time_and_several_in_a_batch() -> None:
    generator = ScriptedGenerator()
    found = batching_gain(generator, matches=3, lines=2, candidates=5, together=2, seconds=0.05)
    assert found["gain"] > 0
    assert found["one_line_cues_per_s"] > 0
    assert {request.sampling.candidates for request in generator.requests} == {5, 2}
    assert len({request.prefix for request in generator.requests}) == 3


def test_memory_of_one_more_match() -> None:
    one = {"memory_by_rank": [{"rss": 500.0, "pss": 450.0}, {"rss": 100.0, "pss": 90.0}]}
    three = {"memory_by_rank": [{"rss": 560.0, "pss": 480.0}, {"rss": 104.0, "pss": 90.0}]}
    assert memory_per_match({"1": one, "3": three}) == {"rss": 32.0, "pss": 15.0}
    assert memory_per_match({"1": one}) is None
    assert memory_per_match({"1": one, "3": {"memory_by_rank": [one["memory_by_rank"][0], None]}}) is None
    assert memory_mb(os.getpid()) is not None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--counts", "0"), "expected numbers of matches"),
        (("--minutes", "-1"), "--minutes is -1"),
        (("--attempts", "0"), "--attempts is 0"),
        (("--opening-minutes", "0.1"), "--opening-minutes is 0.1"),
    ],
)
def test_wrong_options_are_named(options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = main(["matches", "--ranks", "1", *options])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert said in capsys.readouterr().err
