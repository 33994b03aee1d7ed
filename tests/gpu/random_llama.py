"""A LLaMA of random INT8 weights, whole or cut for ranks, for tests that compare the GPU's kernels with the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from checkpoints.llama import LlamaShape
from checkpoints.shard import cut, rank_shape, split_axis
from commentary_llm.generation.torch_backend.config import ModelConfig, RopeConfig
from commentary_llm.generation.torch_backend.cuda.layout import pack, paired
from commentary_llm.generation.torch_backend.weights import LayerWeights, M, MatrixMaker, ShardWeights

_Scaled = tuple[torch.Tensor, torch.Tensor]


def config_of(shape: LlamaShape, ranks: int, max_context: int) -> ModelConfig:
    return ModelConfig(shape, rank_shape(shape, ranks), RopeConfig(10000.0), 1e-5, max_context, ())


class RandomLlama:
    """Tensors of the whole model by name, on the CPU. Query and key rows count as interleaved already."""

    def __init__(self, shape: LlamaShape, seed: int = 11) -> None:
        self.shape = shape
        draw = torch.Generator().manual_seed(seed)
        self._tensors: dict[str, torch.Tensor] = {}
        for name, size in shape.tensors().items():
            if len(size) == 1:
                self._tensors[name] = 0.5 + torch.rand(size, generator=draw)
                continue
            self._tensors[name] = torch.randint(-127, 128, size, dtype=torch.int8, generator=draw)
            scales = (0.5 + torch.rand(size[0], generator=draw)) / 73 / size[1] ** 0.5
            self._tensors[f"{name}_scale"] = scales * (size[1] ** 0.5 if "embed" in name else 1.0)

    def shard(self, rank: int, ranks: int, maker: MatrixMaker[M], device: str) -> ShardWeights[M]:
        local = rank_shape(self.shape, ranks).tensors()

        def part(name: str) -> torch.Tensor:
            axis, size = split_axis(name), local[name.removesuffix("_scale")]
            return cut(_Slice(self._tensors[name]), name, rank, size[axis] if axis is not None else 0).to(device)

        def matrix(name: str) -> _Scaled:
            return part(name), part(f"{name}_scale")

        def fused(*names: str) -> M:
            parts = [matrix(name) for name in names]
            return maker.linear(torch.cat([values for values, _ in parts]), torch.cat([scales for _, scales in parts]))

        def layer(index: int) -> LayerWeights[M]:
            at = f"model.layers.{index}."
            return LayerWeights(
                input_norm=part(f"{at}input_layernorm.weight"),
                qkv=fused(*(f"{at}self_attn.{name}_proj.weight" for name in "qkv")),
                output=fused(f"{at}self_attn.o_proj.weight"),
                post_norm=part(f"{at}post_attention_layernorm.weight"),
                gate_up=fused(f"{at}mlp.gate_proj.weight", f"{at}mlp.up_proj.weight"),
                down=fused(f"{at}mlp.down_proj.weight"),
            )

        embedding, scale = matrix("model.embed_tokens.weight")
        head = (embedding, scale) if self.shape.tied else matrix("lm_head.weight")
        layers = tuple(layer(index) for index in range(self.shape.layers))
        return ShardWeights(embedding, scale, layers, part("model.norm.weight"), maker.linear(*head), 0)


class _Slice:
    """A tensor as `cut` reads it."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = tensor

    def get_shape(self) -> list[int]:
        return list(self._tensor.shape)

    def __getitem__(self, key: slice | tuple[slice, ...]) -> torch.Tensor:
        return self._tensor[key].clone()


@dataclass(frozen=True)
class Stacked:
    """One packed matrix of all layers."""

    weights: torch.Tensor
    scales: torch.Tensor
    tiles: int
    chunks: int
    inputs: int


def stack(raw: Sequence[_Scaled]) -> Stacked:
    packed = [pack(*matrix) for matrix in raw]
    weights, scales = (torch.stack([getattr(one, name) for one in packed]) for name in ("weights", "scales"))
    return Stacked(weights, scales, packed[0].tiles, packed[0].chunks, packed[0].inputs)


class PairMaker:
    """Keeps matrices as they are, for packing."""

    def linear(self, values: torch.Tensor, scales: torch.Tensor) -> _Scaled:
        return values, scales


class PackedLlama:
    """One rank's weights as the prefill pass takes them."""

    def __init__(self, config: ModelConfig, shard: ShardWeights[_Scaled]) -> None:
        layers = shard.layers
        self.qkv = stack([layer.qkv for layer in layers])
        self.out = stack([layer.output for layer in layers])
        self.gate_up = stack([tuple(paired(*part.chunk(2)) for part in layer.gate_up) for layer in layers])
        self.down = stack([layer.down for layer in layers])
        self.head = stack([shard.lm_head])
        self.embedding, self.embedding_scale = shard.embedding, shard.embedding_scale
        self.input_norm = torch.stack([layer.input_norm for layer in layers])
        self.post_norm = torch.stack([layer.post_norm for layer in layers])
        self.final_norm = shard.norm
        self.rotation = rotations(config).to(shard.embedding.device)


def rotations(config: ModelConfig) -> torch.Tensor:
    """(max_positions, head_dim / 2, 2) float32: cosine and sine."""
    frequencies = torch.tensor(config.rope.frequencies(config.local.head_dim), dtype=torch.float64)
    angles = torch.outer(torch.arange(config.max_positions, dtype=torch.float64), frequencies)
    return torch.stack([angles.cos(), angles.sin()], -1).float()
