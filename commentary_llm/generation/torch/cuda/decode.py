"""One decode step on one rank's GPU: packed weights, mailboxes, and the launch of the step kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from commentary_llm.generation.torch.config import ModelConfig
from commentary_llm.generation.torch.cuda.layout import CHUNK_INPUTS, CLUSTER_BLOCKS, PackedMatrix, pack, paired
from commentary_llm.generation.torch.cuda.library import MAX_TOKENS, KernelLibrary, MatrixView, StepParameters
from commentary_llm.generation.torch.cuda.region import EMPTY, PeerRegion
from commentary_llm.generation.torch.weights import LayerWeights, ShardWeights
from commentary_llm.ground.errors import ConfigError

_HEAD_DIMS = (64, 128)  # compiled
_SPLIT_POSITIONS = 64  # of a head that one block attends to, where blocks are to spare
_MOST_SPLITS = 4  # of a head; who joins them reads so many at once


@dataclass(frozen=True)
class RawMatrix:
    """An INT8 matrix as the shard holds it."""

    values: torch.Tensor
    scales: torch.Tensor


class RawMatrices:
    """Keeps matrices as they are, for packing."""

    def linear(self, values: torch.Tensor, scales: torch.Tensor) -> RawMatrix:
        return RawMatrix(values, scales)


@dataclass(frozen=True)
class PackedMatrices:
    """The same matrix of every layer: `weights` (layers, tiles * chunks * 512) int8, `scales` (layers, tiles * 16)."""

    weights: torch.Tensor
    scales: torch.Tensor
    tiles: int
    chunks: int
    inputs: int

    @property
    def view(self) -> MatrixView:
        return MatrixView(self.weights.data_ptr(), self.scales.data_ptr(), self.tiles, self.chunks, self.inputs)


def pack_all(raw: Sequence[RawMatrix]) -> PackedMatrices:
    """Packs the matrices of all layers, one after another, so that no second copy of all is needed."""
    one: PackedMatrix | None = None
    for index, matrix in enumerate(raw):
        packed = pack(matrix.values, matrix.scales)
        if one is None:
            one = packed
            weights = one.weights.new_empty(len(raw), len(one.weights))
            scales = one.scales.new_empty(len(raw), len(one.scales))
        weights[index], scales[index] = packed.weights, packed.scales
    assert one is not None
    return PackedMatrices(weights, scales, one.tiles, one.chunks, one.inputs)


def pack_gate_up(layer: LayerWeights[RawMatrix]) -> RawMatrix:
    """Gate and up so that a tile holds 8 rows of the one and the same 8 of the other."""
    values, scales = (part.chunk(2) for part in (layer.gate_up.values, layer.gate_up.scales))
    return RawMatrix(paired(*values), paired(*scales))


class DeviceModel:
    """One rank's weights on its GPU, packed for the kernels, with norms, embedding and rotations."""

    def __init__(self, model: ModelConfig, weights: ShardWeights[RawMatrix], max_context: int) -> None:
        """The raw weights are needed until this returns: they are held twice for a moment."""
        layers = weights.layers
        self.qkv = pack_all([layer.qkv for layer in layers])
        self.out = pack_all([layer.output for layer in layers])
        self.gate_up = pack_all([pack_gate_up(layer) for layer in layers])
        self.down = pack_all([layer.down for layer in layers])
        self.head = pack_all([weights.lm_head])
        self.embedding, self.embedding_scale = weights.embedding.contiguous(), weights.embedding_scale.contiguous()
        self.input_norm = torch.stack([layer.input_norm for layer in layers])
        self.post_norm = torch.stack([layer.post_norm for layer in layers])
        self.final_norm = weights.norm.contiguous()
        frequencies = torch.tensor(model.rope.frequencies(model.local.head_dim), dtype=torch.float64)
        angles = torch.outer(torch.arange(max_context, dtype=torch.float64), frequencies)
        # (max_context, head_dim / 2, 2) float32: cosine and sine
        self.rotation = torch.stack([angles.cos(), angles.sin()], -1).float().to(self.embedding.device)

    @property
    def matrices(self) -> tuple[PackedMatrices, ...]:
        return self.qkv, self.out, self.gate_up, self.down, self.head


def step_parts(model: ModelConfig, ranks: int) -> dict[str, tuple[int, int]]:
    """What a step needs of a PeerRegion."""
    local = model.local
    box = 4 * 2 * ranks * MAX_TOKENS * local.hidden
    return {
        "out_box": (box, EMPTY),
        "down_box": (box, EMPTY),
        "step_logits": (4 * MAX_TOKENS * ranks * local.vocabulary, EMPTY),
    }


