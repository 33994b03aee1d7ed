"""The LLaMA forward pass over one rank's shard: flat tokens of several sequences in, logits out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from commentary_llm.generation.torch.collectives import Collectives
from commentary_llm.generation.torch.config import ModelConfig
from commentary_llm.generation.torch.kernels import Kernels, Linear
from commentary_llm.generation.torch.kv_cache import KVCache
from commentary_llm.generation.torch.weights import LayerWeights, ShardWeights

Tensor = torch.Tensor


@dataclass(frozen=True)
class AttentionRun:
    """Neighbouring slots that attend in one call: each has `tokens` queries at flat rows from `first_token` on."""

    first_token: int
    first_slot: int
    slots: int
    tokens: int
    length: int  # cached positions read, this step's included
    mask: Tensor | None  # (slots, 1, group * tokens, length) float32, 0 or -inf; None: everything is visible


@dataclass(frozen=True)
class StepBatch:
    """Tensors of one step, the same on every rank. T tokens of all sequences one after another."""

    token_ids: Tensor  # (T,) int64
    positions: Tensor  # (T,) int64
    cache_rows: Tensor  # (T,) int64
    runs: tuple[AttentionRun, ...]
    logit_rows: Tensor  # (R,) int64, rows of the T whose logits are wanted


class LlamaShard:
    """One rank's part of the model. Everything between matrices is float32."""

    def __init__(
        self,
        config: ModelConfig,
        weights: ShardWeights[Linear],
        kernels: Kernels,
        collectives: Collectives,
        cache: KVCache,
        device: torch.device,
    ) -> None:
        local = config.local
        self._weights, self._kernels, self._collectives, self._cache = weights, kernels, collectives, cache
        self._hidden, self._eps = (local.hidden,), config.norm_eps
        self._heads, self._kv, self._dim, self._group = local.query_heads, local.kv_heads, local.head_dim, config.group
        self._rotated = (local.query_heads + local.kv_heads) * local.head_dim
        self._queries = local.query_heads * local.head_dim
        self._intermediate = local.intermediate
        self._vocabulary, self._local_vocabulary = config.shape.vocabulary, local.vocabulary
        self._first_id = collectives.info.rank * local.vocabulary
        frequencies = torch.tensor(config.rope.frequencies(local.head_dim), dtype=torch.float64)
        angles = torch.outer(torch.arange(cache.max_context, dtype=torch.float64), frequencies)
        self._rotations = torch.polar(torch.ones_like(angles), angles).to(torch.complex64).to(device)

    def forward(self, batch: StepBatch) -> Tensor | None:
        """Runs one step and fills the cache. Rank 0: logits (R, vocabulary) float32; others and R = 0: None."""
        x = self._embed(batch.token_ids)
        rotations = self._rotations[batch.positions].unsqueeze(1)  # (T, 1, D / 2)
        for index, layer in enumerate(self._weights.layers):
            attended = self._attend(index, layer, self._norm(x, layer.input_norm), rotations, batch)
            x = x.add_(self._collectives.all_reduce(layer.output(attended)))
            gate_up = layer.gate_up(self._norm(x, layer.post_norm))
            activated = F.silu(gate_up[:, : self._intermediate]).mul_(gate_up[:, self._intermediate :])
            x = x.add_(self._collectives.all_reduce(layer.down(activated)))
        if not len(batch.logit_rows):
            return None
        wanted = self._norm(x[batch.logit_rows], self._weights.norm)
        logits = self._collectives.gather(self._weights.lm_head(wanted))
        return None if logits is None else logits[:, : self._vocabulary]

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, self._hidden, weight, self._eps)

    def _embed(self, token_ids: Tensor) -> Tensor:
        """(T, hidden) float32: each rank looks up the ids it holds, the sum has every row once."""
        local_ids = token_ids - self._first_id
        here = (local_ids >= 0) & (local_ids < self._local_vocabulary)
        local_ids = torch.where(here, local_ids, 0)
        scales = torch.where(here, self._weights.embedding_scale[local_ids], 0.0)
        return self._collectives.all_reduce(self._weights.embedding[local_ids].float().mul_(scales[:, None])).clone()

    def _attend(
        self, index: int, layer: LayerWeights[Linear], x: Tensor, rotations: Tensor, batch: StepBatch
    ) -> Tensor:
        tokens = x.shape[0]
        qkv = layer.qkv(x)
        pairs = qkv[:, : self._rotated].view(tokens, self._heads + self._kv, self._dim // 2, 2)
        torch.view_as_complex(pairs).mul_(rotations)  # in place: qkv now holds rotated queries and keys
        self._cache.write(index, batch.cache_rows, qkv[:, self._queries :])
        outputs = [self._attend_run(index, run, qkv) for run in batch.runs]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def _attend_run(self, index: int, run: AttentionRun, qkv: Tensor) -> Tensor:
        """(slots * tokens, heads * D) float32.

        All query heads of a KV head are rows of one query block, so keys and values are never repeated.
        """
        key, value = self._cache.read(index, run.first_slot, run.slots, run.length)
        rows = run.slots * run.tokens
        query = qkv[run.first_token : run.first_token + rows, : self._queries]
        query = query.view(run.slots, run.tokens, self._kv, self._group, self._dim).permute(0, 2, 3, 1, 4)
        query = query.reshape(run.slots, self._kv, self._group * run.tokens, self._dim)
        output = self._kernels.attention(query, key, value, run.mask)
        output = output.view(run.slots, self._kv, self._group, run.tokens, self._dim).permute(0, 3, 1, 2, 4)
        return output.reshape(rows, self._queries)
