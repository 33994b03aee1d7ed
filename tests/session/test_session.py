"""A cue's whole way, with scripted models and the real director, gate and templates."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from session_fakes import RATE, ScriptedGenerator, ScriptedHandle, ScriptedSynthesizer

from commentary_llm.cue.wording import without_opener
from commentary_llm.engine import CommentaryEngine
from commentary_llm.generation import GenerationRequest
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.errors import ConfigError, EngineError, InputError
from commentary_llm.match import CardType, EventType, MatchEvent, MatchInfo, ShotOutcome
from commentary_llm.session.events import CueEnded, SegmentHeard, SessionEvent
from commentary_llm.session.record import CueRecord
from commentary_llm.session.sound_bank import SoundBank
from commentary_llm.session.timeline import Segment
from commentary_llm.settings import EngineConfig, StationConfig
from commentary_llm.station import Station


class StoppedTime:
    """A monotonic clock the test moves."""

    def __init__(self) -> None:
        self.t = 0.0

    def __call__(self) -> float:
        return self.t


class Gathered:
    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.records: list[CueRecord] = []

    def put(self, event: SessionEvent) -> None:
        if isinstance(event, SegmentHeard):
            self.segments.append(event.segment)
        elif isinstance(event, CueEnded):
            self.records.append(event.record)

    def text_of(self, event_id: str) -> str:
        return next(record.text for record in self.records if record.event_id == event_id)


class Stage:
    """An engine with scripted models on a stopped clock."""

    def __init__(self, info: MatchInfo, scripts: list[list[str]], generator: ScriptedGenerator | None = None) -> None:
        self.time = StoppedTime()
        self.sink = Gathered()
        self.generator = generator or ScriptedGenerator()
        config = EngineConfig(match=info, candidates=2)
        self.engine = CommentaryEngine(
            config,
            Station(config.station, self.generator, ScriptedSynthesizer()),
            clock=StreamClock(0.0, self.time),
            subscribers=[self.sink],
        )
        self.generator.scripts = scripts  # after the warm-up has asked

    def at(self, stream_s: float) -> None:
        self.time.t = stream_s
        time.sleep(0.06)  # a few rounds of the releasing thread


@pytest.fixture
def stage(small_match: MatchInfo) -> Iterator[Callable[..., Stage]]:
    stages: list[Stage] = []

    def make(*scripts: list[str], generator: ScriptedGenerator | None = None) -> Stage:
        stages.append(Stage(small_match, list(scripts), generator))
        return stages[-1]

    yield make
    for made in stages:
        made.engine.close(drain_s=0)


def goal(event_id: str = "g", elapsed_s: float = 600.0, player: str = "h4") -> MatchEvent:
    team = player[0]
    return MatchEvent(event_id=event_id, type=EventType.GOAL, period=1, elapsed_s=elapsed_s, team=team, player=player)


def shot(event_id: str, elapsed_s: float, player: str = "h4") -> MatchEvent:
    return MatchEvent(
        event_id=event_id,
        type=EventType.SHOT,
        period=1,
        elapsed_s=elapsed_s,
        team=player[0],
        player=player,
        outcome=ShotOutcome.OFF_TARGET,
    )


def booking(event_id: str, elapsed_s: float, player: str) -> MatchEvent:
    return MatchEvent(
        event_id=event_id,
        type=EventType.CARD,
        period=1,
        elapsed_s=elapsed_s,
        team=player[0],
        player=player,
        card=CardType.YELLOW,
    )


class Held(ScriptedGenerator):
    """Answers nothing, except to the warm-up, until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go, self.asked = threading.Event(), threading.Event()
        self.held = False

    def submit(self, request: GenerationRequest) -> ScriptedHandle:
        handle = super().submit(request)
        if self.held:
            self.asked.set()
            assert self.go.wait(10)
        return handle


