"""Random LLaMA weights, whole for an exact model on the CPU and cut for ranks whose GPU kernels are under test."""

from __future__ import annotations

import random
from dataclasses import replace

import torch

from checkpoints.shard import cut
from commentary_llm.artifacts.llama import LlamaShape
from commentary_llm.artifacts.rank_share import rank_shape, split_axis
from commentary_llm.generation.torch.collectives import SoloCollectives
from commentary_llm.generation.torch.config import ModelConfig, RopeConfig
from commentary_llm.generation.torch.cuda.decode import DeviceModel, RawMatrices
from commentary_llm.generation.torch.kernels import CpuExactKernels
from commentary_llm.generation.torch.kv_cache import KVCache
from commentary_llm.generation.torch.model import LlamaShard
from commentary_llm.generation.torch.protocol import Span, StepPlan
from commentary_llm.generation.torch.runner import StepRunner
from commentary_llm.generation.torch.weights import read_shard

SHAPES = {
    # grouped heads, sizes that fill no tile, chunk or quarter, tied embedding
    "small": LlamaShape(3, 576, 9, 3, 64, 1536, 4097, tied=True),
    # nothing that divides anything
    "odd": LlamaShape(2, 328, 4, 2, 128, 811, 1003, tied=False),
    "large": LlamaShape(2, 4096, 32, 32, 128, 11008, 32000, tied=False),
}


class _Slice:
    """A tensor as `cut` reads one."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = tensor

    def get_shape(self) -> list[int]:
        return list(self._tensor.shape)

    def __getitem__(self, index: object) -> torch.Tensor:
        return self._tensor[index]  # type: ignore[index]


class RandomWeights:
    """Tensors of a whole model, drawn so that activations keep their size from layer to layer."""

    def __init__(self, shape: LlamaShape, seed: int) -> None:
        self.shape = shape
        draw = torch.Generator().manual_seed(seed)
        self._tensors: dict[str, torch.Tensor] = {}
        for name, size in shape.tensors().items():
            if len(size) == 1:
                self._tensors[name] = 0.5 + torch.rand(size, generator=draw)
                continue
            self._tensors[name] = torch.randint(-127, 128, size, dtype=torch.int8, generator=draw)
            scale = (0.5 + torch.rand(size[0], generator=draw)) / 73 / size[1] ** 0.5
            self._tensors[f"{name}_scale"] = scale * size[1] ** 0.5 if "embed" in name else scale

    def get_tensor(self, name: str) -> torch.Tensor:
        return self._tensors[name]

    def of_rank(self, rank: int, ranks: int, device: torch.device) -> RankWeights:
        return RankWeights(self, rank, ranks, device)


class RankWeights:
    """What the shard of one rank holds of them, on its device."""

    def __init__(self, whole: RandomWeights, rank: int, ranks: int, device: torch.device) -> None:
        self._whole, self._rank, self._device = whole, rank, device
        self._sizes = rank_shape(whole.shape, ranks).tensors()

    def get_tensor(self, name: str) -> torch.Tensor:
        axis, shape = split_axis(name), self._sizes[name.removesuffix("_scale")]
        source = _Slice(self._whole.get_tensor(name))
        part: torch.Tensor = cut(source, name, self._rank, shape[axis] if axis is not None else 0)
        return part.to(self._device)


def config_of(shape: LlamaShape, ranks: int, context: int) -> ModelConfig:
    return ModelConfig(shape, rank_shape(shape, ranks), RopeConfig(10000.0), 1e-5, context, ())


class ExactModel:
    """The whole model in float32 on the CPU."""

    def __init__(self, weights: RandomWeights, slots: int, context: int) -> None:
        self.config = config_of(weights.shape, 1, context)
        cpu, kernels = torch.device("cpu"), CpuExactKernels()
        self.cache = KVCache(self.config, slots, context, kernels.cache_dtype, cpu)
        shard = read_shard(weights, self.config, kernels, "random", "")
        self._model = LlamaShard(self.config, shard, kernels, SoloCollectives(), self.cache, cpu)
        self.runner = StepRunner(self._model, self.cache, self.config.group, cpu)

    def run(self, tokens: tuple[int, ...], *spans: tuple[int, int, int]) -> torch.Tensor:
        """Logits (spans, vocabulary) of the last token of each span: slot, start, count."""
        plan = StepPlan((), (), tuple(Span(*span, (span[0],)) for span in spans), tokens)
        logits = self.runner.logits(plan)
        assert logits is not None
        return logits

    @torch.inference_mode()
    def rows(self, tokens: torch.Tensor, spans: list[tuple[int, int, int]], rows: list[int]) -> torch.Tensor | None:
        """Logits (rows, vocabulary) of any of the tokens."""
        plan = StepPlan((), (), tuple(Span(*span, ()) for span in spans), tuple(tokens.tolist()))
        batch = replace(self.runner._batch(plan), logit_rows=torch.tensor(rows, dtype=torch.int64))
        return self._model.forward(batch)

    def cache_of_rank(self, slot: int, length: int, rank: int, ranks: int) -> torch.Tensor:
        """(layers, kv_heads of the rank, 2, length, head_dim) float16; padded heads are zero."""
        local = rank_shape(self.config.shape, ranks).kv_heads
        layers = []
        for layer in range(self.config.shape.layers):
            keys, values = self.cache.read(layer, slot, 1, length)
            both = torch.stack([keys[0], values[0]], 1)  # (kv_heads, 2, length, head_dim)
            both = torch.nn.functional.pad(both, (0, 0, 0, 0, 0, 0, 0, local * ranks - both.shape[0]))
            layers.append(both[rank * local : (rank + 1) * local])
        return torch.stack(layers).half()


def device_model(
    weights: RandomWeights, rank: int, ranks: int, context: int, device: torch.device
) -> tuple[ModelConfig, DeviceModel]:
    config = config_of(weights.shape, ranks, context)
    raw = read_shard(weights.of_rank(rank, ranks, device), config, RawMatrices(), "random", "")
    return config, DeviceModel(config, raw, context)


def random_tokens(draw: random.Random, shape: LlamaShape, count: int) -> tuple[int, ...]:
    return tuple(draw.randrange(shape.vocabulary) for _ in range(count))


def worst_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest relative error of a row; NaN where there is one."""
    return float(((found - expected).norm(dim=1) / expected.norm(dim=1)).max())
