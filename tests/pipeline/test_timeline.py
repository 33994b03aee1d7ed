from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commentary_llm.pipeline.timeline import BREATH_S, Segment, SpeechTimeline
from commentary_llm.script.cue import Urgency

RATE = 1000


def say(
    timeline: SpeechTimeline,
    event_id: str,
    now_s: float,
    length_s: float,
    urgency: Urgency = Urgency.NOTE,
    interruptible: bool = True,
) -> Segment:
    segment = timeline.open(event_id, "text", RATE, urgency, interruptible, now_s)
    segment.word_edges_s = tuple(np.arange(0.5, length_s + 0.01, 0.5))
    assert timeline.append(segment, np.ones(round(length_s * RATE), np.float32))
    timeline.complete(segment)
    return segment


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0.1, 4), st.booleans()), min_size=1, max_size=20))
def test_segments_never_overlap(lines: list[tuple[float, float, bool]]) -> None:
    timeline, now, segments = SpeechTimeline(), 0.0, []
    for i, (wait, length, release) in enumerate(lines):
        now += wait
        segments.append(say(timeline, str(i), now, length))
        if release:
            timeline.release(now)
    for left, right in itertools.pairwise(segments):
        assert right.start_s >= left.end_s + BREATH_S - 1e-9


def test_a_clause_follows_after_the_pause_asked_for() -> None:
    timeline = SpeechTimeline()
    first = say(timeline, "a", 10.0, 1.0)
    second = timeline.open("a", "text", RATE, Urgency.NOTE, True, 10.1, pause_s=0.06)
    assert second.start_s == pytest.approx(first.end_s + 0.06)


def test_urgent_cue_cuts_at_the_next_word_edge() -> None:
    timeline = SpeechTimeline()
    playing = say(timeline, "a", 0.0, 3.0)
    queued = say(timeline, "b", 0.0, 2.0)
    assert timeline.cut(1.2, below=Urgency.URGENT) == [playing, queued]
    assert playing.cut_s == 1.5
    assert queued.cut_s == 0.0
    pcm = playing.pcm()
    assert len(pcm) == 1500
    assert pcm[-1] == 0.0
    assert say(timeline, "goal", 1.2, 1.0, Urgency.URGENT, False).start_s == pytest.approx(1.5 + BREATH_S)


def test_goal_call_is_not_cut() -> None:
    timeline = SpeechTimeline()
    say(timeline, "goal", 0.0, 3.0, Urgency.KEY, interruptible=False)
    assert timeline.cut(1.0, below=Urgency.URGENT) == []


def test_last_word_is_finished() -> None:
    timeline = SpeechTimeline()
    say(timeline, "a", 0.0, 3.0)
    assert timeline.cut(2.8, below=Urgency.URGENT) == []


def test_segment_cut_while_it_grows_takes_no_more_sound() -> None:
    timeline = SpeechTimeline()
    segment = timeline.open("a", "text", RATE, Urgency.NOTE, True, 0.0)
    segment.word_edges_s = (0.4, 0.8, 2.0)
    assert timeline.append(segment, np.ones(600, np.float32))
    timeline.cut(0.1, below=Urgency.URGENT)
    assert segment.cut_s == 0.4
    assert not timeline.append(segment, np.ones(600, np.float32))


def test_release_hands_out_only_what_has_ended() -> None:
    timeline = SpeechTimeline()
    a, b = say(timeline, "a", 0.0, 1.0), say(timeline, "b", 0.0, 1.0)
    assert timeline.release(0.9) == []
    assert timeline.release(1.0) == [a]
    assert timeline.release(10.0) == [b]
    assert timeline.busy(10.0).urgency is None


def test_busy_tells_what_the_voice_is_committed_to() -> None:
    timeline = SpeechTimeline()
    say(timeline, "a", 0.0, 1.0, Urgency.NOTE)
    say(timeline, "b", 0.0, 1.0, Urgency.KEY, interruptible=False)
    busy = timeline.busy(0.5)
    assert busy.until_s == pytest.approx(2.0 + BREATH_S)
    assert busy.urgency is Urgency.KEY
    assert not busy.interruptible
