"""The arithmetic that depends on the device and the compute dtype, behind one small interface."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F

from commentary_llm.ground.errors import ConfigError

Tensor = torch.Tensor


class Linear(Protocol):
    """y = x W^T without bias: (T, in) -> (T, out), float32."""

    def __call__(self, x: Tensor) -> Tensor: ...


class Kernels(Protocol):
    """How matrices are kept and multiplied, and how attention is computed."""

    cache_dtype: torch.dtype

    def linear(self, values: Tensor, scales: Tensor) -> Linear:
        """Prepares an INT8 matrix (out, in) with float32 scales (out,)."""
        ...

    def attention(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Softmax attention: query (B, KV, Q, D), key and value (B, KV, L, D), additive mask (B, 1, Q, L) or None."""
        ...


class _Int8Linear:
    """INT8 products with exact int32 sums; each activation enters as two INT8 digits, 15 bits below its row's maximum.

        x / scale = d0 + d1 / 254,  scale = max |x| / 127   ->   y = (W d0 + W d1 / 254) * scale * weight scale

    Microseconds of the product alone on one core of the reference machine, (1536, 576), for 1 / 4 / 8 / 32 tokens:
    _int_mm over two digits 68 / 79 / 107 / 202; _weight_int8pack_mm in bf16 62 / 62 / 113 / 418; widened to bf16
    170 / 177 / 193 / 293. Making and joining the digits comes on top.
    And bf16, rounded on the way in and out, is off by 1.1 to 1.7 % in the logits of the 30-layer default model.
    """

    _SECOND = 254.0  # the first digit leaves at most a half, which maps to 127

    def __init__(self, values: Tensor, scales: Tensor) -> None:
        # (in, out): oneDNN is a third quicker with it than with the transposed view.
        self._values = values.t().contiguous()
        self._scales = scales

    def __call__(self, x: Tensor) -> Tensor:
        rows, size = x.shape
        scale = x.abs().amax(1, keepdim=True).clamp_(min=1e-30).div_(127)
        digits = torch.empty(2, rows, size, device=x.device)
        steps = x / scale
        torch.round(steps, out=digits[0])
        torch.sub(steps, digits[0], out=digits[1]).mul_(self._SECOND).round_()
        products = torch._int_mm(digits.to(torch.int8).view(2 * rows, size), self._values).float()
        return torch.add(products[:rows], products[rows:], alpha=1 / self._SECOND).mul_(self._scales).mul_(scale)


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
    """INT8 weights as they are; sums, scales, residual stream, attention and SiLU in float32."""

    def linear(self, values: Tensor, scales: Tensor) -> Linear:
        return _Int8Linear(values, scales)


class CpuExactKernels(_CpuAttention):
    """float32 throughout, weights dequantised at load (four bytes a weight): the reference to check others by."""

    def linear(self, values: Tensor, scales: Tensor) -> Linear:
        return _DequantizedLinear(values, scales)


def cpu_compute_dtype(compute_dtype: str) -> str:
    """What this CPU computes in: "auto" is "int8" where it has INT8 dot products (AVX-512 VNNI), else "float32".

    Without them torch multiplies INT8 one number at a time: (1536, 576) by one token took 2.9 ms on an AVX2 core, in
    float32 0.13 ms.
    """
    if compute_dtype != "auto":
        return compute_dtype
    return "int8" if torch.cpu._is_vnni_supported() else "float32"


def select_kernels(compute_dtype: str) -> Kernels:
    """The CPU's kernels for `compute_dtype` ("auto", "int8" or "float32"). Raises ConfigError for another."""
    compute_dtype = cpu_compute_dtype(compute_dtype)
    if compute_dtype == "int8":
        return CpuInt8Kernels()
    if compute_dtype == "float32":
        return CpuExactKernels()
    raise ConfigError(f"compute_dtype is {compute_dtype!r}, expected 'auto', 'int8' or 'float32'")
