from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest

from asr_tts.interfaces import Recognizer, Transcript
from asr_tts.recognizer import ListeningPool, StreamEar
from commentary_llm.ground.errors import ConfigError, EngineError

SECOND = 16_000
WAIT_S = 30.0


class Counting:
    """Hears, as a word, the number of each second that lies whole in its window (the samples' value)."""

    description = "ears"

    def __init__(self, best_batch: int = 1) -> None:
        self.best_batch = best_batch
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.fails = False
        self.batches: list[list[float]] = []  # start_s of each window
        self.threads: set[str] = set()

    def warm_up(self) -> None:
        pass

    def transcribe(self, samples: np.ndarray, start_s: float = 0.0) -> Transcript:
        return self.transcribe_many([(samples, start_s)])[0]

    def transcribe_many(self, windows: Sequence[tuple[np.ndarray, float]]) -> list[Transcript]:
        self.threads.add(threading.current_thread().name)
        self.batches.append([start_s for _, start_s in windows])
        self.entered.set()
        assert self.gate.wait(WAIT_S)
        if self.fails:
            raise EngineError("network 'ears' failed")
        return [self._heard(samples, start_s) for samples, start_s in windows]

    @staticmethod
    def _heard(samples: np.ndarray, start_s: float) -> Transcript:
        values, counts = np.unique(np.round(samples * 1000).astype(int), return_counts=True)
        words = [f"second{value:03d}" for value, count in zip(values, counts, strict=True) if count == SECOND]
        end_s = start_s + len(samples) / SECOND
        return Transcript(" ".join(words), start_s, end_s, no_speech_prob=0.1, mean_logprob=-0.2)


@contextmanager
def listening(recognizer: Recognizer, **options: float) -> Iterator[ListeningPool]:
    """A pool with a thread, as a station has it."""
    pool = ListeningPool(recognizer, **options)
    thread = threading.Thread(target=pool.run, name="listening", daemon=True)
    thread.start()
    try:
        yield pool
    finally:
        pool.close()
        thread.join(WAIT_S)


