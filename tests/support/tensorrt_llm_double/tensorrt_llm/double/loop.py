"""The execution loop of every rank, in the order of the real one: end what is to end, step, respond, fetch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from .active import Active
from .ranks import Ranks
from .requests import Request
from .responses import Response
from .rules import control, note

TERMINATE = -1
_BLOCK = 32
Queued = tuple[int, Request | None]


class ExecutionLoop:
    """Runs on a thread of its own; not a daemon: a process that drops it without `shutdown` does not end."""

    def __init__(
        self, ranks: Ranks, script: dict[str, Any], max_batch: int, max_seq_len: int, respond: Callable[..., None]
    ) -> None:
        self._ranks, self._script, self._max_batch, self._max_seq_len = ranks, script, max_batch, max_seq_len
        self._respond = respond
        self.queue: list[Queued] = []
        self.queued = threading.Condition()
        self.cancelled: set[int] = set()
        self._active: list[Active] = []
        self._blocks: set[tuple[int, ...]] = set()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="executionLoop")
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def enqueue(self, items: list[Queued]) -> None:
        with self.queued:
            for item in items:
                self.queue.append(item)
            # by priority, then in order of arrival; the word to terminate stays last
            self.queue.sort(key=lambda item: (item[1] is None, item[1].place() if item[1] is not None else 0.0))
            self.queued.notify()

    def _run(self) -> None:
        while not self._ending or self._active:
            if self._active:
                self._end_some()
                self._step()
            if not self._ending:
                self._fetch()

    def _end_some(self) -> None:
        """Timed-out and cancelled requests, told to every rank; those still queued stay in the list."""
        ids: list[int] = []
        if self._ranks.rank == 0:
            with self.queued:
                self.cancelled |= {active.number for active in self._active if active.timed_out()}
                ids = sorted(self.cancelled)
        ids = self._ranks.broadcast(ids)
        for active in self._active:
            if active.number in ids:
                active.stop()
                with self.queued:
                    self.cancelled.discard(active.number)

    def _step(self) -> None:
        time.sleep(control.step_s)
        if control.hang_rank == self._ranks.rank and any(len(active.tokens) >= 3 for active in self._active):
            threading.Event().wait()
        self._ranks.reduce()
        message, control.fail_step = control.fail_step, ""
        if message:
            error = f"Encountered an error in forwardAsync function: {message}"
            failed, self._active = self._active, []
            self._respond([Response(active.number, error, None) for active in failed])
            return
        for active in self._active:
            if not active.finished:
                active.step(self._script)
        responses = [response for active in self._active if (response := active.response()) is not None]
        self._active = [active for active in self._active if not active.finished]
        if self._ranks.rank == 0 and responses:
            self._respond(responses)

    def _fetch(self) -> None:
        for number, request in self._ranks.broadcast(self._dequeue() if self._ranks.rank == 0 else None):
            if request is None:
                self._ending = True
                return
            error = self._refusal(request)
            if error is not None:
                if self._ranks.rank == 0:
                    self._respond([Response(number, f"Encountered an error when fetching new request: {error}", None)])
                continue
            room = self._max_seq_len - len(request.input_token_ids)  # cut short without a word, as the real one does
            self._active.append(Active(number, request, min(request.max_tokens, room), self._reuse(request)))

    def _dequeue(self) -> list[Queued]:
        with self.queued:
            self.queued.wait_for(lambda: bool(self.queue or self._active))
            if not self.queue:
                return []
            batch: list[Queued] = []
            while self.queue and (len(self._active) + len(batch) < self._max_batch or self.queue[0][1] is None):
                batch.append(self.queue.pop(0))
            dropped = [number for number, request in batch if request is not None]
            if batch and batch[-1][1] is None and dropped:
                note(f"requests {dropped} were queued at shutdown and vanish without a response")
                batch = batch[-1:]
            return batch

    def _refusal(self, request: Request) -> str | None:
        limit = self._max_seq_len - 1
        if len(request.input_token_ids) > limit:
            return f"Prompt length ({len(request.input_token_ids)}) exceeds maximum input length ({limit})."
        return None

    def _reuse(self, request: Request) -> int:
        """Whole blocks of the prompt met before; those of this prompt are kept from now on."""
        ids = request.input_token_ids
        starts = [tuple(ids[:end]) for end in range(_BLOCK, len(ids), _BLOCK)]
        reused = 0
        for start in starts:
            if start not in self._blocks:
                break
            reused += 1
        self._blocks |= set(starts)
        return reused
