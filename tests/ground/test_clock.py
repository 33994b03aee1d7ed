from __future__ import annotations

import pytest

from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.errors import ConfigError
from commentary_llm.match import EventType, MatchEvent
from commentary_llm.match.feeds.schedule import BREAK_S, Pace, StreamTimes


class FakeTime:
    def __init__(self) -> None:
        self.t = 1000.0

    def __call__(self) -> float:
        return self.t


def event(period: int, elapsed_s: float) -> MatchEvent:
    return MatchEvent(event_id=f"{period}-{elapsed_s}", type=EventType.CORNER, period=period, elapsed_s=elapsed_s)


def test_clock_runs_and_jumps_only_forward() -> None:
    monotonic = FakeTime()
    clock = StreamClock(5.0, monotonic)
    assert clock.now_s() == pytest.approx(5.0)
    monotonic.t += 2
    clock.jump_to(60.0)
    assert clock.now_s() == pytest.approx(60.0)
    clock.jump_to(10.0)
    monotonic.t += 1
    assert clock.now_s() == pytest.approx(61.0)


def test_clock_can_be_set_before_the_first_event() -> None:
    monotonic = FakeTime()
    clock = StreamClock(0.0, monotonic)
    monotonic.t += 20  # loading the models
    clock.start_at(3.0)
    assert clock.now_s() == pytest.approx(3.0)


@pytest.mark.parametrize(("text", "factor"), [("max", None), ("1x", 1.0), ("60x", 60.0), ("2.5", 2.5), ("MAX", None)])
def test_pace(text: str, factor: float | None) -> None:
    assert Pace.parse(text).factor == factor


@pytest.mark.parametrize("text", ["", "fast", "0x", "-1x", "1y", "nan", "1e9x"])
def test_bad_pace_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"speed .*expected 'max' or a factor"):
        Pace.parse(text)


def test_periods_follow_one_another() -> None:
    times = StreamTimes.lay_out([event(1, 0), event(1, 2900), event(2, 0), event(2, 3000)])
    assert times(event(1, 2900)) == 2900
    assert times(event(2, 0)) == 2900 + BREAK_S


def test_kickoffs_place_periods_in_a_recording() -> None:
    times = StreamTimes.lay_out([event(1, 2800), event(2, 10)], {1: 120.0, 2: 4000.0})
    assert times(event(1, 10)) == 130
    assert times(event(2, 10)) == 4010


def test_kickoff_inside_the_period_before_is_refused() -> None:
    with pytest.raises(ConfigError, match="kick-off of period 2 at 1000 s"):
        StreamTimes.lay_out([event(1, 2800), event(2, 10)], {2: 1000.0})
