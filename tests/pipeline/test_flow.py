"""A cue's whole way, with scripted models and the real director, gate and templates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fakes import RATE, ScriptedGenerator, ScriptedSynthesizer

from commentary_llm.config import EngineConfig
from commentary_llm.engine import CommentaryEngine
from commentary_llm.errors import ConfigError, EngineError, InputError
from commentary_llm.generation import GenerationRequest
from commentary_llm.match import CardType, EventType, MatchEvent, MatchInfo, ShotOutcome
from commentary_llm.pipeline.clock import StreamClock
from commentary_llm.pipeline.record import CueRecord
from commentary_llm.pipeline.timeline import Segment


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

    def speech(self, segment: Segment) -> None:
        self.segments.append(segment)

    def cue(self, record: CueRecord) -> None:
        self.records.append(record)

    def text_of(self, event_id: str) -> str:
        return next(record.text for record in self.records if record.event_id == event_id)


class Stage:
    """An engine with scripted models on a stopped clock."""

    def __init__(self, info: MatchInfo, scripts: list[list[str]]) -> None:
        self.time = StoppedTime()
        self.sink = Gathered()
        self.generator = ScriptedGenerator()
        self.engine = CommentaryEngine(
            EngineConfig(match=info, candidates=2),
            self.generator,
            ScriptedSynthesizer(),
            None,
            clock=StreamClock(0.0, self.time),
            sinks=[self.sink],
        )
        self.generator.scripts = scripts  # after the warm-up has asked

    def at(self, stream_s: float) -> None:
        self.time.t = stream_s
        time.sleep(0.06)  # a few rounds of the releasing thread


@pytest.fixture
def stage(small_match: MatchInfo) -> Iterator[Callable[..., Stage]]:
    stages: list[Stage] = []

    def make(*scripts: list[str]) -> Stage:
        stages.append(Stage(small_match, list(scripts)))
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


def test_a_true_line_of_the_model_is_spoken(stage: Callable[..., Stage]) -> None:
    show = stage(["Emil Hart scores for Northport!", "Messi scores for Brazil!"])
    handle = show.engine.submit(goal())
    clauses = [(clause.text, clause.source, np.concatenate(list(clause.pcm()))) for clause in handle]
    record = handle.result(timeout_s=10)
    assert [(text, source) for text, source, _ in clauses] == [("Emil Hart scores for Northport!", "model")]
    assert len(clauses[0][2]) == 5 * RATE // 4
    assert record is not None
    assert record.text == "Emil Hart scores for Northport!"
    assert record.source == "model"
    assert record.score == "1-0"
    assert record.end_s - record.start_s == pytest.approx(1.25, abs=0.01)
    assert {"queue", "prompt", "first_token", "first_audible", "last_sample", "text_done"} <= record.timings_ms.keys()


def test_false_clauses_are_refused_and_a_template_speaks(stage: Callable[..., Stage]) -> None:
    show = stage(["Max Ferrow scores for Northport!", "Hart scores and it is two-nil!"])
    record = show.engine.submit(goal()).result(timeout_s=10)
    assert record is not None
    assert record.source == "template"
    assert record.source_reason == "no candidate passed the gate"
    assert len(record.refusals) == 2
    assert "Hart" in record.text or "Northport" in record.text


def test_the_line_ends_before_its_first_false_clause(stage: Callable[..., Stage]) -> None:
    show = stage(["Emil Hart scores for Northport! It is four-nil now!", "Nonsense from Zork."])
    record = show.engine.submit(goal()).result(timeout_s=10)
    assert record is not None
    assert record.text == "Emil Hart scores for Northport!"
    assert [refusal.text for refusal in record.refusals][-1] == "It is four-nil now!"


def test_a_clause_that_says_nothing_waits_for_the_next(stage: Callable[..., Stage]) -> None:
    show = stage(["Goal! Emil Hart scores for Northport!", ""])
    clauses = [clause.text for clause in show.engine.submit(goal())]
    assert clauses == ["Goal!", "Emil Hart scores for Northport!"]


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
    show = stage(["Emil Hart sends the shot wide of the target for Northport.", ""])
    show.at(100.0)
    first = show.engine.submit(shot("s", 590.0)).result(timeout_s=10)
    assert first is not None
    assert first.source == "model"
    show.at(100.6)
    show.engine.submit(goal(elapsed_s=591.0)).result(timeout_s=10)
    show.at(200.0)
    said = show.sink.text_of("s")
    assert said == "Emil Hart sends —"
    assert next(r for r in show.sink.records if r.event_id == "s").cut_off
    goal_record = next(r for r in show.sink.records if r.event_id == "g")
    assert 100.75 <= goal_record.start_s <= 101.1
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
        card = MatchEvent(
            event_id=f"c{i}",
            type=EventType.CARD,
            period=1,
            elapsed_s=60.0 * (i + 1),
            team="a",
            player=f"a{i + 2}",
            card=CardType.YELLOW,
        )
        show.at(60.0 * (i + 1))
        show.engine.submit(card).result(timeout_s=10)
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
        lines.append(record.text)
    assert len(set(lines)) == len(lines)


def test_a_failing_model_fails_every_handle(small_match: MatchInfo) -> None:
    class Broken(ScriptedGenerator):
        broken = False

        def submit(self, request: GenerationRequest):  # type: ignore[no-untyped-def]
            if self.broken:
                raise EngineError("rank 1 (host, pid 7) no longer answers")
            return super().submit(request)

    generator = Broken()
    engine = CommentaryEngine(EngineConfig(match=small_match), generator, ScriptedSynthesizer(), None)
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
        CommentaryEngine(EngineConfig(), ScriptedGenerator(), ScriptedSynthesizer(), None)


def test_hearing_needs_a_recognizer(stage: Callable[..., Stage]) -> None:
    with pytest.raises(ConfigError, match="listen=True"):
        stage().engine.hear(np.zeros(160, np.float32))
