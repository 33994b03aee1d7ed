from __future__ import annotations

import threading

import numpy as np
import pytest

from asr_tts.interfaces import Transcript
from asr_tts.recognizer import Listener
from commentary_llm.ground.errors import ConfigError, EngineError

SECOND = 16_000
WAIT_S = 30.0


class Counting:
    """Hears, as a word, the number of each second that lies whole in its window (the samples' value)."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.fails = False

    def transcribe(self, samples: np.ndarray, start_s: float = 0.0) -> Transcript:
        self.entered.set()
        assert self.gate.wait(WAIT_S)
        if self.fails:
            raise EngineError("network 'ears' failed")
        values, counts = np.unique(np.round(samples * 1000).astype(int), return_counts=True)
        words = [f"second{value:03d}" for value, count in zip(values, counts, strict=True) if count == SECOND]
        end_s = start_s + len(samples) / SECOND
        return Transcript(" ".join(words), start_s, end_s, no_speech_prob=0.1, mean_logprob=-0.2)


def push_seconds(listener: Listener, first: int, last: int) -> None:
    """Pushes the seconds one hop at a time, each once the one before has been heard."""
    for second in range(first, last):
        for quarter in range(4):
            listener.push(np.full(SECOND // 4, second / 1000, np.float32))
            if quarter % 2:
                assert listener.wait_idle(WAIT_S)


def words(*seconds: int) -> str:
    return " ".join(f"second{second:03d}" for second in seconds)


def test_hears_the_stream_window_by_window() -> None:
    with Listener(Counting(), window_s=4.0, hop_s=1.0, keep_s=20.0, start_s=100.0) as listener:
        assert listener.transcript(100.0, 5.0).text == ""
        push_seconds(listener, 0, 10)
        newest = listener.transcript(110.0, 4.0)
        assert newest.text == words(6, 7, 8, 9)
        assert (newest.start_s, newest.end_s) == (106.0, 110.0)
        assert listener.transcript(110.0, 10.0).text == words(*range(10))
        assert listener.transcript(110.0, 5.0).text == words(*range(3, 10))
        # What came later is not known yet at an earlier moment.
        assert listener.transcript(107.5, 4.0).text == words(3, 4, 5, 6)
        assert listener.transcript(130.0, 5.0).text == ""
        assert listener.stats().windows == 10
        assert listener.stats().dropped_windows == 0


def test_old_transcripts_are_forgotten() -> None:
    with Listener(Counting(), window_s=2.0, hop_s=1.0, keep_s=4.0) as listener:
        push_seconds(listener, 0, 9)
        assert listener.transcript(9.0, 100.0).text == words(4, 5, 6, 7, 8)


def test_a_slow_recogniser_drops_windows_and_takes_the_newest() -> None:
    ears = Counting()
    ears.gate.clear()
    with Listener(ears, window_s=2.0, hop_s=1.0, keep_s=20.0) as listener:
        listener.push(np.full(SECOND, 0.0, np.float32))
        assert ears.entered.wait(WAIT_S)
        for second in range(1, 7):  # never waits, although nothing is heard meanwhile
            listener.push(np.full(SECOND, second / 1000, np.float32))
        ears.gate.set()
        assert listener.wait_idle(WAIT_S)
        assert listener.stats().windows == 2
        assert listener.stats().dropped_windows == 5
        assert listener.transcript(7.0, 2.0).text == words(5, 6)


def test_a_failing_recogniser_is_counted_and_the_stream_goes_on() -> None:
    ears = Counting()
    with Listener(ears, window_s=2.0, hop_s=1.0, keep_s=20.0) as listener:
        ears.fails = True
        push_seconds(listener, 0, 2)
        ears.fails = False
        push_seconds(listener, 2, 4)
        stats = listener.stats()
        assert (stats.windows, stats.failed_windows) == (2, 2)
        assert "ears" in stats.last_error
        assert listener.transcript(4.0, 2.0).text == words(2, 3)


def test_closing() -> None:
    ears = Counting()
    ears.gate.clear()
    listener = Listener(ears, window_s=2.0, hop_s=1.0)
    listener.push(np.zeros(SECOND, np.float32))
    assert ears.entered.wait(WAIT_S)
    with pytest.raises(EngineError, match=r"did not finish its window within 0\.05 s"):
        listener.close(timeout_s=0.05)
    with pytest.raises(EngineError, match="push after close"):
        listener.push(np.zeros(10, np.float32))
    ears.gate.set()
    listener.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "asr-listener"]


@pytest.mark.parametrize(("window_s", "hop_s", "keep_s"), [(2.0, 3.0, 10.0), (2.0, 0.0, 10.0), (5.0, 1.0, 4.0)])
def test_options_are_checked(window_s: float, hop_s: float, keep_s: float) -> None:
    with pytest.raises(ConfigError, match="listener:"):
        Listener(Counting(), window_s=window_s, hop_s=hop_s, keep_s=keep_s)
