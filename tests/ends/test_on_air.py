"""The stream of speech: every sample once, at its time, cut where the engine cuts."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from commentary_llm.ends.contract import AirBlock, AirEvent, ClauseOffAir, ClauseOnAir, HandedOver
from commentary_llm.ends.loop import BLOCK_S, EndsLoop
from commentary_llm.ends.on_air import DELAY_S, OnAir
from commentary_llm.ends.segment_reader import SegmentReader
from commentary_llm.ground.clock import StreamClock
from commentary_llm.session.timeline import Segment

RATE = 1000
BLOCK = round(BLOCK_S * RATE)


class Heard:
    """Collects the stream and what is told about it."""

    def __init__(self) -> None:
        self.pcm = bytearray()
        self.told: list[tuple[str, str, float]] = []
        self.handed_over: list[tuple[str, int]] = []  # cue, samples of the stream out by then

    def take(self, event: AirEvent) -> None:
        if isinstance(event, AirBlock):
            self.pcm += event.pcm
        elif isinstance(event, ClauseOnAir):
            self.told.append(("began", event.segment.text, round(event.at_s, 3)))
        elif isinstance(event, ClauseOffAir):
            self.told.append(("ended", event.segment.text, round(event.at_s, 3)))
        elif isinstance(event, HandedOver):
            self.handed_over.append((event.event_id, len(self.pcm) // 2))

    def samples(self) -> np.ndarray:
        return np.frombuffer(bytes(self.pcm), "<i2")


class Player:
    """An `OnAir` moved by hand: `to(t)` plays up to stream time t."""

    def __init__(self) -> None:
        self.heard = Heard()
        clock = StreamClock(start_s=DELAY_S, monotonic=lambda: 0.0)
        self.on_air = OnAir("small", clock, RATE, self.heard.take)

    def say(self, text: str, seconds: float, start_s: float, level: float = 0.5, whole: bool = True) -> Segment:
        segment = Segment(event_id=text, text=text, start_s=start_s, sample_rate_hz=RATE)
        self.on_air.place(segment)
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
    assert asyncio.run(player.on_air.play_out(0.0))


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
    assert player.on_air.late_s == 0.2
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
    assert 0 < samples[595] < 16383
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
    assert asyncio.run(player.on_air.play_out(0.0))


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


def test_it_plays_in_real_time_and_stops_when_told(loop: EndsLoop) -> None:
    heard, clock, got = Heard(), StreamClock(), threading.Event()

    def take(event: AirEvent) -> None:
        heard.take(event)
        if len(heard.pcm) >= 20 * 2 * BLOCK:
            got.set()

    on_air = OnAir("small", clock, RATE, take)
    loop.call(loop.add_player, on_air.tick)
    assert got.wait(20)
    loop.call(loop.remove_player, on_air.tick)
    played_s = len(heard.samples()) / RATE
    assert played_s <= clock.now_s() + BLOCK_S  # never ahead of time
    count = len(heard.pcm)
    time.sleep(3 * BLOCK_S)
    assert len(heard.pcm) == count


def test_a_cue_is_handed_over_with_the_block_that_holds_its_first_audible_sample() -> None:
    player = Player()
    quiet = player.say("goal", 0.1, start_s=0.0, level=0.001, whole=False)
    player.to(0.08)
    player.add(quiet, 0.2, level=0.5)  # audible from 0.1 s on
    quiet.complete = True
    player.to(0.1)
    assert not player.heard.handed_over
    player.to(0.5)
    assert player.heard.handed_over == [("goal", 120)]  # the block from 0.10 to 0.12 s
    more = player.say("goal", 0.2, start_s=0.6)
    more.text = "and more"
    player.say("card", 0.2, start_s=0.9)
    player.to(2.0)
    assert player.heard.handed_over == [("goal", 120), ("card", 920)]  # each cue once


def test_a_cue_whose_first_clause_cannot_be_heard_is_handed_over_with_the_next() -> None:
    player = Player()
    player.say("cue", 0.1, start_s=0.0, level=0.0)
    player.say("cue", 0.1, start_s=0.2)
    player.to(1.0)
    assert player.heard.handed_over == [("cue", 220)]


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), max_size=6), st.lists(st.integers(1, 40), max_size=12), st.floats(0, 0.3))
def test_reading_on_gives_what_the_whole_segment_is(chunks: list[int], reads: list[int], cut_s: float) -> None:
    whole = np.random.default_rng(1).uniform(-1, 1, sum(chunks)).astype(np.float32)
    segment = Segment("e", "text", 0.0, RATE)
    segment.chunks = list(np.split(whole, np.cumsum(chunks)[:-1])) if chunks else []
    segment.samples = len(whole)
    for cut in (None, cut_s):
        segment.cut_s = cut
        reader = SegmentReader(segment)
        read = [reader.read(count) for count in [*reads, 1000]]
        np.testing.assert_array_equal(np.concatenate(read), segment.pcm())
        assert reader.left() == 0


def test_each_sample_is_looked_at_once() -> None:
    """Defect: the whole clause was joined several times every 20 ms."""
    player = Player()
    segment = player.say("long", 0.0, start_s=0.0, whole=False)
    looked_at = 0

    class Counted(np.ndarray):
        def __getitem__(self, key: slice) -> np.ndarray:  # type: ignore[override]
            nonlocal looked_at
            piece = np.asarray(self)[key]
            looked_at += len(piece)
            return piece

    for _ in range(100):
        segment.chunks.append(np.full(BLOCK, 0.5, np.float32).view(Counted))
        segment.samples += BLOCK
    segment.complete = True
    player.to(10.0)
    assert len(np.flatnonzero(player.heard.samples())) == 100 * BLOCK
    assert looked_at <= 2 * 100 * BLOCK  # to play it, and to find out from where it can be heard
