"""The recogniser run continuously beside live streams: one thread for any number of them.

    pool = ListeningPool(recognizer)          # one for a process group; a thread runs its `run`
    ear = pool.open(start_s=clock.now_s())    # one for each stream
    ear.push(samples)
    ear.transcript(now_s, 10.0).text

Every `hop_s` seconds of a stream its newest `window_s` are due. The thread takes the windows of all streams, those due
longest first, in batches of at most the recogniser's `best_batch`. When it is slower than the streams, windows are
dropped and counted, never queued: of each stream the newest is transcribed.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from asr_tts.audio.ring_buffer import RingBuffer
from asr_tts.interfaces import Recognizer, Transcript
from asr_tts.recognizer.features import SAMPLE_RATE_HZ
from asr_tts.recognizer.stitch import stitch
from commentary_llm.ground.errors import ConfigError, EngineError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ListenerStats:
    """Of one stream since its start; times are of the batches that its windows were in."""

    windows: int = 0
    dropped_windows: int = 0  # due while an earlier one was still being transcribed; the newest is taken instead
    failed_windows: int = 0
    last_error: str = ""
    last_ms: float = 0.0
    max_ms: float = 0.0


class StreamEar:
    """One stream: its newest sound and what was heard of it. Made by `ListeningPool.open`; has no thread. Thread-safe.

    The ring holds one window and two hops of sound.
    """

    def __init__(self, pool: ListeningPool, start_s: float) -> None:
        self._pool = pool
        self._changed = pool.changed
        self._start_s = start_s
        self._ring = RingBuffer(pool.window_samples + 2 * pool.hop_samples)
        self._heard: deque[Transcript] = deque(maxlen=pool.kept_windows)
        self._stats = ListenerStats()
        self._due = pool.hop_samples  # the stream's length at which its next window is due
        self._busy = False
        self._closed = False
        self.due_since_s = math.inf  # of the monotonic clock; infinite while no window is due

    def push(self, samples: np.ndarray) -> None:
        """Appends (N,) float32 mono 16 kHz samples. Never waits for the recogniser. Raises EngineError once closed."""
        if self._closed:
            raise EngineError("listener: push after close; open a new ear for a new stream")
        if self._ring.write(samples) < self._due:
            return
        with self._changed:
            if self._ring.written_samples >= self._due and math.isinf(self.due_since_s) and not self._closed:
                self.due_since_s = time.perf_counter()
                self._changed.notify_all()

    def transcript(self, now_s: float, window_s: float) -> Transcript:
        """What has been heard of [now_s - window_s, now_s] so far; does not wait.

        The newest transcript that ends by `now_s`, continued into the past by older ones where the window asks for
        more. Whole windows are joined, so it may reach further back than asked: `start_s` and `end_s` say what the
        text covers. When nothing of that time has been transcribed yet, the text is ''.
        """
        with self._changed:
            heard = [item for item in self._heard if item.end_s <= now_s and item.end_s > now_s - window_s]
        if not heard:
            return Transcript("", now_s - window_s, now_s, no_speech_prob=1.0, mean_logprob=0.0)
        joined = heard[-1]
        for older in reversed(heard[:-1]):
            if joined.start_s <= now_s - window_s:
                break
            # One hop of overlap where there is one, so that a word cut by one window's edge is whole in the other.
            if older.end_s <= joined.start_s + self._pool.hop_samples / SAMPLE_RATE_HZ:
                joined = _join(older, joined)
        return joined

    def stats(self) -> ListenerStats:
        with self._changed:
            return self._stats

    def wait_idle(self, timeout_s: float) -> bool:
        """Waits until every window that is due has been transcribed; False when `timeout_s` passed first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy and math.isinf(self.due_since_s), timeout_s)

    def close(self) -> None:
        """Ends the stream; a window in progress is heard by nobody. Never waits. Idempotent."""
        with self._changed:
            self._closed = True
            self.due_since_s = math.inf
            self._pool.forget(self)
            self._changed.notify_all()

    def take(self) -> tuple[np.ndarray, float]:
        """The newest window and when it starts; those due before it are dropped. With the pool's lock held."""
        late = (self._ring.written_samples - self._due) // self._pool.hop_samples
        self._due += (late + 1) * self._pool.hop_samples
        self._stats = replace(self._stats, dropped_windows=self._stats.dropped_windows + late)
        self.due_since_s = math.inf
        self._busy = True
        position, samples = self._ring.newest(self._pool.window_samples)
        return samples, self._start_s + position / SAMPLE_RATE_HZ

    def give(self, heard: Transcript | EngineError, taken_ms: float) -> None:
        """What became of the window taken. With the pool's lock held."""
        self._busy = False
        stats = self._stats
        if isinstance(heard, EngineError):
            self._stats = replace(stats, failed_windows=stats.failed_windows + 1, last_error=str(heard))
            return
        self._heard.append(heard)
        self._stats = replace(stats, windows=stats.windows + 1, last_ms=taken_ms, max_ms=max(stats.max_ms, taken_ms))


