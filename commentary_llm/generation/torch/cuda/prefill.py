"""The prefill pass of one rank: many new tokens of one or several slots in one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from commentary_llm.generation.torch.config import ModelConfig
from commentary_llm.generation.torch.cuda.decode import DeviceModel
from commentary_llm.generation.torch.cuda.layout import CHUNK_BYTES, CHUNK_INPUTS
from commentary_llm.generation.torch.cuda.library import MAX_RANKS, MatrixView
from commentary_llm.generation.torch.cuda.prefill_library import (
    MAX_LOGIT_ROWS,
    MAX_SPANS,
    PassParameters,
    SpanView,
    load_prefill_library,
)
from commentary_llm.ground.errors import ConfigError

_HEAD_DIMS = (64, 128)  # compiled
_MOST_ROW = 8192  # values of the residual stream and of attention's outputs that a thread block holds
_MOST_ACTIVATED = 16384  # the same of SiLU(gate) * up
_SPLIT_TOKENS = 256  # products of few tokens are split along their inputs; scratch for as much as this many tokens take


@dataclass(frozen=True)
class Exchange:
    """Device addresses, one a rank in rank order, of what ranks write on each other, as this rank's GPU sees them.

    parts     (2, ranks, max_tokens, hidden) float32; not needed by a single rank
    arrivals  one uint32, zero before the first pass and this pass's alone; not needed by a single rank
    logits    (MAX_LOGIT_ROWS, ranks * local vocabulary) float32
    """

    rank: int
    ranks: int
    parts: tuple[int, ...]
    arrivals: tuple[int, ...]
    logits: tuple[int, ...]


def parts_bytes(model: ModelConfig, ranks: int, max_tokens: int) -> int:
    """Size of each rank's `Exchange.parts`."""
    return 4 * 2 * ranks * max_tokens * model.local.hidden


def logits_bytes(model: ModelConfig, ranks: int) -> int:
    """Size of each rank's `Exchange.logits`."""
    return 4 * MAX_LOGIT_ROWS * ranks * model.local.vocabulary


