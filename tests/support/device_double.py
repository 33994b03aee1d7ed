"""A runner that draws "on its device" as a GPU's does, on top of the CPU's model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from commentary_llm.generation.torch import backend
from commentary_llm.generation.torch.collectives import MpiCollectives
from commentary_llm.generation.torch.protocol import DRAWN, StepPlan
from commentary_llm.generation.torch.runner import Drawn, SlotSamplers, StepRunner

_TIMEOUT_S = 30
_MOST_IN_FLIGHT = 2


class QueuedOutcome:
    """One future a repeat."""

    def __init__(self, repeats: list[Future[list[Drawn]]], last_read: Callable[[], None]) -> None:
        self._repeats, self._last_read = repeats, last_read

    def draws(self, repeat: int) -> list[Drawn]:
        drawn = self._repeats[repeat].result(_TIMEOUT_S)
        if repeat == len(self._repeats) - 1:
            self._last_read()
        return drawn


class DeviceDouble:
    """Checks that plans keep to what is promised, and keeps them. `queued`: a thread of its own runs them."""

    draws_on_device = True

    def __init__(self, step: StepRunner, *, queued: bool = True) -> None:
        self.plans: list[StepPlan] = []
        self._step, self._samplers = step, SlotSamplers()
        self._last: dict[int, int] = {}
        self._in_flight = 0
        self._pool = ThreadPoolExecutor(1, "device") if queued else None
        self._loop = threading.current_thread()

    def run(self, plan: StepPlan) -> QueuedOutcome:
        assert threading.current_thread() is self._loop
        self.plans.append(plan)
        self._in_flight += 1
        assert self._pool is None or self._in_flight <= _MOST_IN_FLIGHT
        assert plan.repeats == 1 or set(plan.token_ids) == {DRAWN}
        for span in plan.spans:
            assert span.start + span.count + plan.repeats - 1 <= self._step._cache.max_context
            assert plan.repeats == 1 or (span.count, span.draws) == (1, (span.slot,))
        return QueuedOutcome([self._submit(plan, repeat) for repeat in range(plan.repeats)], self._read)

    def _read(self) -> None:
        self._in_flight -= 1

    def _submit(self, plan: StepPlan, repeat: int) -> Future[list[Drawn]]:
        if self._pool is not None:
            return self._pool.submit(self._once, plan, repeat)
        done: Future[list[Drawn]] = Future()
        done.set_result(self._once(plan, repeat))
        return done

    def _once(self, plan: StepPlan, repeat: int) -> list[Drawn]:
        if repeat == 0:
            self._samplers.begin(plan.samplings)
        slots = [span.slot for span in plan.spans for _ in range(span.count)]
        tokens = [
            self._last[slot] if token == DRAWN else token for slot, token in zip(slots, plan.token_ids, strict=True)
        ]
        logits = self._step.logits(
            replace(
                plan,
                copies=plan.copies if repeat == 0 else (),
                spans=tuple(replace(span, start=span.start + repeat) for span in plan.spans),
                token_ids=tuple(tokens),
            )
        )
        drawn = [] if logits is None else self._samplers.draw(plan.spans, logits)
        self._last.update((each.slot, each.token) for each in drawn)
        return drawn


class AllGather(MpiCollectives):
    """Logits for every rank, as ranks that draw for themselves need them."""

    def gather(self, local: torch.Tensor) -> torch.Tensor:
        mine = local.contiguous().numpy()
        parts = np.empty((self.info.size, *mine.shape), np.float32)
        self._peers.comm.Allgather(mine, parts)
        return torch.cat(list(torch.from_numpy(parts)), dim=1)


@contextmanager
def drawing_on_device(*, queued: bool = True) -> Iterator[list[DeviceDouble]]:
    """Backends opened meanwhile draw on the double; the list has it. Ranks of a job: `queued` False, MPI in one thread
    alone."""
    made: list[DeviceDouble] = []

    def make(step: StepRunner) -> DeviceDouble:
        made.append(DeviceDouble(step, queued=queued))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "HostRunner", make)
        patch.setattr(backend, "MpiCollectives", AllGather)
        yield made