class ListeningPool:
    """Hears any number of streams, and always has a transcript of each ready. Thread-safe."""

    def __init__(
        self, recognizer: Recognizer, *, window_s: float = 10.0, hop_s: float = 2.5, keep_s: float = 120.0
    ) -> None:
        """Transcripts of the last `keep_s` seconds of a stream are kept."""
        if not 0.0 < hop_s <= window_s:
            raise ConfigError(f"listener: hop_s is {hop_s} and window_s {window_s}; expected 0 < hop_s <= window_s")
        if keep_s < window_s:
            raise ConfigError(f"listener: keep_s is {keep_s}; expected at least window_s ({window_s})")
        self._recognizer = recognizer
        self.window_samples = round(window_s * SAMPLE_RATE_HZ)
        self.hop_samples = round(hop_s * SAMPLE_RATE_HZ)
        self.kept_windows = math.ceil(keep_s / hop_s)
        self.changed = threading.Condition(threading.RLock())
        self._ears: list[StreamEar] = []
        self._closing = False
        self._running = False

    def open(self, start_s: float = 0.0) -> StreamEar:
        """Hears one more stream; `start_s` is the stream time of its first sample. Raises EngineError once closed."""
        with self.changed:
            if self._closing:
                raise EngineError("listener: the pool is closed; it hears no more streams")
            ear = StreamEar(self, start_s)
            self._ears.append(ear)
            return ear

    def forget(self, ear: StreamEar) -> None:
        """Drops a stream that is closed."""
        with self.changed:
            if ear in self._ears:
                self._ears.remove(ear)

    def close(self, timeout_s: float = 10.0) -> None:
        """Closes all streams and lets `run` return after the batch in progress.

        Raises EngineError when that takes longer than `timeout_s`.
        """
        with self.changed:
            self._closing = True
            for ear in tuple(self._ears):
                ear.close()
            self.changed.notify_all()
            if not self.changed.wait_for(lambda: not self._running, timeout_s):
                raise EngineError(f"listener: the recogniser did not finish its windows within {timeout_s:g} s")

    def run(self) -> None:
        """Hears all streams until `close`; somebody gives it a thread."""
        with self.changed:
            self._running = True
        try:
            self._hear()
        finally:
            with self.changed:
                self._running = False
                self.changed.notify_all()

    def _hear(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self._closing or self._due())
                if self._closing:
                    return
                due = sorted(self._due(), key=lambda ear: ear.due_since_s)[: self._recognizer.best_batch]
                windows = [ear.take() for ear in due]
            started = time.perf_counter()
            heard = self._transcribe(windows)
            taken_ms = 1e3 * (time.perf_counter() - started)
            with self.changed:
                for ear, result in zip(due, heard, strict=True):
                    ear.give(result, taken_ms)
                self.changed.notify_all()

    def _due(self) -> list[StreamEar]:
        return [ear for ear in self._ears if math.isfinite(ear.due_since_s)]

    def _transcribe(self, windows: Sequence[tuple[np.ndarray, float]]) -> Sequence[Transcript | EngineError]:
        try:
            return self._recognizer.transcribe_many(windows)
        except EngineError as error:
            # A match goes on without its stadium sound; the failure is counted, shown and logged.
            logger.warning("stadium sound was not recognised: %s", error)
            return [error] * len(windows)


def _join(older: Transcript, newer: Transcript) -> Transcript:
    return Transcript(
        stitch(older.text, newer.text),
        older.start_s,
        newer.end_s,
        min(older.no_speech_prob, newer.no_speech_prob),
        min(older.mean_logprob, newer.mean_logprob),
    )
