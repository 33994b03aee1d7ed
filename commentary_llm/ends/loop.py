"""The asyncio loop on which all sources and sinks of all matches run, on the one thread that ends make.

(Live stadium sound is the exception: PyAV reads by blocking, so that each `StadiumSound` has a thread of its own.)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import TimeoutError as FutureTimeoutError
from types import TracebackType
from typing import Any, TypeVar

log = logging.getLogger(__name__)

BLOCK_S = 0.02  # how often live streams go on: the usual frame of speech codecs
_STOP_S = 10.0
T = TypeVar("T")


class EndsLoop:
    """Runs from its making until `close`. One serves any number of matches."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._players: set[Callable[[], None]] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="ends", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Runs a coroutine on the loop, from another thread, and waits for what it returns or raises.

        Raises TimeoutError after `timeout_s`; the coroutine is cancelled then.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(timeout_s)
        except FutureTimeoutError:
            future.cancel()
            raise TimeoutError(f"not done on the ends' loop within {timeout_s} s") from None

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Calls a function on the loop, from another thread, and waits for what it returns or raises."""

        async def calling() -> T:
            return function(*arguments)

        return self.run(calling())

    def post(self, function: Callable[..., object], *arguments: object) -> None:
        """Lets the loop call a function soon; never waits. Of no effect once the loop is closed."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    def add_player(self, tick: Callable[[], None]) -> None:
        """Calls `tick` every `BLOCK_S` from now on. Called on the loop, as is `remove_player`."""
        self._players.add(tick)
        if self._ticker is None:
            self._ticker = self._loop.create_task(self._tick())

    def remove_player(self, tick: Callable[[], None]) -> None:
        self._players.discard(tick)

    def close(self) -> None:
        """Cancels what still runs and ends the thread. Idempotent."""
        if not self._thread.is_alive():
            return
        with contextlib.suppress(TimeoutError):
            self.run(self._cancel_all(), _STOP_S)
        self.post(self._loop.stop)
        self._thread.join(_STOP_S)

    def __enter__(self) -> EndsLoop:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _tick(self) -> None:
        """One task for the players of all matches. A block that is late is not made up for by shorter waits."""
        due_s = self._loop.time()
        while True:
            for tick in tuple(self._players):
                try:
                    tick()
                except Exception:  # a defect in one match's player must not silence the others
                    log.exception("a live player failed; its match goes on without")
                    self._players.discard(tick)
            due_s = max(due_s + BLOCK_S, self._loop.time())
            await asyncio.sleep(due_s - self._loop.time())

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
