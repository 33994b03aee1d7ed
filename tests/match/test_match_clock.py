from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commentary_llm.ground.errors import InputError
from commentary_llm.match import MatchTime


@pytest.mark.parametrize(
    ("text", "period", "elapsed_s", "label"),
    [
        ("1", 1, 0, "1"),
        ("23", 1, 22 * 60, "23"),
        ("23:10", 1, 23 * 60 + 10, "24"),
        ("0:00", 1, 0, "1"),
        ("45", 1, 44 * 60, "45"),
        ("45+2:30", 1, 47 * 60 + 30, "45+3"),
        ("45+1", 1, 45 * 60, "45+1"),
        ("45:00", 2, 0, "46"),
        ("46", 2, 0, "46"),
        ("90+4", 2, 48 * 60, "90+4"),
        ("91", 3, 0, "91"),
        ("105+1", 3, 15 * 60, "105+1"),
        ("118", 4, 12 * 60, "118"),
        ("120+3'", 4, 17 * 60, "120+3"),
    ],
)
def test_reads_football_clocks(text: str, period: int, elapsed_s: float, label: str) -> None:
    time = MatchTime.parse(text)
    assert time == MatchTime(period, elapsed_s)
    assert time.label == label


@pytest.mark.parametrize(
    ("text", "period", "message"),
    [
        ("", None, "is not a match time; write it like"),
        ("90+", None, "is not a match time"),
        ("23:60", None, "is not a match time"),
        ("-3", None, "is not a match time"),
        ("0", None, "minutes count from one"),
        ("60+2", None, "stoppage time follows minute 45, 90, 105 or 120, not 60"),
        ("90+0", None, "stoppage minutes count from one"),
        ("90+4", 1, "is in period 2, but period 1 is given"),
        ("130", None, "past minute 120; give the period"),
        ("23", 2, "before the kick-off of period 2, at minute 45"),
        ("23", 9, "period 9 does not exist"),
    ],
)
def test_refuses_what_is_no_clock(text: str, period: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("+", r"\+")):
        MatchTime.parse(text, period)


def test_a_given_period_lets_a_reading_run_past_the_half() -> None:
    assert MatchTime.parse("46:10", 1).label == "45+2"
    assert MatchTime.parse("121:00", 5).label == "pens"


@given(st.integers(1, 4), st.floats(0, 7200))
def test_labels_read_back_to_the_start_of_their_minute(period: int, elapsed_s: float) -> None:
    time = MatchTime(period, elapsed_s)
    if time.added < 100:
        assert MatchTime.parse(time.label) == MatchTime(period, elapsed_s // 60 * 60)
    assert time.minute >= 1
    assert time.added >= 0


def test_orders_stoppage_time_before_the_next_half() -> None:
    assert MatchTime.parse("45+7") < MatchTime.parse("46") < MatchTime(5, 0)


@pytest.mark.parametrize(("period", "elapsed_s"), [(0, 1), (6, 1), (1, -1), (1, float("nan"))])
def test_refuses_impossible_times(period: int, elapsed_s: float) -> None:
    with pytest.raises(InputError):
        MatchTime(period, elapsed_s)