class PrefillPass:
    """Queues forward passes of up to `max_tokens` tokens; all ranks queue the same ones in the same order.

    Keys and values go into `cache` (layers, slots, kv_heads, 2, max_context, head_dim) float16, logits into every
    rank's `exchange.logits`. Holds scratch for `max_tokens`; passes of one object must be on one stream.
    """

    def __init__(
        self,
        model: ModelConfig,
        weights: DeviceModel,
        cache: torch.Tensor,
        exchange: Exchange,
        max_tokens: int = 512,
    ) -> None:
        """On the cache's device. Raises ConfigError for a GPU or a model that the kernels are not for."""
        check_model(model, exchange.ranks)
        self._weights, self._cache, self._model = weights, cache, model
        self._max_tokens, self._device = max_tokens, cache.device
        self._library = load_prefill_library(torch.cuda.get_device_capability(self._device))
        with torch.cuda.device(self._device):
            self._library.prepare()
        self._held: list[torch.Tensor] = []
        self._pass = self._parameters(exchange)

    def run(
        self, token_ids: torch.Tensor, spans: Sequence[tuple[int, int, int]], logit_rows: Sequence[int] = ()
    ) -> None:
        """Queues a pass on the current stream and returns; allocates nothing.

        `token_ids` (T,) int32 on the device, read when the pass runs; `spans` (slot, start, count) of its tokens one
        after another, each slot once; `logit_rows`: tokens (of the T) whose logits become rows 0, 1, ... of the logits.
        Positions before a span's start must be in the cache. Raises ValueError when the request does not fit.
        """
        if token_ids.dtype != torch.int32 or token_ids.device != self._device or not token_ids.is_contiguous():
            raise ValueError(f"token ids are {token_ids.dtype} on {token_ids.device}, expected int32 on {self._device}")
        if not 1 <= len(token_ids) <= self._max_tokens:
            raise ValueError(f"a pass of {len(token_ids)} tokens, expected 1 to {self._max_tokens}")
        first = first_tokens(len(token_ids), spans, logit_rows, self._cache.shape[1], self._cache.shape[4])
        parameters = self._pass
        for index, (slot, start, count) in enumerate(spans):
            parameters.spans[index] = SpanView(slot, start, count, first[index])
        parameters.logit_rows[: len(logit_rows)] = list(logit_rows)
        parameters.token_ids = token_ids.data_ptr()
        parameters.tokens, parameters.span_count = len(token_ids), len(spans)
        parameters.logit_count = len(logit_rows)
        self._library.run(parameters, torch.cuda.current_stream(self._device).cuda_stream)

    def _parameters(self, exchange: Exchange) -> PassParameters:
        local, weights, parameters = self._model.local, self._weights, PassParameters()
        matrices = {name: getattr(weights, name) for name in ("qkv", "out", "gate_up", "down", "head")}
        for name, matrix in matrices.items():
            view = (matrix.weights.data_ptr(), matrix.scales.data_ptr(), matrix.tiles, matrix.chunks, matrix.inputs)
            setattr(parameters, name, MatrixView(*view))
        for name in ("embedding", "embedding_scale", "input_norm", "post_norm", "final_norm", "rotation"):
            tensor: torch.Tensor = getattr(weights, name)
            assert tensor.is_contiguous(), name
            setattr(parameters, name, tensor.data_ptr())
        tokens, queries = self._max_tokens, local.query_heads * local.head_dim
        # Digits are kept in whole blocks of columns; inputs past a matrix's own meet weights of zero.
        pairs = max(matrix.chunks for matrix in matrices.values()) // 2
        blocks = self._library.digit_blocks(tokens)
        assert CHUNK_BYTES == 16 * CHUNK_INPUTS
        rows = max(16 * matrix.tiles for name, matrix in matrices.items() if name != "head")
        # Two int32 a value where a product is split, which needs it least where tokens are many.
        sums = max(8 * rows * max(tokens, _SPLIT_TOKENS), 8 * 16 * matrices["head"].tiles * MAX_LOGIT_ROWS)
        parameters.cache = self._cache.data_ptr()
        parameters.x = self._scratch(torch.float32, tokens, local.hidden)
        parameters.sums, parameters.sums_bytes = self._scratch(torch.float32, sums // 4), sums
        parameters.digits = self._scratch(torch.int8, pairs * blocks * CHUNK_BYTES)
        parameters.digit_scales = self._scratch(torch.float32, tokens)
        parameters.query = self._scratch(torch.float16, tokens, queries)
        parameters.attended = self._scratch(torch.float32, tokens, queries)
        ranks = exchange.ranks
        for name in ("parts", "arrivals", "logits"):
            addresses: tuple[int, ...] = getattr(exchange, name)
            getattr(parameters, name)[: len(addresses)] = list(addresses)
        parameters.layers, parameters.hidden = local.layers, local.hidden
        parameters.heads, parameters.kv_heads, parameters.head_dim = local.query_heads, local.kv_heads, local.head_dim
        parameters.cache_slots, parameters.max_context = self._cache.shape[1], self._cache.shape[4]
        parameters.max_tokens, parameters.epsilon = tokens, self._model.norm_eps
        parameters.rank, parameters.ranks = exchange.rank, ranks
        parameters.first_id, parameters.local_vocabulary = exchange.rank * local.vocabulary, local.vocabulary
        return parameters

    def _scratch(self, dtype: torch.dtype, *shape: int) -> int:
        """Every pass writes it before it reads it: filled so that a hole would show (bytes of -1 are NaN as floats)."""
        buffer = torch.full(shape, -1 if dtype == torch.int8 else float("nan"), dtype=dtype, device=self._device)
        self._held.append(buffer)
        return buffer.data_ptr()


def first_tokens(
    tokens: int, spans: Sequence[tuple[int, int, int]], logit_rows: Sequence[int], slots: int, max_context: int
) -> list[int]:
    """Where each span (slot, start, count) begins among the tokens. Raises ValueError when the request does not fit."""
    named = [slot for slot, _, _ in spans]
    if len(spans) > MAX_SPANS or len(set(named)) < len(named):
        raise ValueError(f"spans of slots {named}, expected at most {MAX_SPANS}, each slot once")
    first, total = [], 0
    for slot, start, count in spans:
        if not 0 <= slot < slots or start < 0 or count < 1 or start + count > max_context:
            raise ValueError(
                f"{count} tokens at {start} of slot {slot} are outside {slots} slots of {max_context} positions"
            )
        first.append(total)
        total += count
    if total != tokens:
        raise ValueError(f"spans hold {total} tokens, but there are {tokens} token ids")
    if len(logit_rows) > MAX_LOGIT_ROWS or len(set(logit_rows)) < len(logit_rows):
        raise ValueError(f"logit rows {list(logit_rows)}, expected at most {MAX_LOGIT_ROWS}, all different")
    if any(not 0 <= row < tokens for row in logit_rows):
        raise ValueError(f"logit rows {list(logit_rows)} of {tokens} tokens")
    return first


def check_model(model: ModelConfig, ranks: int) -> None:
    """Raises ConfigError for sizes that the kernels are not for."""
    local = model.local
    queries = local.query_heads * local.head_dim
    if local.head_dim not in _HEAD_DIMS or local.hidden % 8 or local.hidden > _MOST_ROW or queries > _MOST_ROW:
        raise ConfigError(
            f"the prefill kernels take head sizes {_HEAD_DIMS}, hidden sizes that are multiples of 8 and at most "
            f"{_MOST_ROW}, and as many query values a rank; this model has head size {local.head_dim}, hidden size "
            f"{local.hidden}, {queries} query values"
        )
    if local.intermediate > _MOST_ACTIVATED or not 1 <= ranks <= MAX_RANKS:
        raise ConfigError(
            f"the prefill kernels take up to {_MOST_ACTIVATED} intermediate values a rank and {MAX_RANKS} ranks; this "
            f"model has {local.intermediate} on each of {ranks}"
        )
