"""The loop: one thread for everything, whatever fails on it."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from commentary_llm.ends.loop import BLOCK_S, EndsLoop


def test_what_is_called_runs_on_the_one_thread_and_comes_back(loop: EndsLoop) -> None:
    async def where() -> str:
        return threading.current_thread().name

    assert loop.run(where()) == loop.call(lambda: threading.current_thread().name) == "ends"
    with pytest.raises(ZeroDivisionError):
        loop.call(lambda: 1 // 0)


def test_a_wait_that_lasts_too_long_is_given_up(loop: EndsLoop) -> None:
    with pytest.raises(TimeoutError):
        loop.run(asyncio.sleep(60), 0.05)
    assert loop.call(lambda: "alive") == "alive"


def test_players_share_a_thread_and_one_that_breaks_ends_alone(loop: EndsLoop) -> None:
    ticks, threads = [0] * 16, set()

    def player(number: int) -> None:
        ticks[number] += 1
        threads.add(threading.get_ident())
        if number == 3:
            raise ZeroDivisionError

    before = threading.active_count()
    for number in range(16):
        loop.call(loop.add_player, lambda number=number: player(number))  # type: ignore[misc]
    deadline = time.monotonic() + 20
    while min(count for number, count in enumerate(ticks) if number != 3) < 5:
        assert time.monotonic() < deadline
        time.sleep(BLOCK_S)
    assert ticks[3] == 1
    assert len(threads) == 1
    assert threading.active_count() == before


def test_closing_cancels_what_runs_and_later_posts_are_ignored() -> None:
    loop, ended = EndsLoop(), threading.Event()

    async def for_ever() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.set()

    loop.call(lambda: setattr(loop, "kept", asyncio.get_running_loop().create_task(for_ever())))
    loop.call(lambda: None)
    loop.close()
    assert ended.is_set()
    loop.post(lambda: None)
    loop.close()
