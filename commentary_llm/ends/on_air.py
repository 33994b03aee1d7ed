"""What is on the air: speech played at its time, in real time, with silence between.

The engine places speech on its timeline ahead of the moment it is heard, may move it until it begins, and cut it after
that. This follows the schedule a little behind the clock, so that nothing played has to be taken back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Protocol

import numpy as np

from commentary_llm.ground.clock import StreamClock
from commentary_llm.session.events import SegmentPlaced, SessionEvent
from commentary_llm.session.timeline import Segment

BLOCK_S = 0.02  # how often the stream goes on: the usual frame of speech codecs
# The player is this much behind the clock: a segment that is due by then has begun for the timeline too and stays
# (UNHEARD_S there is less), and a cut lies at or after the clock's time, with its fade of 15 ms before that.
DELAY_S = 0.03


class Listener(Protocol):
    """Is told when a clause can be heard: its first sample, and its end (which a cut may bring early)."""

    def began(self, segment: Segment, at_s: float) -> None: ...

    def ended(self, segment: Segment, at_s: float) -> None: ...


class OnAir:
    """Plays each segment when its time comes. `put` comes from the engine; a thread of its own does the rest.

    `pcm` is given the stream as s16le mono, a block at a time, starting when `start` is called. A segment that is
    decoded more slowly than it is played leaves silence (`late_samples`) and goes on where it was.
    """

    def __init__(self, clock: StreamClock, listener: Listener, pcm: Callable[[bytes], None] | None) -> None:
        self._clock = clock
        self._rate = 0
        self._listener = listener
        self._pcm = pcm
        self._waiting: list[Segment] = []  # in no order: until they begin, the engine moves them
        self._current: Segment | None = None
        self._cursor = 0  # samples of the current segment played
        self._announced = False  # whether the listener knows of the current segment
        self._played = 0  # samples of the stream given out
        self._begin_s = 0.0
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self.late_samples = 0
        self._thread = threading.Thread(target=self._run, name="on-air", daemon=True)

    def put(self, event: SessionEvent) -> None:
        """Takes up each segment that is placed; it may still move, grow and be cut. Never waits long."""
        if isinstance(event, SegmentPlaced):
            with self._changed:
                self._waiting.append(event.segment)

    def start(self, sample_rate_hz: int) -> None:
        """The stream begins now, at the voice's rate."""
        self._rate = sample_rate_hz
        self._begin_s = self._clock.now_s() - DELAY_S
        self._thread.start()

    def play_out(self, timeout_s: float) -> bool:
        """Waits until everything placed so far has been heard; False when it has not been within `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and self._current is None, timeout_s)

    def stop(self) -> None:
        """Ends the stream at once. Idempotent."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _run(self) -> None:
        next_tick = monotonic()
        while not self._stop.is_set():
            self.advance(self._clock.now_s() - DELAY_S)
            next_tick = max(next_tick + BLOCK_S, monotonic())
            self._stop.wait(next_tick - monotonic())

    def advance(self, until_s: float) -> None:
        """Plays whole blocks up to stream time `until_s`."""
        block = round(BLOCK_S * self._rate)
        due = int((until_s - self._begin_s) * self._rate) - self._played
        for _ in range(due // block):
            samples = self._block(block)
            if self._pcm is not None:
                self._pcm((np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes())

    def _block(self, count: int) -> np.ndarray:
        """The next `count` samples of the stream, float32."""
        samples = np.zeros(count, np.float32)
        done = 0
        while done < count and (segment := self._next(done, count)) is not None:
            complete = segment.complete  # before its samples: what is complete does not grow
            if not self._announced:
                self._announced = True
                done = max(done, round(self._due(segment)))
                self._listener.began(segment, self._now_s(done))
            piece = segment.pcm()[self._cursor : self._cursor + count - done]
            samples[done : done + len(piece)] = piece
            self._cursor += len(piece)
            done += len(piece)
            if complete and self._cursor >= len(segment.pcm()):
                self._listener.ended(segment, self._now_s(done))
                with self._changed:
                    self._current = None
                    self._changed.notify_all()
            elif done < count:
                self.late_samples += count - done
                break
        self._played += count
        return samples

    def _next(self, done: int, count: int) -> Segment | None:
        """The segment playing, or the one that begins next if that is within this block."""
        with self._changed:
            if self._current is not None:
                return self._current
            # What was withdrawn before it began is complete and empty.
            self._waiting = [segment for segment in self._waiting if not (segment.complete and not len(segment.pcm()))]
            if not self._waiting:
                self._changed.notify_all()
                return None
            first = min(self._waiting, key=lambda segment: segment.start_s)
            if max(done, self._due(first)) > count - 1 or not first.samples:
                return None
            self._waiting.remove(first)
            self._current, self._cursor, self._announced = first, 0, False
            return first

    def _due(self, segment: Segment) -> float:
        """At which sample of the running block the segment should begin; negative when it is late."""
        return (segment.start_s - self._begin_s) * self._rate - self._played

    def _now_s(self, done: int) -> float:
        return self._begin_s + (self._played + done) / self._rate