def test_the_opener_is_heard_at_once_and_the_model_goes_on_from_it(stage: Callable[..., Stage]) -> None:
    show = stage(["Northport lead one-nil!", "Messi scores for Brazil!"], generator=(held := Held()))
    held.held = True
    show.at(10.0)
    handle = show.engine.submit(goal())
    clauses = iter(handle)
    opener = next(clauses)  # nothing has been written yet
    sound = np.concatenate(list(opener.pcm()))
    assert (opener.source, len(sound) > RATE / 4) == ("opener", True)
    assert "Hart" in opener.text or "Northport" in opener.text
    held.go.set()
    rest = [(clause.text, clause.source, np.concatenate(list(clause.pcm()))) for clause in clauses]
    assert [(text, source) for text, source, _ in rest] == [("Northport lead one-nil!", "model")]
    assert held.requests[-1].text.endswith(opener.text)
    record = handle.result(timeout_s=10)
    assert record is not None
    assert record.text == f"{opener.text} Northport lead one-nil!"
    assert (record.opener, record.source, record.score) == (opener.text, "model", "1-0")
    timings = record.timings_ms
    assert {"opener", "queue", "prompt", "first_token", "first_audible", "last_sample", "text_done"} <= timings.keys()
    assert timings["first_audible"] == timings["opener"] <= timings["text_done"]
    assert timings["on_air"] == 0.0
    show.at(100.0)
    first, second = show.sink.segments
    assert (first.text, second.text) == (opener.text, "Northport lead one-nil!")
    assert second.start_s == pytest.approx(first.end_s + 0.22)


def test_false_clauses_are_refused_and_a_template_speaks(stage: Callable[..., Stage]) -> None:
    show = stage(["Max Ferrow scores for Northport!", "Hart scores and it is two-nil!"])
    record = show.engine.submit(goal()).result(timeout_s=10)
    assert record is not None
    assert record.source == "template"
    assert record.source_reason == "no candidate passed the gate"
    assert len(record.refusals) == 2
    assert record.text.startswith(record.opener)
    assert len(record.text) > len(record.opener)


def test_the_line_ends_before_its_first_false_clause(stage: Callable[..., Stage]) -> None:
    show = stage(["Northport lead one-nil! It is four-nil now!", "Nonsense from Zork."])
    record = show.engine.submit(goal()).result(timeout_s=10)
    assert record is not None
    assert record.text == f"{record.opener} Northport lead one-nil!"
    assert [refusal.text for refusal in record.refusals][-1] == "It is four-nil now!"


def test_without_its_sound_a_line_begins_with_the_model(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SoundBank, "speech", lambda *_: None)
    show = stage(["Emil Hart scores for Northport!", ""])
    record = show.engine.submit(goal()).result(timeout_s=10)
    assert record is not None
    assert (record.text, record.opener, record.source) == ("Emil Hart scores for Northport!", "", "model")
    assert show.engine.metrics.of("openers") == {"missing": 1}
    assert record.timings_ms["first_audible"] >= record.timings_ms["queue"]


@pytest.mark.parametrize("being_written", [False, True])
def test_events_of_one_instant_are_one_story(stage: Callable[..., Stage], being_written: bool) -> None:
    show = stage(generator=(held := Held()))
    show.at(10.0)
    held.held = True
    foul = MatchEvent(event_id="f", type=EventType.FOUL, period=1, elapsed_s=600, team="a", player="a4", x=0.2, y=0.5)
    handles = [show.engine.submit(foul)]
    if being_written:
        assert held.asked.wait(10)
    handles.append(show.engine.submit(booking("c", 600.0, "a4")))
    held.go.set()
    records = [handle.result(timeout_s=10) for handle in handles]
    assert [record.dropped for record in records if record] == ["superseded", None]
    assert show.engine.metrics.of("dropped") == {"superseded": 1}


