"""The GPU's weight layout, read back as the tensor cores read it; needs no GPU."""

from __future__ import annotations

import pytest
import torch

from commentary_llm.generation.torch.cuda.layout import CHUNK_BYTES, CHUNK_INPUTS, CLUSTER_BLOCKS, pack, paired


def tensor_core_product(fragment: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """One m16n8k32 product with one column, from each lane's bytes as the PTX ISA assigns them.

    `fragment` (32 lanes, 4 registers, 4 bytes); `inputs` (32,) in the kernel's order: lane q's registers b0 and b1 are
    inputs 8q … 8q + 3 and 8q + 4 … 8q + 7.
    """
    sums = torch.zeros(16, dtype=torch.int64)
    for lane in range(32):
        group, quad = divmod(lane, 4)
        first, second = inputs[8 * quad : 8 * quad + 4], inputs[8 * quad + 4 : 8 * quad + 8]
        a0, a1, a2, a3 = fragment[lane].long()
        sums[group] += (a0 * first).sum() + (a2 * second).sum()  # a0, a2: row g
        sums[group + 8] += (a1 * first).sum() + (a3 * second).sum()  # a1, a3: row g + 8
    return sums


@pytest.mark.parametrize(("rows", "inputs"), [(16, 512), (40, 576), (7, 100), (33, 1100)])
def test_packed_matrix_multiplies_like_the_plain_one(rows: int, inputs: int) -> None:
    draw = torch.Generator().manual_seed(rows)
    values = torch.randint(-127, 128, (rows, inputs), dtype=torch.int8, generator=draw)
    scales = torch.rand(rows, generator=draw)
    x = torch.randint(-127, 128, (inputs,), generator=draw)
    packed = pack(values, scales)
    assert packed.inputs == inputs
    assert packed.chunks % CLUSTER_BLOCKS == 0
    assert len(packed.weights) == packed.tiles * packed.chunks * CHUNK_BYTES
    chunks = packed.weights.view(packed.tiles, packed.chunks, 32, 4, 4)
    padded = torch.nn.functional.pad(x, (0, packed.chunks * CHUNK_INPUTS - inputs))
    found = torch.cat(
        [sum(tensor_core_product(c, padded[32 * i :][:32]) for i, c in enumerate(tile)) for tile in chunks]
    )
    assert torch.equal(found[:rows], values.long() @ x)
    assert not found[rows:].any()
    assert torch.equal(packed.scales[:rows], scales)
    assert not packed.scales[rows:].any()


@pytest.mark.parametrize("rows", [8, 24, 13])
def test_gate_and_up_share_tiles(rows: int) -> None:
    gate, up = torch.arange(rows * 3).view(rows, 3), -torch.arange(rows * 3).view(rows, 3)
    tiles = paired(gate, up).view(-1, 2, 8, 3)
    assert torch.equal(tiles[:, 0].reshape(-1, 3)[:rows], gate)
    assert torch.equal(tiles[:, 1].reshape(-1, 3)[:rows], up)
    assert torch.equal(paired(gate[:, 0], up[:, 0]).view(-1, 2, 8), tiles[..., 0])
