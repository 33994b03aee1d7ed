"""What the model needs to know from `config.json`, with one rank's sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from commentary_llm.artifacts.llama import LlamaShape, shape_of
from commentary_llm.artifacts.rank_share import rank_shape
from commentary_llm.ground.errors import ConfigError


@dataclass(frozen=True)
class RopeConfig:
    """Rotary position embedding; `scaling` holds the "llama3" parameters, None means unscaled."""

    theta: float
    scaling: dict[str, float] | None = None

    def frequencies(self, head_dim: int) -> list[float]:
        """Radians per position of each of the head_dim / 2 pairs."""
        plain = [self.theta ** (-2 * pair / head_dim) for pair in range(head_dim // 2)]
        if self.scaling is None:
            return plain
        return [self._scaled(frequency, self.scaling) for frequency in plain]

    @staticmethod
    def _scaled(frequency: float, scaling: dict[str, float]) -> float:
        """Llama 3.1 long-context scaling: long waves are stretched by `factor`, short ones kept, a ramp between."""
        wavelength = 2 * math.pi / frequency
        original = scaling["original_max_position_embeddings"]
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        if wavelength < original / high:
            return frequency
        if wavelength > original / low:
            return frequency / scaling["factor"]
        kept = (original / wavelength - low) / (high - low)
        return (1 - kept) * frequency / scaling["factor"] + kept * frequency


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the whole model (`shape`) and of one rank's padded part (`local`)."""

    shape: LlamaShape
    local: LlamaShape
    rope: RopeConfig
    norm_eps: float
    max_positions: int
    eos_token_ids: tuple[int, ...]

    @property
    def group(self) -> int:
        """Query heads per KV head."""
        return self.shape.query_heads // self.shape.kv_heads


def model_config(config: dict[str, Any], ranks: int, where: str) -> ModelConfig:
    """Reads a Hugging Face LLaMA `config.json`. Raises ConfigError for what the model code does not know."""
    shape = shape_of(config, where)
    if shape.head_dim % 2:
        raise ConfigError(f"{where}: head_dim is {shape.head_dim}, expected an even number")
    eos = config.get("eos_token_id")
    eos_ids = tuple(eos) if isinstance(eos, list) else () if eos is None else (int(eos),)
    return ModelConfig(
        shape=shape,
        local=rank_shape(shape, ranks),
        rope=_rope(config, where),
        norm_eps=float(config.get("rms_norm_eps", 1e-6)),
        max_positions=int(config.get("max_position_embeddings", 2048)),
        eos_token_ids=eos_ids,
    )


def _rope(config: dict[str, Any], where: str) -> RopeConfig:
    # transformers 5 writes `rope_parameters` with everything inside; earlier releases `rope_theta` + `rope_scaling`.
    parameters = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = float(parameters.get("rope_theta") or config.get("rope_theta") or 10000.0)
    kind = parameters.get("rope_type") or parameters.get("type") or "default"
    if kind == "default":
        return RopeConfig(theta)
    if kind != "llama3":
        raise ConfigError(f"{where}: rope type is {kind!r}; the model code knows 'default' and 'llama3'")
    keys = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    if missing := [key for key in keys if key not in parameters]:
        raise ConfigError(f"{where}: llama3 rope scaling without {', '.join(missing)}")
    return RopeConfig(theta, {key: float(parameters[key]) for key in keys})
