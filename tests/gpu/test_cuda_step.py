"""The decode step of the GPU against the float32 model of the CPU, on the same INT8 weights, for one and two ranks."""

from __future__ import annotations

import random

import pytest
import torch
from rank_models import SHAPES, ExactModel, RandomWeights, device_model, random_tokens, worst_error

from commentary_llm.generation.torch.cuda.decode import DecodeStep, step_parts
from commentary_llm.generation.torch.cuda.library import load_kernels
from commentary_llm.generation.torch.cuda.region import PeerRegion

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available() or torch.cuda.get_device_capability() != (9, 0),
        reason="needs a GPU of compute capability 9.0",
    ),
]
TOLERANCE = 1e-2
SLOTS, CONTEXT = 8, 1024


class Steps:
    """The same model exact on the CPU and cut for ranks that share one GPU, each with its part of the blocks."""

    def __init__(self, name: str, ranks: int) -> None:

        device = torch.device("cuda", 0)
        kernels = load_kernels(torch.cuda.get_device_capability())
        weights = RandomWeights(SHAPES[name], 11)
        self.shape, self.ranks, self.draw = weights.shape, ranks, random.Random(5)
        self.exact = ExactModel(weights, SLOTS, CONTEXT)
        self.caches, self.tokens, self.logits, self.steps, regions, models = [], [], [], [], [], []
        for rank in range(ranks):
            models.append(device_model(weights, rank, ranks, CONTEXT, device))
            regions.append(PeerRegion(kernels, step_parts(models[-1][0], ranks)))
        for region in regions:
            region.connect([each.base for each in regions])
        self.width = ranks * models[0][0].local.vocabulary
        for rank, (config, model) in enumerate(models):
            local = config.local
            shape = (local.layers, SLOTS, local.kv_heads, 2, CONTEXT, local.head_dim)
            self.caches.append(torch.full(shape, float("nan"), dtype=torch.float16, device=device))
            self.tokens.append(torch.full((SLOTS,), -1, dtype=torch.int32, device=device))
            self.logits.append(regions[rank].tensor("step_logits", (8, self.width), device))
            step = DecodeStep(
                *(kernels, config, model, self.caches[-1], self.tokens[-1], regions[rank], rank, ranks),
                sharers=ranks,
            )
            self.steps.append(step)
        self.streams = [torch.cuda.Stream(device) for _ in range(ranks)]
        self._kept = models, regions

    def prompt(self, slot: int, length: int) -> None:
        """Random tokens that only the exact model computes; their keys and values are copied."""
        tokens = random_tokens(self.draw, self.shape, length)
        self.exact.run(tokens, (slot, 0, length))
        for rank, cache in enumerate(self.caches):
            cache[:, slot, :, :, :length] = self.exact.cache_of_rank(slot, length, rank, self.ranks).to(cache.device)

    def check(self, slots: list[int], positions: list[int]) -> None:

        tokens = random_tokens(self.draw, self.shape, len(slots))
        expected = self.exact.run(tokens, *((slot, at, 1) for slot, at in zip(slots, positions, strict=True)))
        torch.cuda.synchronize()
        for newest in self.tokens:
            newest[slots] = torch.tensor(tokens, dtype=torch.int32, device="cuda")
        torch.cuda.synchronize()
        for step, stream in zip(self.steps, self.streams, strict=True):
            step.launch(slots, positions, stream.cuda_stream)
        torch.cuda.synchronize()
        for logits in self.logits:
            found = logits[: len(slots), : self.shape.vocabulary].cpu()
            error = worst_error(found, expected)
            assert error < TOLERANCE, f"relative error {error} for slots {slots} at {positions}"
            logits.view(torch.int32).fill_(-1)  # as drawing leaves them


@pytest.fixture(scope="module", params=[("small", 1), ("small", 2), ("large", 1), ("large", 2)], ids=str)
def steps(request: pytest.FixtureRequest) -> Steps:
    return Steps(*request.param)


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5, 8])
def test_batches_at_different_positions(steps: Steps, batch: int) -> None:
    lengths = [37, 0, 5, 250, 64, 1, 129, 16][:batch]
    for slot, length in enumerate(lengths):
        if length:
            steps.prompt(slot, length)
    for step in range(5):
        steps.check(list(range(batch)), [length + step for length in lengths])


def test_slots_in_any_order(steps: Steps) -> None:
    for slot, length in ((6, 40), (2, 11), (3, 77)):
        steps.prompt(slot, length)
    steps.check([6, 2, 3], [40, 11, 77])
    steps.check([3], [78])
    steps.check([2, 3], [12, 79])


@pytest.mark.parametrize("batch", [1, 4])
def test_long_contexts(steps: Steps, batch: int) -> None:
    for slot in range(batch):
        steps.prompt(slot, 500)
        steps.prompt(slot, 1000 - slot)
    for step in range(3):
        steps.check(list(range(batch)), [1000 - slot + step for slot in range(batch)])
