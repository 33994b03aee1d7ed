"""What is on the air: speech played at its time, in real time, with silence between.

The engine places speech on its timeline ahead of the moment it is heard, may move it until it begins, and cut it after
that. This follows the schedule a little behind the clock, so that nothing played has to be taken back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter_ns

import numpy as np

from asr_tts.audio.levels import AUDIBLE_WINDOW_S, audible_windows
from commentary_llm.ends.contract import AirBlock, AirEvent, ClauseOffAir, ClauseOnAir, HandedOver
from commentary_llm.ends.loop import BLOCK_S
from commentary_llm.ends.segment_reader import SegmentReader
from commentary_llm.ground.clock import StreamClock
from commentary_llm.session.timeline import Segment

# The player is this much behind the clock: a segment that is due by then has begun for the timeline too and stays
# (UNHEARD_S there is less), and a cut lies at or after the clock's time, with its fade of 15 ms before that.
DELAY_S = 0.03


class OnAir:
    """Plays each segment when its time comes. Runs on the ends' loop, which calls `tick` every `BLOCK_S`.

    A segment that is decoded more slowly than it is played leaves silence (`late_samples`) and goes on where it was.
    """

    def __init__(
        self, match_id: str, clock: StreamClock, sample_rate_hz: int, publish: Callable[[AirEvent], None]
    ) -> None:
        """The stream begins now, at the voice's rate. `publish` gets its blocks and what is to be heard in them."""
        self._match_id = match_id
        self._clock = clock
        self._rate = sample_rate_hz
        self._publish = publish
        self._waiting: list[Segment] = []  # in no order: until they begin, the engine moves them
        self._current: _Playing | None = None
        self._played = 0  # samples of the stream given out
        self._begin_s = clock.now_s() - DELAY_S
        self._handed_over = ""  # the last cue of which a sample could be heard
        self.late_samples = 0

    def place(self, segment: Segment) -> None:
        """Takes up a segment; it may still move, grow and be cut."""
        self._waiting.append(segment)

    def tick(self) -> None:
        self.advance(self._clock.now_s() - DELAY_S)

    async def play_out(self, timeout_s: float) -> bool:
        """Waits until everything placed so far has been heard; False when it has not been within `timeout_s`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while (busy := self._busy()) and loop.time() < deadline:
            await asyncio.sleep(BLOCK_S)
        return not busy

    def advance(self, until_s: float) -> None:
        """Plays whole blocks up to stream time `until_s`."""
        block = round(BLOCK_S * self._rate)
        due = int((until_s - self._begin_s) * self._rate) - self._played
        for _ in range(due // block):
            heard: list[str] = []
            samples = self._block(block, heard)
            self._publish(AirBlock(self._match_id, (np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()))
            for event_id in heard:
                self._publish(HandedOver(self._match_id, event_id, perf_counter_ns(), self._clock.now_s()))

    def _block(self, count: int, heard: list[str]) -> np.ndarray:
        """The next `count` samples of the stream, float32; cues that can be heard from then on are added to `heard`."""
        samples = np.zeros(count, np.float32)
        done = 0
        while done < count and (playing := self._next(done, count)) is not None:
            segment, reader = playing.segment, playing.reader
            complete = segment.complete  # before its samples: what is complete does not grow
            if not playing.announced:
                playing.announced = True
                done = max(done, round(self._due(segment)))
                self._publish(ClauseOnAir(self._match_id, segment, self._now_s(done)))
            piece = reader.read(count - done)
            samples[done : done + len(piece)] = piece
            done += len(piece)
            if segment.event_id != self._handed_over and playing.audible():
                self._handed_over = segment.event_id
                heard.append(segment.event_id)
            if complete and not reader.left():
                self._publish(ClauseOffAir(self._match_id, segment, self._now_s(done)))
                self._current = None
            elif done < count:
                self.late_samples += count - done
                break
        self._played += count
        return samples

    def _next(self, done: int, count: int) -> _Playing | None:
        """The segment playing, or the one that begins next if that is within this block."""
        if self._current is not None or not self._waiting:
            return self._current
        self._leave_out_withdrawn()
        first = min(self._waiting, key=lambda segment: segment.start_s, default=None)
        if first is None or max(done, self._due(first)) > count - 1 or not first.samples:
            return None
        self._waiting.remove(first)
        self._current = _Playing(first)
        return self._current

    def _busy(self) -> bool:
        self._leave_out_withdrawn()
        return bool(self._waiting) or self._current is not None

    def _leave_out_withdrawn(self) -> None:
        """What was withdrawn before it began is complete and empty."""
        self._waiting = [each for each in self._waiting if not each.complete or SegmentReader(each).left()]

    def _due(self, segment: Segment) -> float:
        """At which sample of the running block the segment should begin; negative when it is late."""
        return (segment.start_s - self._begin_s) * self._rate - self._played

    def _now_s(self, done: int) -> float:
        return self._begin_s + (self._played + done) / self._rate


class _Playing:
    """The segment that is heard."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.reader = SegmentReader(segment)
        self.announced = False  # whether the sinks know of it
        self._scout = SegmentReader(segment)  # looks for the first audible sample, ahead of what is played
        self._window = max(1, round(AUDIBLE_WINDOW_S * segment.sample_rate_hz))
        self._audible_from: int | None = None

    def audible(self) -> bool:
        """Whether what was read so far holds the segment's first audible sample."""
        complete = self.segment.complete
        while self._audible_from is None and (
            self._scout.left() >= self._window or (complete and self._scout.left() > 0)
        ):
            start = self._scout.position
            if audible_windows(self._scout.read(self._window), self.segment.sample_rate_hz).any():
                self._audible_from = start
        return self._audible_from is not None and self.reader.position > self._audible_from
