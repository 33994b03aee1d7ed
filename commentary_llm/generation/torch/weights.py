"""One rank's shard read into prepared layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import torch
from safetensors import SafetensorError, safe_open

from commentary_llm.generation.torch.config import ModelConfig
from commentary_llm.ground.errors import ArtifactError

M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)


class MatrixMaker(Protocol[M_co]):
    """Prepares INT8 matrices for a device."""

    def linear(self, values: torch.Tensor, scales: torch.Tensor) -> M_co:
        """From (out, in) int8 and scales (out,) float32."""
        ...


@dataclass(frozen=True)
class LayerWeights(Generic[M]):
    """One decoder layer's part on this rank; `qkv` and `gate_up` are fused."""

    input_norm: torch.Tensor  # (hidden,) float32
    qkv: M
    output: M
    post_norm: torch.Tensor
    gate_up: M  # rows of gate, then those of up
    down: M


@dataclass(frozen=True)
class ShardWeights(Generic[M]):
    """Everything one rank holds. `embedding` (V / ranks, hidden) int8 with float32 scales (V / ranks,)."""

    embedding: torch.Tensor
    embedding_scale: torch.Tensor
    layers: tuple[LayerWeights[M], ...]
    norm: torch.Tensor
    lm_head: M
    size_bytes: int


class TensorSource(Protocol):
    """Where tensors come from; an open safetensors file is one."""

    def get_tensor(self, name: str) -> torch.Tensor: ...


class ShardLoader(Protocol):
    """Where a rank's weights come from."""

    def __call__(self, config: ModelConfig, maker: MatrixMaker[M], device: torch.device) -> ShardWeights[M]:
        """All of them, on `device`. Raises ArtifactError."""
        ...


@dataclass(frozen=True)
class ShardFile:
    """`rank{r}.safetensors`; errors name the tensor and `rebuild`, the command that makes the file anew."""

    path: Path
    rebuild: str

    def __call__(self, config: ModelConfig, maker: MatrixMaker[M], device: torch.device) -> ShardWeights[M]:
        """See `ShardLoader`."""
        return self.read(lambda source: read_shard(source, config, maker, str(self.path), self.rebuild), device)

    def read(self, reader: Callable[[TensorSource], ShardWeights[M]], device: torch.device) -> ShardWeights[M]:
        """What `reader` makes of the file's tensors, which are on `device`."""
        try:
            with safe_open(self.path, framework="pt", device=str(device)) as file:
                return reader(file)
        except FileNotFoundError:
            raise ArtifactError(f"{self.path} does not exist; build it with `{self.rebuild}`") from None
        except SafetensorError as error:
            raise ArtifactError(f"{self.path} is damaged ({error}); rebuild it with `{self.rebuild}`") from None


@dataclass(frozen=True)
class RandomShard:
    """Weights drawn for one rank, for timing sizes that no file holds; activations keep their size between layers."""

    seed: int

    def __call__(self, config: ModelConfig, maker: MatrixMaker[M], device: torch.device) -> ShardWeights[M]:
        """See `ShardLoader`."""
        return read_shard(_RandomTensors(config, device, self.seed), config, maker, "random weights", "")


class _RandomTensors:
    def __init__(self, config: ModelConfig, device: torch.device, seed: int) -> None:
        self._sizes, self._device = config.local.tensors(), device
        self._draw = torch.Generator(device).manual_seed(seed)

    def get_tensor(self, name: str) -> torch.Tensor:
        size = self._sizes[name.removesuffix("_scale")]
        if len(size) == 1:
            return torch.ones(size, device=self._device)
        if not name.endswith("_scale"):
            return torch.randint(-127, 128, size, dtype=torch.int8, device=self._device, generator=self._draw)
        # Integers drawn evenly from -127 … 127 have a standard deviation of 73.
        inputs = 1 if "embed" in name else size[1]
        return torch.full((size[0],), 1 / 73 / inputs**0.5, device=self._device)


