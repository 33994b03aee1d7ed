"""Steps on one GPU: the runner that the torch backend uses with device "cuda"."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from commentary_llm.errors import ConfigError

from ..config import ModelConfig
from ..protocol import StepPlan
from ..weights import LayerWeights, ShardWeights
from .layout import PackedMatrix, pack, paired
from .library import MatrixView, StepParameters, load_step_library

_HEAD_DIMS = (64, 128)  # compiled
_MOST_TOKENS = 8
_MOST_SPLITS = 8
_SPLIT_POSITIONS = 64  # positions of a head that one block attends to, where blocks are to spare
# Of each multiprocessor's 8 KB copies: 3 measured best on an H200 (1.27 ms a step; 4: 1.29, 8: 1.35); more queue up
# before the small loads that blocks wait for.
_COPIES_IN_FLIGHT = 3


@dataclass(frozen=True)
class RawMatrix:
    """An INT8 matrix as the shard holds it."""

    values: torch.Tensor
    scales: torch.Tensor


class RawMatrices:
    """Keeps matrices as they are, for packing."""

    def linear(self, values: torch.Tensor, scales: torch.Tensor) -> RawMatrix:
        return RawMatrix(values, scales)


class CudaRunner:
    """Runs step plans through the persistent kernel, at most 8 tokens a launch.

    Holds the packed weights and the KV cache: (layers, slots, kv_heads, 2, max_context, head_dim) float16. Activations
    are float32 between products and two INT8 digits in them; sums are exact.
    """

    def __init__(
        self, model: ModelConfig, weights: ShardWeights[RawMatrix], slots: int, max_context: int, device: torch.device
    ) -> None:
        """Packs the weights (they are held twice for a moment). Raises ConfigError for a GPU or model it is not for."""
        local = model.local
        if local.head_dim not in _HEAD_DIMS or local.hidden % 4 or local.intermediate % 4:
            raise ConfigError(
                f"the GPU kernel takes head sizes {_HEAD_DIMS} and sizes that are multiples of 4; this model has "
                f"head size {local.head_dim}, hidden size {local.hidden}, intermediate size {local.intermediate}"
            )
        self._device, self._model, self._max_context = device, model, max_context
        properties = torch.cuda.get_device_properties(device)
        self._blocks: int = properties.multi_processor_count
        self._library = load_step_library((properties.major, properties.minor))
        self._held: list[torch.Tensor] = []
        shape = (local.layers, slots, local.kv_heads, 2, max_context, local.head_dim)
        self._cache = torch.zeros(shape, dtype=torch.float16, device=device)
        self._logits = self._buffer(_MOST_TOKENS, local.vocabulary)
        self._inputs = torch.zeros(3, _MOST_TOKENS, dtype=torch.int32, device=device)  # token ids, positions, slots
        self._step = self._parameters(weights)
        most = self._library.most_tokens(self._step, local.head_dim)
        if not most:
            raise ConfigError(f"a row of {local.intermediate} inputs does not fit the GPU's shared memory")
        self._sizes = [size for size in (8, 4, 2, 1) if size <= most]

    @property
    def cache_bytes(self) -> int:
        return self._cache.numel() * self._cache.element_size()

    @torch.inference_mode()
    def run(self, plan: StepPlan) -> torch.Tensor | None:
        """Logits (spans that want them, vocabulary) float32 on the CPU, in plan order; None when none does."""
        for copy in plan.copies:
            self._cache[:, copy.target, :, :, : copy.length] = self._cache[:, copy.source, :, :, : copy.length]
        positions: list[int] = []
        slots: list[int] = []
        wanted: list[int] = []
        for span in plan.spans:
            positions += range(span.start, span.start + span.count)
            slots += [span.slot] * span.count
            if span.wants_logits:
                wanted.append(len(positions) - 1)
        rows = []
        for first, size in self._launches(len(plan.token_ids)):
            chunk = slice(first, first + size)
            here = [row - first for row in wanted if first <= row < first + size]
            self._launch(plan.token_ids[chunk], positions[chunk], slots[chunk], bool(here))
            if here:
                rows.append(self._logits.view(-1)[: size * self._logits.shape[1]].view(size, -1)[here])
        if not rows:
            return None
        return torch.cat(rows)[:, : self._model.shape.vocabulary].cpu()

    def _launches(self, tokens: int) -> Iterator[tuple[int, int]]:
        """First token and number of tokens of each launch: whole powers of two, the largest first."""
        first = 0
        for size in self._sizes:
            while tokens - first >= size:
                yield first, size
                first += size

    def _launch(self, token_ids: tuple[int, ...], positions: list[int], slots: list[int], with_head: bool) -> None:
        local, tokens = self._model.local, len(token_ids)
        self._inputs[:, :tokens] = torch.tensor([token_ids, positions, slots], dtype=torch.int32)
        free_blocks = self._blocks // (tokens * local.query_heads)
        splits = min(_MOST_SPLITS, free_blocks, math.ceil((max(positions) + 1) / _SPLIT_POSITIONS))
        self._step.splits, self._step.with_head = max(1, splits), int(with_head)
        stream = torch.cuda.current_stream(self._device).cuda_stream
        self._library.launch(self._step, tokens, local.head_dim, stream)

    # What the kernel is told

    def _parameters(self, weights: ShardWeights[RawMatrix]) -> StepParameters:
        local, step = self._model.local, StepParameters()
        layers = weights.layers
        step.qkv = self._matrices([layer.qkv for layer in layers])
        step.out = self._matrices([layer.output for layer in layers])
        step.gate_up = self._matrices([self._paired(layer) for layer in layers])
        step.down = self._matrices([layer.down for layer in layers])
        step.head = self._matrices([weights.lm_head])
        step.embedding, step.embedding_scale = self._hold(weights.embedding), self._hold(weights.embedding_scale)
        step.input_norm = self._hold(torch.stack([layer.input_norm for layer in layers]))
        step.post_norm = self._hold(torch.stack([layer.post_norm for layer in layers]))
        step.final_norm = self._hold(weights.norm)
        step.rotation = self._hold(self._rotations())
        step.cache = self._cache.data_ptr()
        tokens, query = _MOST_TOKENS, local.query_heads * local.head_dim
        step.x = self._buffer(2, tokens, local.hidden).data_ptr()
        step.query = self._buffer(tokens, query).data_ptr()
        step.activated = self._buffer(tokens, local.intermediate).data_ptr()
        step.split_sums = self._buffer(tokens, local.query_heads, _MOST_SPLITS, local.head_dim + 4).data_ptr()
        step.part_out[0] = self._buffer(tokens, local.hidden).data_ptr()
        step.part_down[0] = self._buffer(tokens, local.hidden).data_ptr()
        step.logits[0] = self._logits.data_ptr()
        counters = torch.zeros(3, 32, dtype=torch.int32, device=self._device)  # a cache line each
        self._held.append(counters)
        step.world_arrivals[0], step.grid_arrivals, step.generation = (row.data_ptr() for row in counters)
        step.token_ids, step.positions, step.slots = (row.data_ptr() for row in self._inputs)
        step.layers, step.hidden = local.layers, local.hidden
        step.heads, step.kv_heads = local.query_heads, local.kv_heads
        step.max_context, step.cache_slots = self._max_context, self._cache.shape[1]
        step.rank, step.ranks, step.first_id, step.local_vocabulary = 0, 1, 0, local.vocabulary
        step.copies_in_flight, step.epsilon = _COPIES_IN_FLIGHT, self._model.norm_eps
        return step

    def _paired(self, layer: LayerWeights[RawMatrix]) -> RawMatrix:
        values, scales = (part.chunk(2) for part in (layer.gate_up.values, layer.gate_up.scales))
        return RawMatrix(paired(*values), paired(*scales))

    def _matrices(self, raw: list[RawMatrix]) -> MatrixView:
        """All layers' matrices one after another; packed in place, so that no second copy of all is needed."""
        one = pack(raw[0].values, raw[0].scales)
        weights = one.weights.new_empty(len(raw), len(one.weights))
        scales = one.scales.new_empty(len(raw), len(one.scales))
        for index, matrix in enumerate(raw):
            packed: PackedMatrix = pack(matrix.values, matrix.scales)
            weights[index], scales[index] = packed.weights, packed.scales
        return MatrixView(self._hold(weights), self._hold(scales), one.tiles, one.stages, one.inputs)

    def _rotations(self) -> torch.Tensor:
        """(max_context, head_dim / 2, 2) float32: cosine and sine."""
        frequencies = torch.tensor(self._model.rope.frequencies(self._model.local.head_dim), dtype=torch.float64)
        angles = torch.outer(torch.arange(self._max_context, dtype=torch.float64), frequencies)
        return torch.stack([angles.cos(), angles.sin()], -1).float().to(self._device)

    def _buffer(self, *shape: int) -> torch.Tensor:
        """Scratch that every step writes before it reads it; NaN, so that a hole would show."""
        buffer = torch.full(shape, float("nan"), device=self._device)
        self._held.append(buffer)
        return buffer

    def _hold(self, tensor: torch.Tensor) -> int:
        tensor = tensor.contiguous()
        self._held.append(tensor)
        return tensor.data_ptr()
