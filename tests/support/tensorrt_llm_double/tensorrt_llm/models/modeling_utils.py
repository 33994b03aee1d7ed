"""Quantisation settings."""

from dataclasses import dataclass, field

from tensorrt_llm.quantization import QuantAlgo


@dataclass
class QuantConfig:
    quant_algo: QuantAlgo | None = None
    kv_cache_quant_algo: QuantAlgo | None = None
    group_size: int = 128
    smoothquant_val: float = 0.5
    exclude_modules: list[str] = field(default_factory=list)
