"""The recogniser run continuously beside a live stream."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
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
    """Counts since the start; times are of whole windows."""

    windows: int = 0
    dropped_windows: int = 0  # due while an earlier one was still being transcribed; the newest is taken instead
    failed_windows: int = 0
    last_error: str = ""
    last_ms: float = 0.0
    max_ms: float = 0.0


class Listener:
    """Hears a stream as it comes and always has a transcript ready.

    Every `hop_s` seconds of sound the newest `window_s` are transcribed in a thread of its own. The ring holds one
    window and two hops of sound; when the recogniser is slower than the stream, windows are dropped and counted,
    never queued. Transcripts of the last `keep_s` seconds are kept. `start_s` is the stream time of the first sample.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        *,
        window_s: float = 10.0,
        hop_s: float = 2.5,
        keep_s: float = 120.0,
        start_s: float = 0.0,
    ) -> None:
        if not 0.0 < hop_s <= window_s:
            raise ConfigError(f"listener: hop_s is {hop_s} and window_s {window_s}; expected 0 < hop_s <= window_s")
        if keep_s < window_s:
            raise ConfigError(f"listener: keep_s is {keep_s}; expected at least window_s ({window_s})")
        self._recognizer = recognizer
        self._window_samples = round(window_s * SAMPLE_RATE_HZ)
        self._hop_samples = round(hop_s * SAMPLE_RATE_HZ)
        self._overlap_s = hop_s
        self._start_s = start_s
        self._ring = RingBuffer(self._window_samples + 2 * self._hop_samples)
        self._heard: deque[Transcript] = deque(maxlen=math.ceil(keep_s / hop_s))
        self._stats = ListenerStats()
        self._changed = threading.Condition()
        self._due = self._hop_samples
        self._busy = False
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="asr-listener", daemon=True)
        self._thread.start()

    def push(self, samples: np.ndarray) -> None:
        """Appends (N,) float32 mono 16 kHz samples. Never waits for the recogniser. Raises EngineError once closed."""
        if self._closing:
            raise EngineError("listener: push after close; open a new listener for a new stream")
        written = self._ring.write(samples)
        if written >= self._due:
            with self._changed:
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
            if older.end_s <= joined.start_s + self._overlap_s:
                joined = _join(older, joined)
        return joined

    def stats(self) -> ListenerStats:
        with self._changed:
            return self._stats

    def wait_idle(self, timeout_s: float) -> bool:
        """Waits until every window that is due has been transcribed; False when `timeout_s` passed first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy and self._ring.written_samples < self._due, timeout_s)

    def close(self, timeout_s: float = 10.0) -> None:
        """Stops the thread after the window in progress. Raises EngineError when that takes longer than `timeout_s`."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise EngineError(f"listener: the recogniser did not finish its window within {timeout_s:g} s")

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                while not self._closing and self._ring.written_samples < self._due:
                    # Bounded, since `push` looks at `_due` without the lock and may miss that it is time.
                    self._changed.wait(0.1)
                if self._closing:
                    return
                self._busy = True
                late = (self._ring.written_samples - self._due) // self._hop_samples
                self._due += (late + 1) * self._hop_samples
                self._stats = replace(self._stats, dropped_windows=self._stats.dropped_windows + late)
            self._transcribe_newest()

    def _transcribe_newest(self) -> None:
        position, samples = self._ring.newest(self._window_samples)
        started = time.perf_counter()
        try:
            heard = self._recognizer.transcribe(samples, self._start_s + position / SAMPLE_RATE_HZ)
        except EngineError as error:
            # A match goes on without its stadium sound; the failure is counted, shown and logged.
            logger.warning("stadium sound was not recognised: %s", error)
            with self._changed:
                failed = self._stats.failed_windows + 1
                self._stats = replace(self._stats, failed_windows=failed, last_error=str(error))
            return
        taken_ms = 1e3 * (time.perf_counter() - started)
        with self._changed:
            self._heard.append(heard)
            self._stats = replace(
                self._stats,
                windows=self._stats.windows + 1,
                last_ms=taken_ms,
                max_ms=max(self._stats.max_ms, taken_ms),
            )


def _join(older: Transcript, newer: Transcript) -> Transcript:
    return Transcript(
        stitch(older.text, newer.text),
        older.start_s,
        newer.end_s,
        min(older.no_speech_prob, newer.no_speech_prob),
        min(older.mean_logprob, newer.mean_logprob),
    )
