"""Sizes of models by name, and a small model padded to a bigger one's: the same words at the bigger one's cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from commentary_llm.artifacts.llama import shape_of
from commentary_llm.artifacts.rank_share import rank_shape
from commentary_llm.generation.torch.config import ModelConfig
from commentary_llm.generation.torch.weights import M, MatrixMaker, ShardFile, ShardWeights, TensorSource, read_shard
from commentary_llm.ground.errors import ConfigError

KNOWN_SIZES: dict[str, dict[str, Any]] = {
    "llama-7b": {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 32000,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
    },
}


def padded_config(small: ModelConfig, ranks: int, sizes: str) -> ModelConfig:
    """The model at the sizes of `sizes`, with its own vocabulary. Raises ConfigError when they are too small."""
    if sizes not in KNOWN_SIZES:
        raise ConfigError(f"sizes are {sizes!r}, expected one of {', '.join(KNOWN_SIZES)}")
    mine, big = small.shape, shape_of(KNOWN_SIZES[sizes], sizes)
    big = replace(big, vocabulary=mine.vocabulary, tied=mine.tied)
    local, room = small.local, rank_shape(big, ranks)
    fits = all(
        getattr(local, name) <= getattr(room, name) for name in ("layers", "hidden", "query_heads", "intermediate")
    )
    if not fits or room.head_dim % local.head_dim or room.kv_heads != room.query_heads:
        raise ConfigError(f"a model with {local} on a rank cannot be padded to {sizes}'s {room}")
    # The mean of squares is over more elements, all of them zero.
    return replace(small, shape=big, local=room, norm_eps=small.norm_eps * mine.hidden / big.hidden)


@dataclass(frozen=True)
class PaddedShard:
    """A rank's shard of the model `small`, padded with zeros to whatever it is loaded for (see `padded_config`).

    Norms are scaled, since they divide by the root of a mean over more elements. A head's pair of elements that turns
    at some frequency moves to the pair of the longer head that does, and queries are scaled, since longer heads divide
    their products with keys by more. Each query head gets a key and value head of its own. Layers past the model's own
    add nothing. INT8 values stay as they are.
    """

    file: ShardFile
    small: ModelConfig

    def __call__(self, config: ModelConfig, maker: MatrixMaker[M], device: torch.device) -> ShardWeights[M]:
        """See `ShardLoader`."""

        def padded(source: TensorSource) -> ShardWeights[M]:
            where, rebuild = str(self.file.path), self.file.rebuild
            return read_shard(_Padded(source, self.small, config, device), config, maker, where, rebuild)

        return self.file.read(padded, device)


class _Padded:
    def __init__(self, source: TensorSource, small: ModelConfig, big: ModelConfig, device: torch.device) -> None:
        self._source, self._small, self._big, self._device = source, small, big.local, device
        self._shapes = big.local.tensors()
        self._hidden_ratio = small.local.hidden / big.local.hidden

    def get_tensor(self, name: str) -> torch.Tensor:
        matrix = name.removesuffix("_scale")
        shape, scales = self._shapes[matrix], name.endswith("_scale")
        missing = matrix.startswith("model.layers.") and int(matrix.split(".")[2]) >= self._small.local.layers
        if len(shape) == 1:
            padded = torch.zeros(shape, device=self._device)
            if not missing:
                values = self._source.get_tensor(name)
                padded[: len(values)] = values * self._hidden_ratio**0.5
            return padded
        if scales:
            padded = torch.ones(shape[0], device=self._device)
            if not missing:
                rows = self._rows(matrix)
                factor = (self._big.head_dim / self._small.local.head_dim) ** 0.5 if "q_proj" in matrix else 1.0
                padded[rows] = self._source.get_tensor(name)[self._from_rows(matrix)] * factor
            return padded
        padded = torch.zeros(shape, dtype=torch.int8, device=self._device)
        if not missing:
            values = self._source.get_tensor(name)[self._from_rows(matrix)]
            rows, columns = self._rows(matrix), self._columns(matrix, values.shape[1])
            padded[rows[:, None], columns[None, :]] = values
        return padded

    def _from_rows(self, matrix: str) -> torch.Tensor:
        """Rows of the small matrix in the order in which they are placed: key and value heads once a query head."""
        small = self._small.local
        if "k_proj" not in matrix and "v_proj" not in matrix:
            return torch.arange(small.tensors()[matrix][0], device=self._device)
        heads = torch.arange(small.query_heads, device=self._device) * small.kv_heads // small.query_heads
        return (heads[:, None] * small.head_dim + torch.arange(small.head_dim, device=self._device)).reshape(-1)

    def _rows(self, matrix: str) -> torch.Tensor:
        """Where they are placed."""
        if "q_proj" in matrix or "k_proj" in matrix:
            return self._heads(self._turning())
        if "v_proj" in matrix:
            return self._heads(torch.arange(self._small.local.head_dim, device=self._device))
        return torch.arange(self._small.local.tensors()[matrix][0], device=self._device)

    def _columns(self, matrix: str, count: int) -> torch.Tensor:
        if "o_proj" in matrix:
            return self._heads(torch.arange(self._small.local.head_dim, device=self._device))
        return torch.arange(count, device=self._device)

    def _turning(self) -> torch.Tensor:
        """Places of a small head's elements in a big one: pair j of D/2 turns as fast as pair j * (big D / D)."""
        small, big = self._small.local.head_dim, self._big.head_dim
        first = torch.arange(small // 2, device=self._device) * (big // small)
        return torch.cat([first, first + big // 2])

    def _heads(self, within: torch.Tensor) -> torch.Tensor:
        heads = torch.arange(self._small.local.query_heads, device=self._device)
        return (heads[:, None] * self._big.head_dim + within).reshape(-1)
