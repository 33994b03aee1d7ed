"""From a step plan to one forward pass; the same code on every rank."""

from __future__ import annotations

import torch

from .kv_cache import KVCache
from .model import AttentionRun, LlamaShard, StepBatch
from .protocol import Span, StepPlan


class StepRunner:
    """Turns plans into tensors and runs the model on them."""

    def __init__(self, model: LlamaShard, cache: KVCache, group: int, device: torch.device) -> None:
        self._model, self._cache, self._group, self._device = model, cache, group, device

    @torch.inference_mode()
    def run(self, plan: StepPlan) -> torch.Tensor | None:
        """Logits (spans that want them, vocabulary) float32 in plan order on rank 0, None elsewhere."""
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
            if span.wants_logits:
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
