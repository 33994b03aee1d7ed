"""Branches: prepared while nothing else is to be done, heard only when true, and out of a real cue's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from english import gate_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from session_fakes import ScriptedGenerator, ScriptedHandle, ScriptedSynthesizer

from commentary_llm.cue.buildup import outcome_of
from commentary_llm.cue.cue import Cue, Urgency
from commentary_llm.cue.facts import facts_of
from commentary_llm.engine import CommentaryEngine
from commentary_llm.generation import FinishReason, GenerationRequest, TokenChunk
from commentary_llm.ground.clock import StreamClock
from commentary_llm.match import EventType, MatchEvent, MatchInfo, ShotOutcome, Situation
from commentary_llm.session.events import CueEnded, SessionEvent
from commentary_llm.session.record import CueRecord
from commentary_llm.settings import EngineConfig
from commentary_llm.station import Station

WAIT_S = 10.0
GOAL, SAVED, WIDE = "Converted from twelve yards!", "A brave stop from the goalkeeper!", "Wide of the mark."


class Outcomes(ScriptedGenerator):
    """Says something about each outcome that is true of no other; of every other event it has nothing to say."""

    def __init__(self) -> None:
        super().__init__()
        self.hold = threading.Event()  # set: branches are decoded without end until cancelled
        self.cancelled = threading.Event()
        self.imagined: list[str] = []

    def submit(self, request: GenerationRequest) -> Any:
        if request.priority >= 0:
            return super().submit(request)
        event_line = request.text.rsplit("user: ", 1)[-1]
        self.imagined.append(event_line)
        if self.hold.is_set():
            return Endless(self)
        said = GOAL if "Goal for" in event_line or "scores" in event_line else SAVED if "saved" in event_line else WIDE
        chunks = [TokenChunk(n, said, -1.0, 6, FinishReason.STOP) for n in range(request.sampling.candidates)]
        return ScriptedHandle(chunks)

    def cancel(self, handle: object) -> None:
        if isinstance(handle, Endless):
            self.cancelled.set()


class Endless:
    prompt_tokens, cached_tokens = 10, 8

    def __init__(self, generator: Outcomes) -> None:
        self._generator = generator

    def __iter__(self) -> Iterator[TokenChunk]:
        while not self._generator.cancelled.wait(0.005):
            yield TokenChunk(0, "and ", -1.0, 1)
        yield TokenChunk(0, "", 0.0, 0, FinishReason.CANCELLED)


class Gathered:
    def __init__(self) -> None:
        self.records: list[CueRecord] = []

    def put(self, event: SessionEvent) -> None:
        if isinstance(event, CueEnded):
            self.records.append(event.record)


class Show:
    def __init__(self, info: MatchInfo) -> None:
        self.stopped_s = 0.0
        self.generator = Outcomes()
        self.sink = Gathered()
        config = EngineConfig(match=info, candidates=2)
        self.engine = CommentaryEngine(
            config,
            Station(config.station, self.generator, ScriptedSynthesizer()),
            clock=StreamClock(0.0, lambda: self.stopped_s),
            subscribers=[self.sink],
        )

    def submit(self, event: MatchEvent) -> CueRecord | None:
        self.stopped_s += 60.0
        record = self.engine.submit(event).result(WAIT_S)
        assert self.engine.wait_idle(WAIT_S)
        return record

    def counted(self) -> dict[str, int]:
        return self.engine.metrics.of("branches")


@pytest.fixture
def show(small_match: MatchInfo) -> Iterator[Show]:
    made = Show(small_match)
    yield made
    made.engine.close(drain_s=0)


def event(event_id: str, kind: EventType, elapsed_s: float, **fields: Any) -> MatchEvent:
    return MatchEvent(**{"event_id": event_id, "type": kind, "period": 1, "elapsed_s": elapsed_s, **fields})


def penalty(event_id: str = "p", elapsed_s: float = 600.0) -> MatchEvent:
    return event(event_id, EventType.PENALTY_AWARDED, elapsed_s, team="h")


def scored(event_id: str = "g", elapsed_s: float = 660.0) -> MatchEvent:
    return event(event_id, EventType.GOAL, elapsed_s, team="h", player="h4", situation=Situation.PENALTY)


def missed(outcome: ShotOutcome, event_id: str = "s", elapsed_s: float = 660.0) -> MatchEvent:
    return event(
        event_id, EventType.SHOT, elapsed_s, team="h", player="h4", situation=Situation.PENALTY, outcome=outcome
    )


def test_every_likely_outcome_is_prepared(show: Show) -> None:
    show.submit(penalty())
    assert show.counted() == {"build_ups": 1, "prepared": 3}
    assert len(show.generator.imagined) == 3
    assert show.engine.match.state.score.home == 0


def test_the_outcome_that_comes_is_heard_and_the_rest_is_waste(show: Show) -> None:
    show.submit(penalty())
    record = show.submit(scored())
    assert record is not None
    assert record.text.endswith(GOAL)
    assert (record.branch, record.source, record.generated_tokens) == ("goal", "model", 0)
    assert show.counted() == {"build_ups": 1, "prepared": 3, "settled": 1, "ready": 1, "heard": 1}
    wasted = show.engine.metrics.of("branches_wasted")
    # Two candidates of six tokens for each of the two others; a quarter of a second a word.
    assert wasted["tokens"] == 2 * 2 * 6
    assert wasted["speech_ms"] == 250 * (len(SAVED.split()) + len(WIDE.split()))


def test_an_outcome_that_nobody_thought_of_is_written_anew(show: Show) -> None:
    show.submit(penalty())
    record = show.submit(missed(ShotOutcome.POST))
    assert record is not None
    assert record.branch is None
    assert record.text
    assert show.counted() == {"build_ups": 1, "prepared": 3, "settled": 1}


def test_a_branch_that_is_not_true_of_what_came_is_thrown_away(show: Show) -> None:
    show.submit(penalty())
    # A goal of the same side, but no penalty: "from twelve yards" would be wrong.
    record = show.submit(scored().model_copy(update={"situation": Situation.OPEN_PLAY}))
    assert record is not None
    assert record.branch is None
    assert GOAL not in record.text
    assert show.counted()["refused"] == 1


def test_what_was_said_before_is_not_heard_again(show: Show) -> None:
    show.submit(penalty())
    show.submit(scored())
    show.submit(penalty("p2", 1200.0))
    again = show.submit(scored("g2", 1260.0))
    assert again is not None
    assert GOAL not in again.text


def test_a_real_cue_ends_the_decoding_of_branches_at_once(show: Show) -> None:
    show.generator.hold.set()
    show.stopped_s += 60.0
    show.engine.submit(penalty()).result(WAIT_S)
    deadline = time.monotonic() + WAIT_S
    while not show.generator.imagined and time.monotonic() < deadline:
        time.sleep(0.005)
    assert show.generator.imagined
    assert not show.engine.idle()
    show.generator.hold.clear()
    show.stopped_s += 60.0
    record = show.engine.submit(event("c", EventType.CARD, 640.0, team="a", player="a5", card="yellow")).result(WAIT_S)
    assert show.generator.cancelled.is_set()
    assert record is not None
    assert record.text
    # Nothing is lost: with the models free again it goes on where it was.
    assert show.engine.wait_idle(WAIT_S)
    assert show.counted()["prepared"] == 3


def test_closing_leaves_no_thread(small_match: MatchInfo) -> None:
    made = Show(small_match)
    made.generator.hold.set()
    made.engine.submit(penalty())
    made.engine.close(drain_s=0)
    assert not [thread for thread in threading.enumerate() if thread.name == "branches" and thread.is_alive()]


FOLLOWING = st.sampled_from(["goal", "own_goal", "other_goal", "saved", "off_target", "blocked", "post", "card", "p"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(FOLLOWING, st.sampled_from([None, *Situation]), st.sampled_from(["h4", "h9", "a9", None])),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_follows_no_wrong_branch_is_heard(
    small_match: MatchInfo, plan: list[tuple[str, Situation | None, str | None]]
) -> None:
    made, gate = Show(small_match), gate_of(small_match)
    try:
        made.submit(penalty())
        for number, (what, situation, player) in enumerate(plan):
            came = following(f"e{number}", 620.0 + 60.0 * number, what, situation, player)
            record = made.submit(came)
            if record is None or record.branch is None:
                continue
            assert record.branch == outcome_of(came)
            words = record.text.removeprefix(record.opener).strip()
            cue = Cue(facts_of(came, made.engine.match.state), Urgency.URGENT, "", 20.0, 24, True, 0.5)
            assert gate.check(words, cue, context=record.opener).ok, (record.text, came)
    finally:
        made.engine.close(drain_s=0)


def following(
    event_id: str, elapsed_s: float, what: str, situation: Situation | None, player: str | None
) -> MatchEvent:
    side = player[0] if player else "h"
    if what == "p":
        return penalty(event_id, elapsed_s)
    if what == "card":
        return event(event_id, EventType.CARD, elapsed_s, team=side, card="yellow")
    if what == "own_goal":
        return event(event_id, EventType.OWN_GOAL, elapsed_s, team=side, player=player)
    if what in ("goal", "other_goal"):
        side = side if what == "goal" else {"h": "a", "a": "h"}[side]
        player = player if what == "goal" else None
        return event(event_id, EventType.GOAL, elapsed_s, team=side, player=player, situation=situation)
    return event(
        event_id,
        EventType.SHOT,
        elapsed_s,
        team=side,
        player=player,
        situation=situation,
        outcome=ShotOutcome(what),
    )
