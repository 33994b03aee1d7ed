"""The arithmetic that depends on the device and the compute dtype, behind one small interface."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F

from commentary_llm.errors import ConfigError

Tensor = torch.Tensor


class Linear(Protocol):
    """y = x W^T without bias: (T, in) -> (T, out), both in the kernels' compute dtype."""

    def __call__(self, x: Tensor) -> Tensor: ...


class Kernels(Protocol):
    """How matrices are kept and multiplied, and how attention is computed."""

    compute_dtype: torch.dtype
    cache_dtype: torch.dtype

    def linear(self, values: Tensor, scales: Tensor) -> Linear:
        """Prepares an INT8 matrix (out, in) with float32 scales (out,)."""
        ...

    def attention(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Softmax attention: query (B, KV, Q, D), key and value (B, KV, L, D), additive mask (B, 1, Q, L) or None."""
        ...


class _Int8Linear:
    # Measured on one core of the reference machine, (1536, 576), microseconds for 1 / 8 / 16 / 32 / 64 rows:
    # _weight_int8pack_mm 62 / 113 / 217 / 418 / 814, widening to bf16 + mm 170 / 193 / 222 / 293 / 415.
    PACKED_ROWS = 16
    # _weight_int8pack_mm reads rows in aligned blocks of 16: with another row length it returns garbage or crashes.
    BLOCK = 16

    def __init__(self, values: Tensor, scales: Tensor) -> None:
        self._missing = -values.shape[1] % self.BLOCK
        self._values = F.pad(values, (0, self._missing)) if self._missing else values.contiguous()
        self._scales = scales.to(torch.bfloat16)

    def __call__(self, x: Tensor) -> Tensor:
        if self._missing:
            x = F.pad(x, (0, self._missing))
        if x.shape[0] <= self.PACKED_ROWS:
            return torch._weight_int8pack_mm(x, self._values, self._scales)
        return torch.mm(x, self._values.to(torch.bfloat16).t()).mul_(self._scales)


class _DequantizedLinear:
    def __init__(self, values: Tensor, scales: Tensor) -> None:
        self._weight = values.to(torch.float32).mul_(scales[:, None])

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self._weight)


class _CpuAttention:
    # float32 rows: attention over 300 positions takes 19 µs, in bf16 26 µs (no bf16 dot product for small blocks).
    cache_dtype = torch.float32

    def attention(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


class CpuInt8Kernels(_CpuAttention):
    """bf16 activations over INT8 weights; the residual stream and attention stay float32."""

    compute_dtype = torch.bfloat16

    def linear(self, values: Tensor, scales: Tensor) -> Linear:
        return _Int8Linear(values, scales)


class CpuExactKernels(_CpuAttention):
    """float32 throughout, weights dequantised at load (four bytes a weight): the reference to check others by."""

    compute_dtype = torch.float32

    def linear(self, values: Tensor, scales: Tensor) -> Linear:
        return _DequantizedLinear(values, scales)


def select_kernels(compute_dtype: str, device: torch.device) -> Kernels:
    """Kernels for `compute_dtype` ("bfloat16" or "float32") on `device`. Raises ConfigError for other combinations."""
    if device.type != "cpu":
        raise ConfigError(f"device is {device}; this build of the torch backend has kernels for 'cpu' only")
    if compute_dtype == "bfloat16":
        return CpuInt8Kernels()
    if compute_dtype == "float32":
        return CpuExactKernels()
    raise ConfigError(f"compute_dtype is {compute_dtype!r}, expected 'bfloat16' or 'float32'")
