"""From a step plan to tokens: what every runner offers, and the one that draws on the host."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch

from commentary_llm.generation.interface import SamplingParams
from commentary_llm.generation.sampling import Sampler, token_logprobs
from commentary_llm.generation.torch.kv_cache import KVCache
from commentary_llm.generation.torch.model import AttentionRun, LlamaShard, StepBatch
from commentary_llm.generation.torch.protocol import SlotSampling, Span, StepPlan


@dataclass(frozen=True)
class Drawn:
    """A token that a slot drew."""

    slot: int
    token: int
    logprob: float  # natural log under the unpenalised temperature-1 distribution


class Outcome(Protocol):
    """What became of a plan."""

    def draws(self, repeat: int) -> list[Drawn]:
        """On rank 0: what repeat number `repeat` (0 …) drew, in the order of spans and of their draws.

        Blocks until it is done. Raises EngineError.
        """
        ...


class Runner(Protocol):
    """Runs step plans, on every rank in the same order."""

    @property
    def draws_on_device(self) -> bool:
        """Tokens need not pass through the host: DRAWN and repeats are understood, plans may be queued ahead."""
        ...

    def run(self, plan: StepPlan) -> Outcome:
        """Runs a plan. A runner that draws on its device queues it and returns at once; else it is done on return."""
        ...


class SlotSamplers:
    """The samplers of all slots. Where logits reach a host, it draws with these."""

    def __init__(self) -> None:
        self._samplers: dict[int, Sampler] = {}

    def begin(self, samplings: Iterable[SlotSampling]) -> None:
        """Slots that begin a sequence."""
        for each in samplings:
            params = SamplingParams(
                temperature=each.temperature,
                top_p=each.top_p,
                repetition_penalty=each.repetition_penalty,
                seed=each.seed,
            )
            self._samplers[each.slot] = Sampler(params, each.candidate, each.seen)

    @torch.inference_mode()
    def draw(self, spans: Iterable[Span], logits: torch.Tensor) -> list[Drawn]:
        """Every draw of `spans` in order, from (spans that draw, vocabulary) float32 logits on the CPU."""
        drawing = [span for span in spans if span.draws]
        slots = [(row, slot) for row, span in enumerate(drawing) for slot in span.draws]
        tokens = [self._samplers[slot].draw(logits[row]) for row, slot in slots]
        rows = logits if len(slots) == len(drawing) else logits[[row for row, _ in slots]]
        logprobs = token_logprobs(rows, tokens)
        return [Drawn(slot, token, logprob) for (_, slot), token, logprob in zip(slots, tokens, logprobs, strict=True)]


@dataclass(frozen=True)
class HostOutcome:
    """Done already; nothing on ranks above 0."""

    drawn: list[Drawn]

    def draws(self, repeat: int) -> list[Drawn]:
        """See `Outcome.draws`."""
        assert repeat == 0
        return self.drawn


class HostRunner:
    """Rank 0 gathers the logits and draws; every token passes through the scheduler."""

    draws_on_device = False

    def __init__(self, step: StepRunner) -> None:
        self._step, self._samplers = step, SlotSamplers()

    def run(self, plan: StepPlan) -> HostOutcome:
        """See `Runner.run`."""
        assert plan.repeats == 1
        self._samplers.begin(plan.samplings)
        logits = self._step.logits(plan)
        return HostOutcome([] if logits is None else self._samplers.draw(plan.spans, logits))


class StepRunner:
    """Turns plans into tensors and runs the model on them."""

    def __init__(self, model: LlamaShard, cache: KVCache, group: int, device: torch.device) -> None:
        self._model, self._cache, self._group, self._device = model, cache, group, device

    @torch.inference_mode()
    def logits(self, plan: StepPlan) -> torch.Tensor | None:
        """Logits (spans that draw, vocabulary) float32 in plan order on rank 0, None elsewhere."""
        for copy in plan.copies:
            self._cache.copy(copy.source, copy.target, copy.length)
        if not plan.spans:
            return None
        return self._model.forward(self._batch(plan))

    def _batch(self, plan: StepPlan) -> StepBatch:
        positions: list[int] = []
        rows: list[int] = []
        logit_rows: list[int] = []
        for span in plan.spans:
            first_row = span.slot * self._cache.max_context + span.start
            positions += range(span.start, span.start + span.count)
            rows += range(first_row, first_row + span.count)
            if span.draws:
                logit_rows.append(len(rows) - 1)
        return StepBatch(
            token_ids=self._tensor(plan.token_ids),
            positions=self._tensor(positions),
            cache_rows=self._tensor(rows),
            runs=tuple(self._runs(plan.spans)),
            logit_rows=self._tensor(logit_rows),
        )

    def _tensor(self, values: list[int] | tuple[int, ...]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self._device)

    def _runs(self, spans: tuple[Span, ...]) -> list[AttentionRun]:
        """Single-token spans of neighbouring slots attend together; longer spans one by one."""
        runs: list[AttentionRun] = []
        first, token = 0, 0
        while first < len(spans):
            stop = first + 1
            if spans[first].count == 1:
                while stop < len(spans) and spans[stop].count == 1 and spans[stop].slot == spans[stop - 1].slot + 1:
                    stop += 1
            run = self._run(spans[first:stop], token)
            runs.append(run)
            token += run.slots * run.tokens
            first = stop
        return runs

    def _run(self, spans: tuple[Span, ...], token: int) -> AttentionRun:
        count = spans[0].count
        ends = [span.start + span.count for span in spans]
        length = max(ends)
        mask = None
        if count > 1:
            last_visible = torch.arange(spans[0].start, ends[0], device=self._device)[None, :]
            mask = self._mask(last_visible.repeat(1, self._group), length)
        elif min(ends) < length:
            mask = self._mask(self._tensor([end - 1 for end in ends])[:, None].repeat(1, self._group), length)
        return AttentionRun(token, spans[0].slot, len(spans), count, length, mask)

    def _mask(self, last_visible: torch.Tensor, length: int) -> torch.Tensor:
        """(slots, 1, queries, length): 0 up to each query's last visible position, -inf after it."""
        hidden = torch.arange(length, device=self._device) > last_visible[:, :, None]
        return torch.zeros(hidden.shape, device=self._device).masked_fill_(hidden, float("-inf"))[:, None]
