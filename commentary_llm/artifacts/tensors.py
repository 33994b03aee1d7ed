"""What a safetensors file holds, from its header alone.

Format: https://github.com/huggingface/safetensors#format (8-byte little-endian header length, JSON header, raw data).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from commentary_llm.ground.errors import ArtifactError

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
