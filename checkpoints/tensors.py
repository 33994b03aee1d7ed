"""Streaming safetensors: tensors are written one by one, so that a model never has to fit in memory twice.

Format: https://github.com/huggingface/safetensors#format (8-byte little-endian header length, JSON header, raw data).
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from commentary_llm.artifacts.tensors import TensorSpec
from commentary_llm.ground.errors import ArtifactError

if TYPE_CHECKING:
    import torch


def torch_dtype_name(dtype: torch.dtype) -> str:
    """Safetensors name of a torch dtype. Raises ArtifactError for one that no weight of ours has."""
    import torch

    names = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int8: "I8"}
    if dtype not in names:
        raise ArtifactError(f"tensor dtype {dtype} is not one of {', '.join(str(d) for d in names)}")
    return names[dtype]


class TensorWriter:
    """Writes a safetensors file tensor by tensor, in the order of `specs`.

    Use as a context manager; leaving it with tensors missing raises ArtifactError.
    """

    def __init__(self, path: Path, specs: dict[str, TensorSpec], metadata: dict[str, str] | None = None) -> None:
        self._path = path
        self._specs = specs
        self._waiting = list(specs)[::-1]
        header: dict[str, object] = {"__metadata__": {"format": "pt", **(metadata or {})}}
        offset = 0
        for name, spec in specs.items():
            header[name] = {
                "dtype": spec.dtype,
                "shape": list(spec.shape),
                "data_offsets": [offset, offset + spec.size_bytes],
            }
            offset += spec.size_bytes
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # data starts 8-byte aligned, as the format asks
        self._file = path.open("wb")
        self._file.write(struct.pack("<Q", len(text)) + text)

    def write(self, name: str, tensor: torch.Tensor) -> None:
        """Appends `tensor`, which must be the next one of `specs` with its shape and dtype."""
        import torch

        expected = self._waiting.pop() if self._waiting else None
        spec = TensorSpec(tuple(tensor.shape), torch_dtype_name(tensor.dtype))
        if name != expected or spec != self._specs[name]:
            raise ArtifactError(
                f"{self._path}: got tensor {name} {spec}, expected {expected} {self._specs.get(expected or '')}"
            )
        flat = tensor.detach().contiguous().view(-1).view(torch.uint8)
        self._file.write(flat.numpy().data)

    def __enter__(self) -> TensorWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None and self._waiting:
            raise ArtifactError(f"{self._path}: tensors never written: {', '.join(self._waiting[::-1][:5])}")
