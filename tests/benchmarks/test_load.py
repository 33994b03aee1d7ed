"""The load generator: every event when it is due, and what became of each."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest
from report_samples import sample_records

from benchmarks.feeds import Feed, TimedEvent, make_feeds
from benchmarks.listener import Heard, Listening
from benchmarks.load import LoadGenerator, OnAirMatch, Sent, seen
from commentary_llm.ground.errors import EngineError
from commentary_llm.match import EventType, MatchEvent


@dataclass
class FakeHandle:
    skipped: str | None = None


@dataclass
class FakeMatch:
    """Takes events and remembers when."""

    taken: list[tuple[float, str]] = field(default_factory=list)

    def submit(self, event: MatchEvent) -> FakeHandle:
        self.taken.append((time.perf_counter(), event.event_id))
        return FakeHandle()

    def on_air(self) -> OnAirMatch:
        return OnAirMatch(self.submit, Listening(8000), lambda: None)


def feed_of(*times_s: float) -> Feed:
    feed = make_feeds(1, 0.2)[0]
    events = [MatchEvent(event_id=f"e{at_s}", type=EventType.CORNER, period=1, elapsed_s=at_s) for at_s in times_s]
    return Feed(feed.info, tuple(TimedEvent(at_s, event) for at_s, event in zip(times_s, events, strict=True)))


def test_events_of_all_matches_come_in_their_order_and_not_before_they_are_due() -> None:
    one, two, load = FakeMatch(), FakeMatch(), LoadGenerator()
    load.add(0, one.on_air(), feed_of(0.0, 0.1, 0.3, 9.0))
    load.add(1, two.on_air(), feed_of(0.05, 0.2))
    halves: list[float] = []
    started = time.perf_counter()
    load.run(0.4, at_half=lambda: halves.append(time.perf_counter() - started))
    assert [(sent.match, sent.event.event_id) for sent in load.sent] == [
        (0, "e0.0"),
        (1, "e0.05"),
        (0, "e0.1"),
        (1, "e0.2"),
        (0, "e0.3"),
    ]
    for at_s, event_id in one.taken + two.taken:
        assert at_s - started >= float(event_id[1:])
    assert len(halves) == 1
    assert halves[0] >= 0.2
    found = load.figures()
    assert found["late"]["count"] == 5
    assert found["cpu_share"] >= 0


def test_a_match_that_comes_later_begins_then() -> None:
    late, load = FakeMatch(), LoadGenerator()
    load.run(0.0)
    started = time.perf_counter()
    load.add(0, FakeMatch().on_air(), feed_of(0.0))
    load.run(0.3, at_half=lambda: load.add(1, late.on_air(), feed_of(0.0, 0.05)))
    assert len(late.taken) == 2
    assert late.taken[0][0] - started >= 0.15


def test_a_run_ends_when_what_it_was_for_has_happened() -> None:
    match, load = FakeMatch(), LoadGenerator()
    load.add(0, match.on_air(), feed_of(0.0, 0.05, 60.0))
    load.run(100.0, done=lambda: len(match.taken) == 2)
    assert load.ran_s < 50
    assert len(load.sent) == 2


def test_a_session_that_has_failed_ends_the_run() -> None:
    def failed(event: MatchEvent) -> FakeHandle:
        raise EngineError("match one failed")

    load = LoadGenerator()
    load.add(0, OnAirMatch(failed, Listening(8000), lambda: None), feed_of(0.0))
    with pytest.raises(EngineError, match="match one failed"):
        load.run(1.0)


def test_what_became_of_an_event_is_put_together() -> None:
    record = next(record for record in sample_records() if record.source == "model" and record.opener == "")
    record = record.model_copy(update={"opener": " ".join(record.text.split()[:2]), "urgency": "urgent"})
    event = MatchEvent(event_id=record.event_id, type=EventType.GOAL, period=1, elapsed_s=60, team="h")
    listening = Listening(8000)
    listening.cues[record.event_id] = Heard(ready_s=1.1, handed_s=1.2, off_air_s=3.0, decoded_s=2.0, record=record)
    found = seen(Sent(3, event, 1.0, FakeHandle()), listening)
    assert (found.match, found.asked, found.urgent, found.source) == (3, True, True, "model")
    assert (found.ready_s, found.handed_s, found.ended_s) == (1.1, 1.2, 3.0)
    assert found.words - found.words_after_opener == 2
    dropped = record.model_copy(update={"text": "", "opener": "", "source": "none", "dropped": "stale"})
    listening.cues[record.event_id] = Heard(decoded_s=2.0, record=dropped)
    found = seen(Sent(3, event, 1.0, FakeHandle()), listening)
    assert (found.spoken, found.dropped, found.ended_s, found.words) == (False, "stale", 2.0, 0)
    assert seen(Sent(3, event, 1.0, FakeHandle("pacing")), listening).skipped == "pacing"
    lost = seen(Sent(3, event.model_copy(update={"event_id": "x"}), 1.0, FakeHandle()), listening)
    assert (lost.is_cue, lost.spoken, lost.source) == (True, False, "none")