def test_a_later_cue_waits_for_the_line_before_it(stage: Callable[..., Stage]) -> None:
    show = stage(["The card comes for a late one.", ""], ["", ""], generator=(held := Held()))
    held.held = True
    show.at(10.0)
    first = show.engine.submit(booking("c1", 600.0, "a4"))
    show.at(10.2)
    second = show.engine.submit(booking("c2", 600.2, "a5"))
    openers = [next(iter(handle)) for handle in (first, second)]
    assert all(list(opener.pcm()) for opener in openers)  # handed over, both of them
    held.go.set()
    assert first.result(timeout_s=10) is not None
    assert second.result(timeout_s=10) is not None
    show.at(100.0)
    assert [segment.event_id for segment in show.sink.segments] == sorted(s.event_id for s in show.sink.segments)
    for left, right in pairwise(show.sink.segments):
        assert right.start_s >= left.end_s + 0.12


def test_closing_in_the_middle_leaves_the_openers_that_were_heard(stage: Callable[..., Stage]) -> None:
    show = stage(generator=(held := Held()))
    held.held = True
    show.at(10.0)
    handles = [show.engine.submit(goal())]
    show.at(10.1)
    handles.append(show.engine.submit(booking("c", 600.2, "a4")))  # waits for the goal call
    threading.Timer(0.2, held.go.set).start()
    show.engine.close(drain_s=0)
    first, second = (handle.result(timeout_s=10) for handle in handles)
    assert first is not None
    assert second is not None
    assert first.text.startswith(first.opener)
    assert first.text
    assert (second.text, second.dropped) == ("", "engine closed")
    assert [record.event_id for record in show.sink.records if record.text] == ["g"]
    with pytest.raises(EngineError, match="closed"):
        show.engine.submit(goal("g2", 700.0))


def test_many_threads_may_submit(stage: Callable[..., Stage]) -> None:
    show = stage()
    events = [booking(f"c{i}", 600.0 + i, f"{side}{i + 2}") for i in range(8) for side in "ha"]
    events = [event.model_copy(update={"event_id": f"{event.event_id}{event.player}"}) for event in events]
    with ThreadPoolExecutor(8) as pool:
        handles = list(pool.map(show.engine.submit, events))
    records = [handle.result(timeout_s=20) for handle in handles]
    assert all(record is not None and (record.text or record.dropped) for record in records)
    show.engine.close()
    assert sorted(record.event_id for record in show.sink.records) == sorted(event.event_id for event in events)
    for left, right in pairwise(show.sink.segments):
        assert right.start_s >= left.end_s


def test_duplicates_and_quiet_events_get_no_words(stage: Callable[..., Stage]) -> None:
    show = stage()
    show.engine.submit(goal()).result(timeout_s=10)
    again = show.engine.submit(goal())
    assert again.result(timeout_s=1) is None
    assert again.skipped == "duplicate"
    kick = MatchEvent(event_id="t", type=EventType.THROW_IN, period=1, elapsed_s=601, team="a")
    quiet = show.engine.submit(kick)
    assert quiet.result(timeout_s=1) is None
    assert quiet.skipped


def test_an_impossible_event_is_refused_and_changes_nothing(stage: Callable[..., Stage]) -> None:
    show = stage()
    with pytest.raises(InputError, match=r"g.*nobody"):
        show.engine.submit(goal(player="h4").model_copy(update={"player": "nobody"}))
    assert show.engine.match.state.score.home == 0
    record = show.engine.submit(goal()).result(timeout_s=10)
    assert record is not None
    assert record.score == "1-0"


def test_a_goal_cuts_in_at_a_word_edge(stage: Callable[..., Stage]) -> None:
    show = stage(["Northport are so close to the lead, and Eastvale survive.", ""])
    show.at(100.0)
    first = show.engine.submit(shot("s", 590.0)).result(timeout_s=10)
    assert first is not None
    words = first.text.split()
    show.at(100.3)
    show.engine.submit(goal(elapsed_s=591.0)).result(timeout_s=10)
    show.at(200.0)
    assert show.sink.text_of("s").rstrip(" —") == " ".join(words[:2]).rstrip("!.")  # a quarter of a second a word
    assert next(r for r in show.sink.records if r.event_id == "s").cut_off
    goal_record = next(r for r in show.sink.records if r.event_id == "g")
    assert 100.5 < goal_record.start_s <= 100.6
    assert goal_record.timings_ms["first_audible"] == goal_record.timings_ms["opener"]
    assert sum(s.end_s > goal_record.start_s > s.start_s for s in show.sink.segments) == 0