def read_shard(
    source: TensorSource, config: ModelConfig, maker: MatrixMaker[M], where: str, rebuild: str
) -> ShardWeights[M]:
    """One rank's layers from tensors named as in its shard. Raises ArtifactError where one has another shape."""
    return _Reader(source, where, config, maker, rebuild).read()


class _Reader(Generic[M]):
    def __init__(
        self, source: TensorSource, where: str, config: ModelConfig, maker: MatrixMaker[M], rebuild: str
    ) -> None:
        self._source, self._where, self._config, self._maker, self._rebuild = source, where, config, maker, rebuild
        self._expected = config.local.tensors()
        self._size_bytes = 0

    def read(self) -> ShardWeights[M]:
        tied = self._config.shape.tied
        embedding, scale = self._matrix("model.embed_tokens.weight")
        head = (embedding, scale) if tied else self._matrix("lm_head.weight")
        return ShardWeights(
            embedding=embedding,
            embedding_scale=scale,
            layers=tuple(self._layer(f"model.layers.{i}.") for i in range(self._config.local.layers)),
            norm=self._vector("model.norm.weight"),
            lm_head=self._maker.linear(*head),
            size_bytes=self._size_bytes,
        )

    def _layer(self, prefix: str) -> LayerWeights[M]:
        attention, mlp = f"{prefix}self_attn.", f"{prefix}mlp."
        qkv = [
            self._interleaved(*self._matrix(f"{attention}q_proj.weight")),
            self._interleaved(*self._matrix(f"{attention}k_proj.weight")),
            self._matrix(f"{attention}v_proj.weight"),
        ]
        gate_up = [self._matrix(f"{mlp}gate_proj.weight"), self._matrix(f"{mlp}up_proj.weight")]
        return LayerWeights(
            input_norm=self._vector(f"{prefix}input_layernorm.weight"),
            qkv=self._fused(qkv),
            output=self._maker.linear(*self._matrix(f"{attention}o_proj.weight")),
            post_norm=self._vector(f"{prefix}post_attention_layernorm.weight"),
            gate_up=self._fused(gate_up),
            down=self._maker.linear(*self._matrix(f"{mlp}down_proj.weight")),
        )

    def _fused(self, parts: list[tuple[torch.Tensor, torch.Tensor]]) -> M:
        return self._maker.linear(torch.cat([values for values, _ in parts]), torch.cat([scale for _, scale in parts]))

    def _interleaved(self, values: torch.Tensor, scales: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of each head reordered from (all first halves, all second halves) to pairs.

        Hugging Face weights rotate element j with element j + D/2. As neighbours the two are one complex number, and
        the rotation is one complex product; queries and keys are reordered alike, so their products stay the same.
        """
        head_dim = self._config.local.head_dim
        order = torch.arange(head_dim).view(2, head_dim // 2).t().reshape(-1)
        heads = values.shape[0] // head_dim
        values = values.view(heads, head_dim, -1)[:, order].reshape(values.shape)
        return values, scales.view(heads, head_dim)[:, order].reshape(-1)

    def _matrix(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        rows = self._expected[name][0]
        return self._tensor(name, self._expected[name], torch.int8), self._tensor(
            f"{name}_scale", (rows,), torch.float32
        )

    def _vector(self, name: str) -> torch.Tensor:
        return self._tensor(name, self._expected[name], torch.float32)

    def _tensor(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        tensor: torch.Tensor = self._source.get_tensor(name)
        if tuple(tensor.shape) != shape or tensor.dtype != dtype:
            raise ArtifactError(
                f"{self._where}: {name} is {tensor.dtype} {list(tensor.shape)}, expected {dtype} {list(shape)}; "
                f"rebuild it with `{self._rebuild}`"
            )
        self._size_bytes += tensor.numel() * tensor.element_size()
        # Out of the mapped file, where tensors begin at any byte: torch's INT8 kernel loads aligned vectors and a
        # weight at an odd address ends the process.
        return tensor.clone()
