"""Who waits for whom on a GPU that voice and language model share."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest

from commentary_llm.ground.device_turn import DeviceTurn

_SOON_S = 5.0  # far more than anything here takes
_WHILE_S = 0.05


def start_wait(turn: DeviceTurn) -> threading.Thread:
    """A decode loop that waits; it does when this returns."""
    waiting = threading.Thread(target=turn.wait)
    waiting.start()
    waiting.join(_WHILE_S)
    return waiting


def test_nobody_waits_for_nobody() -> None:
    turn = DeviceTurn(_SOON_S)
    assert not turn.pending
    started = time.perf_counter()
    turn.wait()
    assert time.perf_counter() - started < _SOON_S


def test_decoding_waits_for_the_voice() -> None:
    turn = DeviceTurn(_SOON_S)
    with turn.speech():
        assert turn.pending
        waiting = start_wait(turn)
        assert waiting.is_alive()
    waiting.join(_SOON_S)
    assert not waiting.is_alive()
    assert not turn.pending


def test_the_way_is_free_when_all_voices_are_done() -> None:
    turn = DeviceTurn(_SOON_S)
    with ExitStack() as first, turn.speech():
        first.enter_context(turn.speech())
        waiting = start_wait(turn)
        first.close()
        waiting.join(_WHILE_S)
        assert waiting.is_alive()
        assert turn.pending
    waiting.join(_SOON_S)
    assert not waiting.is_alive()


def test_who_comes_later_does_not_count() -> None:
    """A voice that goes from one line straight into the next does not stop the decode loop."""
    turn = DeviceTurn(2 * _SOON_S)
    with ExitStack() as first:
        first.enter_context(turn.speech())
        waiting = start_wait(turn)
        with turn.speech():
            first.close()
            waiting.join(_SOON_S)
            assert not waiting.is_alive()
            assert turn.pending


def test_a_voice_that_hangs_is_passed() -> None:
    turn = DeviceTurn(longest_wait_s=0.01)
    with turn.speech():
        turn.wait()
        assert turn.pending


def test_a_failed_run_gives_way() -> None:
    turn = DeviceTurn()
    with pytest.raises(ValueError, match="boom"), turn.speech():
        raise ValueError("boom")
    assert not turn.pending