def test_a_goal_call_is_not_cut(stage: Callable[..., Stage]) -> None:
    show = stage()
    show.at(10.0)
    first = show.engine.submit(goal("g1")).result(timeout_s=10)
    show.at(10.2)
    second = show.engine.submit(goal("g2", elapsed_s=601.0, player="a10")).result(timeout_s=10)
    show.at(100.0)
    assert first is not None
    assert second is not None
    assert second.start_s >= first.end_s
    assert not any(record.cut_off for record in show.sink.records)


def test_what_comes_too_late_is_dropped_by_name(stage: Callable[..., Stage]) -> None:
    show = stage()
    show.at(500.0)
    handle = show.engine.submit(shot("s", 590.0), stream_s=400.0)
    record = handle.result(timeout_s=10)
    assert record is not None
    assert (record.dropped, record.text, record.source) == ("stale", "", "none")
    assert show.engine.metrics.of("dropped") == {"stale": 1}


def test_every_record_reaches_the_sinks_when_the_engine_closes(stage: Callable[..., Stage]) -> None:
    show = stage()
    for i in range(4):
        show.at(60.0 * (i + 1))
        show.engine.submit(booking(f"c{i}", 60.0 * (i + 1), f"a{i + 2}")).result(timeout_s=10)
    show.engine.close()
    assert [record.event_id for record in show.sink.records] == ["c0", "c1", "c2", "c3"]
    assert all(record.text for record in show.sink.records)
    assert show.generator.closed


def test_lines_do_not_repeat(stage: Callable[..., Stage]) -> None:
    show = stage()
    lines = []
    for i in range(12):
        show.at(100.0 * (i + 1))
        record = show.engine.submit(shot(f"s{i}", 60.0 * (i + 1))).result(timeout_s=10)
        assert record is not None
        lines.append(without_opener(record.text, record.opener))
    said = [line for line in lines if line]
    assert len(said) >= 3
    assert len(set(said)) == len(said)


def test_a_failing_model_fails_every_handle(small_match: MatchInfo) -> None:
    class Broken(ScriptedGenerator):
        broken = False

        def submit(self, request: GenerationRequest):  # type: ignore[no-untyped-def]
            if self.broken:
                raise EngineError("rank 1 (host, pid 7) no longer answers")
            return super().submit(request)

    generator = Broken()
    config = EngineConfig(match=small_match)
    engine = CommentaryEngine(config, Station(config.station, generator, ScriptedSynthesizer()))
    generator.broken = True
    with engine:
        handle = engine.submit(goal())
        with pytest.raises(EngineError, match="rank 1"):
            handle.result(timeout_s=10)
        with pytest.raises(EngineError, match="rank 1"):
            list(engine.submit(goal("g2", 700.0)))
    assert generator.closed


def test_late_news_is_still_news(stage: Callable[..., Stage]) -> None:
    show = stage()
    show.at(10.0)
    show.engine.submit(shot("s", 605.0)).result(timeout_s=10)
    record = show.engine.submit(goal(elapsed_s=600.0)).result(timeout_s=10)
    assert record is not None
    assert record.text
    old = show.engine.submit(shot("old", 100.0))
    assert old.result(timeout_s=1) is None
    assert old.skipped == "late"


def test_an_engine_needs_a_match() -> None:
    with pytest.raises(ConfigError, match="no match"):
        CommentaryEngine(EngineConfig(), Station(StationConfig(), ScriptedGenerator(), ScriptedSynthesizer()))


def test_hearing_needs_a_recognizer(stage: Callable[..., Stage]) -> None:
    with pytest.raises(ConfigError, match="listen=True"):
        stage().engine.hear(np.zeros(160, np.float32))
