"""Streaming safetensors: tensors are written one by one, so that a model never has to fit in memory twice.

Format: https://github.com/huggingface/safetensors#format (8-byte little-endian header length, JSON header, raw data).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from commentary_llm.errors import ArtifactError

if TYPE_CHECKING:
    import torch

_ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I8": 1}
_MAX_HEADER_BYTES = 100_000_000  # the bound the safetensors library itself enforces


@dataclass(frozen=True)
class TensorSpec:
    """Shape and safetensors dtype name (`F32`, `F16`, `BF16`, `I8`) of one tensor."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def size_bytes(self) -> int:
        size = _ITEM_BYTES[self.dtype]
        for extent in self.shape:
            size *= extent
        return size


def torch_dtype_name(dtype: torch.dtype) -> str:
    """Safetensors name of a torch dtype. Raises ArtifactError for one that no weight of ours has."""
    import torch

    names = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int8: "I8"}
    if dtype not in names:
        raise ArtifactError(f"tensor dtype {dtype} is not one of {', '.join(str(d) for d in names)}")
    return names[dtype]


def read_specs(path: Path) -> dict[str, TensorSpec]:
    """Names, shapes and dtypes of a safetensors file, from its header alone.

    Raises ArtifactError when the file is not safetensors or shorter than its header says.
    """
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= min(_MAX_HEADER_BYTES, path.stat().st_size):
            raise ArtifactError(f"{path} is not a safetensors file (header length {length}); copy or build it again")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise ArtifactError(f"{path}: the safetensors header is damaged ({error}); build it again") from None
    header.pop("__metadata__", None)
    end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if path.stat().st_size != 8 + length + end:
        raise ArtifactError(
            f"{path} has {path.stat().st_size} bytes, its header announces {8 + length + end}; copy or build it again"
        )
    return {name: TensorSpec(tuple(entry["shape"]), entry["dtype"]) for name, entry in header.items()}


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
