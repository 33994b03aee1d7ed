"""Keys and values of every slot, one tensor for all layers."""

from __future__ import annotations

import math
import mmap

import torch

from commentary_llm.generation.torch.config import ModelConfig


class KVCache:
    """`slots` sequences of up to `max_context` tokens each.

    Layout (layers, slots * max_context, 2, kv_heads, head_dim): one row holds a token's key and value, so that a step
    writes all its tokens with one indexed copy a layer, and a run of neighbouring slots is one strided view.
    """

    def __init__(
        self, config: ModelConfig, slots: int, max_context: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        local = config.local
        self.slots, self.max_context = slots, max_context
        self._row = 2 * local.kv_heads * local.head_dim
        # Zeros, not empty: masked positions are read too, and 0 x NaN would reach the output.
        self._data = _zeros(local.layers, slots * max_context, self._row, dtype=dtype, device=device)
        self._layers = list(self._data.unbind(0))
        self._views = [
            layer.view(slots, max_context, 2, local.kv_heads, local.head_dim).unbind(2) for layer in self._layers
        ]

    @property
    def size_bytes(self) -> int:
        return self._data.numel() * self._data.element_size()

    def write(self, layer: int, rows: torch.Tensor, keys_values: torch.Tensor) -> None:
        """Stores (T, 2 * kv_heads * head_dim) at `rows` (T,) = slot * max_context + position."""
        self._layers[layer].index_copy_(0, rows, keys_values)

    def read(self, layer: int, first_slot: int, slots: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values (slots, kv_heads, length, head_dim) of neighbouring slots, as views."""
        keys, values = self._views[layer]
        stop = first_slot + slots
        return keys[first_slot:stop, :length].transpose(1, 2), values[first_slot:stop, :length].transpose(1, 2)

    def copy(self, source: int, target: int, length: int) -> None:
        """Copies the first `length` tokens of one slot into another, all layers at once."""
        span = self._data.view(len(self._layers), self.slots, self.max_context, self._row)
        span[:, target, :length] = span[:, source, :length]


def _zeros(*shape: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Zeros; on a CPU of pages that take memory when they are first written, so that slots cost what they hold."""
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    pages = mmap.mmap(-1, math.prod(shape) * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages.madvise(mmap.MADV_NOHUGEPAGE)  # a page of 2 MB is more than a prefix takes in a layer
    return torch.frombuffer(pages, dtype=dtype).view(shape)  # holds the pages
