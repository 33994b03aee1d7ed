"""INT8 matrices in the order in which the GPU's kernels read them.

A matrix (rows, inputs) is cut into tiles of 16 rows, a tile into chunks of 32 inputs. A chunk is 512 bytes: lane by
lane, the 16 bytes which that lane gives to one m16n8k32 tensor-core product (PTX ISA, "Matrix fragments for
mma.m16n8k32"): of rows g and g + 8, for lane 4 g + q, inputs 8 q … 8 q + 7. The instruction numbers a lane's inputs
otherwise (4 q … and 16 + 4 q …); as the kernels order activations alike, the products are the same and both are read
in one piece.

    bytes of a lane:  row g, 8q…8q+3 | row g+8, 8q…8q+3 | row g, 8q+4…8q+7 | row g+8, 8q+4…8q+7

A tile's chunks lie one after another. Their number is a multiple of 4 (padded with zeros), because the decode kernel
gives each of the four blocks of a cluster its part of a tile's inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

TILE_ROWS = 16
CHUNK_INPUTS = 32
CHUNK_BYTES = TILE_ROWS * CHUNK_INPUTS
CLUSTER_BLOCKS = 4  # as kCluster of device.cuh


@dataclass(frozen=True)
class PackedMatrix:
    """`weights` (tiles * chunks * 512,) int8 and `scales` (tiles * 16,) float32; padded with zeros."""

    weights: torch.Tensor
    scales: torch.Tensor
    tiles: int
    chunks: int
    inputs: int


def pack(values: torch.Tensor, scales: torch.Tensor) -> PackedMatrix:
    """Packs (rows, inputs) int8 with scales (rows,) float32, on their device."""
    rows, inputs = values.shape
    padded = F.pad(values, (0, -inputs % (CHUNK_INPUTS * CLUSTER_BLOCKS), 0, -rows % TILE_ROWS))
    tiles, chunks = padded.shape[0] // TILE_ROWS, padded.shape[1] // CHUNK_INPUTS
    # tile, upper or lower rows, g, chunk, q, half of the lane's inputs, input
    parts = padded.view(tiles, 2, 8, chunks, 4, 2, 4)
    weights = parts.permute(0, 3, 2, 4, 5, 1, 6).reshape(-1)
    return PackedMatrix(weights, F.pad(scales, (0, -rows % TILE_ROWS)), tiles, chunks, inputs)


def paired(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """Rows (or scales) of gate and up so that a tile holds 8 rows of the one and the same 8 of the other."""
    fill = -len(gate) % 8
    pad = (0, fill) if gate.dim() == 1 else (0, 0, 0, fill)
    halves = [F.pad(part, pad).view(-1, 8, *part.shape[1:]) for part in (gate, up)]
    return torch.stack(halves, 1).reshape(-1, *gate.shape[1:])
