"""Stream time to sound: properties of the layout."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commentary_llm.ends.layout import LEAD_IN_S, LEAD_OUT_S, MAX_PAUSE_S, Layout


@st.composite
def spoken_intervals(draw: st.DrawFn) -> list[tuple[float, float]]:
    at = draw(st.floats(0, 100))
    intervals = []
    for _ in range(draw(st.integers(1, 30))):
        length = draw(st.floats(0.1, 12))
        intervals.append((at, at + length))
        at += length + draw(st.floats(0.05, 300))
    return intervals


@given(spoken_intervals())
def test_compact_keeps_speech_whole_and_pauses_short(intervals: list[tuple[float, float]]) -> None:
    layout = Layout.compact(intervals)
    previous_end = None
    for start, end in intervals:
        at, until = layout.sound_s(start), layout.sound_s(end)
        assert until - at == pytest.approx(end - start, abs=1e-6)
        if previous_end is not None:
            assert -1e-6 <= at - previous_end <= MAX_PAUSE_S + 1e-6
        previous_end = until
    assert layout.sound_s(intervals[0][0]) == pytest.approx(LEAD_IN_S)
    assert layout.duration_s == pytest.approx(previous_end + LEAD_OUT_S)


@given(spoken_intervals())
def test_spans_are_seamless_in_the_sound(intervals: list[tuple[float, float]]) -> None:
    spans = Layout.compact(intervals).spans
    for left, right in itertools.pairwise(spans):
        assert left.sound_end_s == pytest.approx(right.sound_start_s)
        assert left.stream_end_s <= right.stream_start_s


def test_short_pauses_are_left_alone() -> None:
    layout = Layout.compact([(10.0, 12.0), (13.5, 15.0)])
    assert len(layout.spans) == 1
    assert layout.sound_s(13.5) - layout.sound_s(12.0) == pytest.approx(1.5)


def test_full_is_real_time() -> None:
    layout = Layout.full(100.0, 160.0)
    assert layout.sound_s(130.0) == 30.0
    assert layout.duration_s == 60.0


def test_nothing_said_is_an_empty_sound() -> None:
    assert Layout.compact([]).duration_s == 0.0
