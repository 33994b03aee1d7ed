"""The stream of speech: every sample once, at its time, cut where the engine cuts."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from commentary_llm.ends.on_air import BLOCK_S, DELAY_S, OnAir
from commentary_llm.ground.clock import StreamClock
from commentary_llm.session.events import SegmentPlaced
from commentary_llm.session.timeline import Segment

RATE = 1000
BLOCK = round(BLOCK_S * RATE)


class Heard:
    """Collects the stream and what is told about it."""

    def __init__(self) -> None:
        self.pcm = bytearray()
        self.told: list[tuple[str, str, float]] = []

    def began(self, segment: Segment, at_s: float) -> None:
        self.told.append(("began", segment.text, round(at_s, 3)))

    def ended(self, segment: Segment, at_s: float) -> None:
        self.told.append(("ended", segment.text, round(at_s, 3)))

    def samples(self) -> np.ndarray:
        return np.frombuffer(bytes(self.pcm), "<i2")


class Player:
    """An `OnAir` moved by hand: `to(t)` plays up to stream time t."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.on_air = OnAir(StreamClock(start_s=DELAY_S, monotonic=lambda: 0.0), self.heard, self.heard.pcm.extend)
        self.on_air._stop.set()  # its thread ends at once: time is the test's
        self.on_air.start(RATE)
        self.on_air._thread.join()

    def say(self, text: str, seconds: float, start_s: float, level: float = 0.5, whole: bool = True) -> Segment:
        segment = Segment(event_id=text, text=text, start_s=start_s, sample_rate_hz=RATE)
        self.on_air.put(SegmentPlaced("small", segment))
        self.add(segment, seconds, level)
        segment.complete = whole
        return segment

    def add(self, segment: Segment, seconds: float, level: float = 0.5) -> None:
        segment.chunks.append(np.full(round(seconds * RATE), level, np.float32))
        segment.samples += len(segment.chunks[-1])

    def to(self, stream_s: float) -> None:
        self.on_air.advance(stream_s)


def test_speech_lies_at_its_time_with_silence_around() -> None:
    player = Player()
    player.to(0.1)
    player.say("one", 0.5, start_s=0.25)
    player.say("two", 0.3, start_s=0.95)
    player.to(2.0)
    samples = player.heard.samples()
    assert len(samples) == 2000
    loud = np.flatnonzero(samples)
    assert (loud[0], loud[-1]) == (250, 1249)
    assert not samples[750:950].any()
    assert player.heard.told == [
        ("began", "one", 0.25),
        ("ended", "one", 0.75),
        ("began", "two", 0.95),
        ("ended", "two", 1.25),
    ]
    assert player.on_air.play_out(0.0)


def test_speech_placed_in_the_past_is_played_whole_and_at_once() -> None:
    player = Player()
    player.to(1.0)
    player.say("late", 0.3, start_s=0.9)
    player.to(2.0)
    loud = np.flatnonzero(player.heard.samples())
    assert (loud[0], len(loud)) == (1000, 300)


def test_speech_decoded_too_slowly_leaves_a_gap_and_loses_nothing() -> None:
    player = Player()
    segment = player.say("slow", 0.1, start_s=0.0, level=0.25, whole=False)
    player.to(0.3)
    player.add(segment, 0.1, level=0.5)
    segment.complete = True
    player.to(1.0)
    samples = player.heard.samples()
    assert (samples == 8191).sum() == 100
    assert (samples == 16383).sum() == 100
    assert player.on_air.late_samples == 200
    assert player.heard.told == [("began", "slow", 0.0), ("ended", "slow", 0.4)]


def test_a_cut_ends_the_clause_and_what_is_withdrawn_is_never_heard() -> None:
    player = Player()
    first = player.say("first", 1.0, start_s=0.0)
    second = player.say("second", 1.0, start_s=1.2)
    player.to(0.4 - DELAY_S)
    first.cut_s = 0.6
    second.cut_s = 0.0
    player.say("goal", 0.5, start_s=0.8)
    player.to(3.0)
    assert [told[:2] for told in player.heard.told] == [
        ("began", "first"),
        ("ended", "first"),
        ("began", "goal"),
        ("ended", "goal"),
    ]
    samples = player.heard.samples()
    assert samples[599] == 0  # faded out, not chopped
    assert 0 < samples[590] < 16383
    assert not samples[600:800].any()
    assert np.flatnonzero(samples)[-1] == 1299


def test_what_moves_before_it_begins_is_played_where_it_came_to_lie() -> None:
    player = Player()
    talk = player.say("talk", 0.3, start_s=0.5)
    player.to(0.2)
    talk.start_s = 1.0
    player.say("goal", 0.4, start_s=0.3)  # placed later, heard first
    player.to(2.0)
    assert player.heard.told == [
        ("began", "goal", 0.3),
        ("ended", "goal", 0.7),
        ("began", "talk", 1.0),
        ("ended", "talk", 1.3),
    ]


def test_what_is_withdrawn_just_as_it_begins_is_not_stuck() -> None:
    player = Player()
    segment = player.say("gone", 0.5, start_s=0.1, whole=False)
    player.to(0.1)
    segment.cut_s = 0.0
    segment.complete = True
    player.say("next", 0.2, start_s=0.3)
    player.to(1.0)
    assert [told[1] for told in player.heard.told if told[0] == "began"] == ["next"]
    assert player.on_air.play_out(0.0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 400), st.floats(0.001, 0.3)), max_size=8))
def test_every_sample_is_played_once_in_order(lines: list[tuple[float, int, float]]) -> None:
    player = Player()
    now_s, free_s, sent = 0.0, 0.0, []
    for index, (pause_s, count, step_s) in enumerate(lines):
        now_s += pause_s
        player.to(now_s - DELAY_S)
        level = (index + 1) / 10
        segment = player.say(str(index), 0.0, max(now_s, free_s), whole=False)
        for piece in np.array_split(np.full(count, level, np.float32), 3):
            player.add(segment, len(piece) / RATE, level)
            now_s += step_s / 3
            player.to(now_s - DELAY_S)
        segment.complete = True
        free_s = segment.end_s + 0.001
        sent += [int(np.float32(level) * np.float32(32767.0))] * count
    player.to(now_s + 10.0)
    samples = player.heard.samples()
    assert samples[samples != 0].tolist() == sent
    assert len(samples) % BLOCK == 0
    assert [told[:2] for told in player.heard.told] == [
        (what, str(index)) for index in range(len(lines)) for what in ("began", "ended")
    ]


def test_the_thread_plays_in_real_time_and_stops_when_told() -> None:
    heard, clock, got = Heard(), StreamClock(), threading.Event()

    def take(block: bytes) -> None:
        heard.pcm.extend(block)
        if len(heard.pcm) >= 20 * 2 * BLOCK:
            got.set()

    on_air = OnAir(clock, heard, take)
    on_air.start(RATE)
    assert got.wait(20)
    on_air.stop()
    played_s = len(heard.samples()) / RATE
    assert played_s <= clock.now_s() + BLOCK_S  # never ahead of time
    count = len(heard.pcm)
    assert not on_air._thread.is_alive()
    assert len(heard.pcm) == count