def push_seconds(ear: StreamEar, first: int, last: int) -> None:
    """Pushes the seconds one hop at a time, each once the one before has been heard."""
    for second in range(first, last):
        for quarter in range(4):
            ear.push(np.full(SECOND // 4, second / 1000, np.float32))
            if quarter % 2:
                assert ear.wait_idle(WAIT_S)


def words(*seconds: int) -> str:
    return " ".join(f"second{second:03d}" for second in seconds)


def test_hears_the_stream_window_by_window() -> None:
    with listening(Counting(), window_s=4.0, hop_s=1.0, keep_s=20.0) as pool:
        ear = pool.open(start_s=100.0)
        assert ear.transcript(100.0, 5.0).text == ""
        push_seconds(ear, 0, 10)
        newest = ear.transcript(110.0, 4.0)
        assert newest.text == words(6, 7, 8, 9)
        assert (newest.start_s, newest.end_s) == (106.0, 110.0)
        assert ear.transcript(110.0, 10.0).text == words(*range(10))
        assert ear.transcript(110.0, 5.0).text == words(*range(3, 10))
        # What came later is not known yet at an earlier moment.
        assert ear.transcript(107.5, 4.0).text == words(3, 4, 5, 6)
        assert ear.transcript(130.0, 5.0).text == ""
        assert ear.stats().windows == 10
        assert ear.stats().dropped_windows == 0


def test_old_transcripts_are_forgotten() -> None:
    with listening(Counting(), window_s=2.0, hop_s=1.0, keep_s=4.0) as pool:
        ear = pool.open()
        push_seconds(ear, 0, 9)
        assert ear.transcript(9.0, 100.0).text == words(4, 5, 6, 7, 8)


def test_a_slow_recogniser_drops_windows_and_takes_the_newest() -> None:
    ears = Counting()
    ears.gate.clear()
    with listening(ears, window_s=2.0, hop_s=1.0, keep_s=20.0) as pool:
        ear = pool.open()
        ear.push(np.full(SECOND, 0.0, np.float32))
        assert ears.entered.wait(WAIT_S)
        for second in range(1, 7):  # never waits, although nothing is heard meanwhile
            ear.push(np.full(SECOND, second / 1000, np.float32))
        ears.gate.set()
        assert ear.wait_idle(WAIT_S)
        assert ear.stats().windows == 2
        assert ear.stats().dropped_windows == 5
        assert ear.transcript(7.0, 2.0).text == words(5, 6)


def test_a_failing_recogniser_is_counted_and_the_stream_goes_on() -> None:
    ears = Counting()
    with listening(ears, window_s=2.0, hop_s=1.0, keep_s=20.0) as pool:
        ear = pool.open()
        ears.fails = True
        push_seconds(ear, 0, 2)
        ears.fails = False
        push_seconds(ear, 2, 4)
        stats = ear.stats()
        assert (stats.windows, stats.failed_windows) == (2, 2)
        assert "ears" in stats.last_error
        assert ear.transcript(4.0, 2.0).text == words(2, 3)


def test_one_thread_hears_all_streams_in_batches_those_due_longest_first() -> None:
    ears = Counting(best_batch=3)
    ears.gate.clear()
    with listening(ears, window_s=2.0, hop_s=1.0, keep_s=20.0) as pool:
        first = pool.open(start_s=0.0)
        first.push(np.zeros(SECOND, np.float32))
        assert ears.entered.wait(WAIT_S)
        others = [pool.open(start_s=100.0 * number) for number in range(1, 6)]
        for ear in reversed(others):
            ear.push(np.full(SECOND, 0.005, np.float32))
        others[0].push(np.full(SECOND, 0.006, np.float32))  # its newest window alone is heard, in its old place
        first.push(np.full(SECOND, 0.007, np.float32))
        ears.gate.set()
        for ear in (first, *others):
            assert ear.wait_idle(WAIT_S)
        assert ears.batches == [[0.0], [500.0, 400.0, 300.0], [200.0, 100.0, 0.0]]
        assert ears.threads == {"listening"}
        assert others[0].transcript(102.0, 2.0).text == words(5, 6)
        assert (others[0].stats().windows, others[0].stats().dropped_windows) == (1, 1)
        assert first.transcript(2.0, 2.0).text == words(0, 7)
        assert others[3].transcript(401.0, 1.0).text == words(5)


def test_closing_one_stream_leaves_the_others_alone() -> None:
    ears = Counting(best_batch=2)
    ears.gate.clear()
    with listening(ears, window_s=2.0, hop_s=1.0, keep_s=20.0) as pool:
        one, two, three = (pool.open() for _ in range(3))
        one.push(np.zeros(SECOND, np.float32))
        assert ears.entered.wait(WAIT_S)
        two.push(np.zeros(SECOND, np.float32))
        three.push(np.full(SECOND, 0.003, np.float32))
        one.close()  # its window is being transcribed
        two.close()  # its window is due
        ears.gate.set()
        assert three.wait_idle(WAIT_S)
        assert [len(batch) for batch in ears.batches] == [1, 1]
        assert three.transcript(1.0, 1.0).text == words(3)
        with pytest.raises(EngineError, match="push after close"):
            one.push(np.zeros(10, np.float32))
        push_seconds(three, 4, 6)
        assert three.stats().windows == 3


def test_closing() -> None:
    ears = Counting()
    ears.gate.clear()
    pool = ListeningPool(ears, window_s=2.0, hop_s=1.0)
    thread = threading.Thread(target=pool.run, daemon=True)
    thread.start()
    ear = pool.open()
    ear.push(np.zeros(SECOND, np.float32))
    assert ears.entered.wait(WAIT_S)
    with pytest.raises(EngineError, match=r"did not finish its windows within 0\.05 s"):
        pool.close(timeout_s=0.05)
    with pytest.raises(EngineError, match="push after close"):
        ear.push(np.zeros(10, np.float32))
    with pytest.raises(EngineError, match="hears no more streams"):
        pool.open()
    ears.gate.set()
    pool.close()
    thread.join(WAIT_S)
    assert not thread.is_alive()


@pytest.mark.parametrize(("window_s", "hop_s", "keep_s"), [(2.0, 3.0, 10.0), (2.0, 0.0, 10.0), (5.0, 1.0, 4.0)])
def test_options_are_checked(window_s: float, hop_s: float, keep_s: float) -> None:
    with pytest.raises(ConfigError, match="listener:"):
        ListeningPool(Counting(), window_s=window_s, hop_s=hop_s, keep_s=keep_s)
