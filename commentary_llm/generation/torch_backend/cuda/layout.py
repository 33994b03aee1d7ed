"""INT8 matrices in the order in which the step kernel reads them.

A matrix (rows, inputs) is cut into tiles of 16 rows, a tile into stages of 512 inputs (8 KB, one copy to shared
memory), a stage into chunks of 32 inputs. A chunk holds, lane by lane, the 16 bytes which that lane gives to one
m16n8k32 tensor-core product (PTX ISA, "Matrix fragments for mma.m16n8k32"): of rows g and g + 8, for lane 4 g + q,
inputs 8 q … 8 q + 7. The instruction numbers a lane's inputs otherwise (4 q … and 16 + 4 q …); as the kernel orders
activations alike, the products are the same and both are read in one piece.

    bytes of a lane:  row g, 8q…8q+3 | row g+8, 8q…8q+3 | row g, 8q+4…8q+7 | row g+8, 8q+4…8q+7
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

TILE_ROWS = 16
STAGE_INPUTS = 512
STAGE_BYTES = TILE_ROWS * STAGE_INPUTS


@dataclass(frozen=True)
class PackedMatrix:
    """`weights` (tiles * stages * 8192,) int8 and `scales` (tiles * 16,) float32; padded with zeros."""

    weights: torch.Tensor
    scales: torch.Tensor
    tiles: int
    stages: int
    inputs: int


def pack(values: torch.Tensor, scales: torch.Tensor) -> PackedMatrix:
    """Packs (rows, inputs) int8 with scales (rows,) float32, on their device."""
    rows, inputs = values.shape
    padded = F.pad(values, (0, -inputs % STAGE_INPUTS, 0, -rows % TILE_ROWS))
    tiles, width = padded.shape[0] // TILE_ROWS, padded.shape[1]
    # tile, upper or lower rows, g, chunk, q, half of the lane's inputs, input
    parts = padded.view(tiles, 2, 8, width // 32, 4, 2, 4)
    weights = parts.permute(0, 3, 2, 4, 5, 1, 6).reshape(-1)
    return PackedMatrix(weights, F.pad(scales, (0, -rows % TILE_ROWS)), tiles, width // STAGE_INPUTS, inputs)


def paired(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """Rows (or scales) of gate and up so that a tile holds 8 rows of the one and the same 8 of the other."""
    fill = -len(gate) % 8
    pad = (0, fill) if gate.dim() == 1 else (0, 0, 0, fill)
    halves = [F.pad(part, pad).view(-1, 8, *part.shape[1:]) for part in (gate, up)]
    return torch.stack(halves, 1).reshape(-1, *gate.shape[1:])