class DecodeStep:
    """Launches steps of up to 8 sequences, one new token each; logits land in the region's `step_logits`."""

    def __init__(
        self,
        kernels: KernelLibrary,
        model: ModelConfig,
        weights: DeviceModel,
        cache: torch.Tensor,
        tokens: torch.Tensor,
        region: PeerRegion,
        rank: int,
        ranks: int,
        *,
        sharers: int = 1,
    ) -> None:
        """`cache` (layers, slots, kv_heads, 2, max_context, head_dim) float16; `tokens` (slots,) int32, each slot's
        newest token. `sharers` ranks share the GPU (for tests). Raises ConfigError for a model that the
        kernel is not for.
        """
        local = model.local
        self._kernels, self._local, self._weights = kernels, local, weights
        self._cache, self._tokens, self._region = cache, tokens, region
        if local.head_dim not in _HEAD_DIMS or local.hidden % 4 or local.intermediate % 4:
            raise ConfigError(
                f"the GPU kernels take head sizes {_HEAD_DIMS} and sizes that are multiples of 4; this model has "
                f"head size {local.head_dim}, hidden size {local.hidden}, intermediate size {local.intermediate}"
            )
        device = cache.device
        qkv_rows = (local.query_heads + 2 * local.kv_heads) * local.head_dim
        self._boxes = [
            torch.full((2, MAX_TOKENS, width), -1, dtype=torch.int32, device=device)
            for width in (qkv_rows, local.query_heads * (local.head_dim + 4), local.intermediate)
        ]
        self._step = self._parameters(model, rank, ranks)
        most = kernels.most_tokens(self._step, local.head_dim)
        if not most:
            raise ConfigError(f"a row of {local.intermediate} inputs does not fit the GPU's shared memory")
        self.sizes = [size for size in (1, 2, 4, 8) if size <= most]
        # Every cluster needs rows of every product, see kernels/mailbox.cuh.
        fewest_tiles = min(matrix.tiles for matrix in weights.matrices)
        self.clusters: dict[int, int] = {}
        for size in self.sizes:
            most = kernels.most_clusters(self._step, size, local.head_dim)
            self.clusters[size] = min(most // sharers, fewest_tiles)
        self._uses = 0

    def launch(self, slots: Sequence[int], positions: Sequence[int], stream: int) -> None:
        """Queues a step: the newest token of each slot at its position. At most `sizes[-1]` different slots."""
        step, local, count = self._step, self._local, len(slots)
        size = next(size for size in self.sizes if size >= count)
        step.count_before, step.count = step.count, count
        step.slots[:count], step.positions[:count] = list(slots), list(positions)
        blocks = self.clusters[size] * CLUSTER_BLOCKS
        free_blocks = blocks // (count * local.query_heads)
        splits = min(_MOST_SPLITS, MAX_TOKENS // size, free_blocks, math.ceil((max(positions) + 1) / _SPLIT_POSITIONS))
        step.splits = max(1, splits)
        step.layer_half = self._uses * local.layers % 2
        step.down_half = self._uses * (local.layers + 1) % 2
        self._uses += 1
        self._kernels.launch_step(step, size, local.head_dim, self.clusters[size], stream)

    def _parameters(self, model: ModelConfig, rank: int, ranks: int) -> StepParameters:
        local, weights, step = model.local, self._weights, StepParameters()
        for index, matrix in enumerate(weights.matrices):
            assert matrix.chunks % CLUSTER_BLOCKS == 0
            assert matrix.chunks * CHUNK_INPUTS >= matrix.inputs
            step.matrices[index] = matrix.view
        for name in ("embedding", "embedding_scale", "input_norm", "post_norm", "final_norm", "rotation"):
            setattr(step, name, getattr(weights, name).data_ptr())
        step.cache, step.tokens = self._cache.data_ptr(), self._tokens.data_ptr()
        step.heads_box, step.attended_box, step.activated_box = (box.data_ptr() for box in self._boxes)
        for name, part in (("out_box", "out_box"), ("down_box", "down_box"), ("logits", "step_logits")):
            addresses = self._region.addresses(part)
            getattr(step, name)[: len(addresses)] = addresses
        step.layers, step.hidden, step.head_dim = local.layers, local.hidden, local.head_dim
        step.heads, step.kv_heads = local.query_heads, local.kv_heads
        step.cache_slots, step.max_context = self._cache.shape[1], self._cache.shape[4]
        step.rank, step.ranks = rank, ranks
        step.first_id, step.local_vocabulary = rank * local.vocabulary, local.vocabulary
        step.epsilon = model.norm_eps
        return step
