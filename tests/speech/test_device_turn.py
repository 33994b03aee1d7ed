"""Who waits for whom on a GPU that voice and language model share."""

from __future__ import annotations

import threading
import time

import pytest

from asr_tts.runtime.turn import DeviceTurn

_SOON_S = 5.0  # far more than anything here takes


def start_wait(turn: DeviceTurn) -> tuple[threading.Thread, list[bool]]:
    """A decode loop that waits; its thread, and what `wait` returned."""
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(turn.wait(_SOON_S)))
    thread.start()
    return thread, results


def test_nobody_waits_for_nobody() -> None:
    turn = DeviceTurn()
    assert not turn.pending
    assert turn.wait()
    assert turn.stats().overruns == 0


def test_decoding_waits_for_the_voice() -> None:
    turn = DeviceTurn()
    with turn.speech():
        assert turn.pending
        thread, results = start_wait(turn)
        thread.join(0.05)
        assert not results
    thread.join(_SOON_S)
    assert results == [True]
    assert not turn.pending
    stats = turn.stats()
    assert (stats.runs, stats.waits, stats.overruns) == (1, 1, 0)
    assert stats.waited_s >= 0.04


def test_blocks_nest_and_overlap() -> None:
    turn = DeviceTurn()
    with turn.speech():
        with turn.speech():
            pass
        assert turn.pending
        assert not turn.wait(0.01)
    assert not turn.pending


def test_who_comes_later_does_not_count() -> None:
    """A voice that goes from one run straight into the next does not stop the decode loop."""
    turn = DeviceTurn()
    first = turn.speech()
    first.__enter__()
    thread, results = start_wait(turn)
    while turn._changed._waiters.__len__() == 0:  # type: ignore[attr-defined]
        time.sleep(0.001)
    with turn.speech():
        first.__exit__(None, None, None)
        thread.join(_SOON_S)
        assert results == [True]
        assert turn.pending


def test_a_voice_that_hangs_is_counted_and_passed() -> None:
    turn = DeviceTurn(longest_wait_s=0.01)
    with turn.speech():
        assert not turn.wait()
    assert turn.stats().overruns == 1


def test_a_failed_run_gives_way() -> None:
    turn = DeviceTurn()
    with pytest.raises(ValueError, match="boom"), turn.speech():
        raise ValueError("boom")
    assert not turn.pending


def test_many_voices_and_a_decode_loop() -> None:
    turn = DeviceTurn()
    over = threading.Event()

    def speak() -> None:
        while not over.is_set():
            with turn.speech():
                time.sleep(0.001)

    voices = [threading.Thread(target=speak) for _ in range(3)]
    for voice in voices:
        voice.start()
    try:
        assert all(turn.wait(_SOON_S) for _ in range(50))
    finally:
        over.set()
        for voice in voices:
            voice.join()
    assert not turn.pending
