"""Rank 0's plans on their way: scheduled, told to the other ranks, queued on this one, read in the same order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from commentary_llm.generation.torch.backend import RankBackend, TorchBackendConfig
from commentary_llm.generation.torch.protocol import Kind, PlanSender
from commentary_llm.generation.torch.runner import Drawn, Outcome
from commentary_llm.generation.torch.scheduler import Lookahead, Scheduler, Sequence, Step


class Plans:
    """One thread uses it."""

    def __init__(self, config: TorchBackendConfig, backend: RankBackend) -> None:
        self._runner, self._peers, self._sender = backend.runner, backend.peers, PlanSender(backend.peers)
        on_device = backend.runner.draws_on_device
        ahead = Lookahead(config.steps_ahead, config.max_context) if on_device else None
        self.scheduler = Scheduler(backend.slots, config.max_batch, config.max_step_tokens, config.max_waiting, ahead)
        # While one plan's tokens are read and passed on, the device runs the next.
        self._most_in_flight = 2 if on_device else 1
        self._in_flight: deque[tuple[Step, Outcome]] = deque()

    @property
    def in_flight(self) -> bool:
        return bool(self._in_flight)

    def fill(self, may_plan: Callable[[], bool] = lambda: True) -> None:
        """Plans as far ahead as may be, while `may_plan` says so. Raises RankLostError, EngineError."""
        while len(self._in_flight) < self._most_in_flight and may_plan():
            step = self.scheduler.schedule()
            if step is None:
                return
            self._sender.send(Kind.STEP, step.plan)
            self._in_flight.append((step, self._runner.run(step.plan)))

    def read(self) -> Iterator[tuple[Sequence, Drawn]]:
        """What the oldest plan draws, as soon as it is known, for sequences that have not ended. Raises EngineError.

        Whoever takes a token tells the scheduler of it before the next.
        """
        step, outcome = self._in_flight.popleft()
        for repeat in range(step.plan.repeats):
            for sequence, drawn in zip(step.draws, outcome.draws(repeat), strict=True):
                if not sequence.finished:  # else the device ran ahead of the end
                    yield sequence, drawn

    def ping(self) -> None:
        """Asks whether the other ranks live. Raises RankLostError."""
        if self._peers is not None:
            self._sender.send(Kind.PING)
            self._peers.barrier("a ping")

    def close(self) -> None:
        """Lets the other ranks go; all requests have ended. Raises RankLostError, EngineError."""
        while self._in_flight:  # nobody wants the tokens, but a device at work must not be torn down
            for _ in self.read():
                pass
        self._sender.send(Kind.STOP)
        if self._peers is not None:
            self._peers.barrier("closing")
            self._peers.free()
