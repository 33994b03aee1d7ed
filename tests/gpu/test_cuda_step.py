"""The GPU's step kernel against the float32 model of the CPU, on the same random INT8 weights."""

from __future__ import annotations

import random

import pytest
import torch

from checkpoints.llama import LlamaShape
from commentary_llm.generation.torch_backend.collectives import SoloCollectives
from commentary_llm.generation.torch_backend.config import ModelConfig, RopeConfig
from commentary_llm.generation.torch_backend.kernels import CpuExactKernels
from commentary_llm.generation.torch_backend.kv_cache import KVCache
from commentary_llm.generation.torch_backend.model import LlamaShard
from commentary_llm.generation.torch_backend.protocol import SlotCopy, Span, StepPlan
from commentary_llm.generation.torch_backend.runner import StepRunner
from commentary_llm.generation.torch_backend.weights import LayerWeights, M, MatrixMaker, ShardWeights

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available() or torch.cuda.get_device_capability() != (9, 0),
        reason="needs a GPU of compute capability 9.0",
    ),
]
TOLERANCE = 1e-2
SLOTS, CONTEXT = 4, 1024
SHAPES = {
    # grouped heads, sizes that fill no tile or stage, tied embedding
    "small": LlamaShape(3, 576, 9, 3, 64, 1536, 4097, tied=True),
    "large": LlamaShape(2, 4096, 32, 32, 128, 11008, 32000, tied=False),
}


def random_shard(shape: LlamaShape, maker: MatrixMaker[M], device: str) -> ShardWeights[M]:
    draw = torch.Generator().manual_seed(11)

    def values(rows: int, inputs: int) -> tuple[torch.Tensor, torch.Tensor]:
        matrix = torch.randint(-127, 128, (rows, inputs), dtype=torch.int8, generator=draw)
        return matrix.to(device), ((0.5 + torch.rand(rows, generator=draw)) / 73 / inputs**0.5).to(device)

    def norm() -> torch.Tensor:
        return (0.5 + torch.rand(shape.hidden, generator=draw)).to(device)

    def layer() -> LayerWeights[M]:
        heads = shape.query_heads + 2 * shape.kv_heads
        return LayerWeights(
            input_norm=norm(),
            qkv=maker.linear(*values(heads * shape.head_dim, shape.hidden)),
            output=maker.linear(*values(shape.hidden, shape.query_heads * shape.head_dim)),
            post_norm=norm(),
            gate_up=maker.linear(*values(2 * shape.intermediate, shape.hidden)),
            down=maker.linear(*values(shape.hidden, shape.intermediate)),
        )

    embedding, scale = values(shape.vocabulary, shape.hidden)
    scale *= shape.hidden**0.5
    layers = tuple(layer() for _ in range(shape.layers))
    head = (embedding, scale) if shape.tied else values(shape.vocabulary, shape.hidden)
    return ShardWeights(embedding, scale, layers, norm(), maker.linear(*head), 0)


class Pair:
    """The same model on the GPU and, exact, on the CPU."""

    def __init__(self, shape: LlamaShape) -> None:
        from commentary_llm.generation.torch_backend.cuda.runner import CudaRunner, RawMatrices

        config = ModelConfig(shape, shape, RopeConfig(10000.0), 1e-5, CONTEXT, ())
        cpu, kernels = torch.device("cpu"), CpuExactKernels()
        cache = KVCache(config, SLOTS, CONTEXT, kernels.cache_dtype, cpu)
        model = LlamaShard(config, random_shard(shape, kernels, "cpu"), kernels, SoloCollectives(), cache, cpu)
        self.exact = StepRunner(model, cache, config.group, cpu)
        raw = random_shard(shape, RawMatrices(), "cuda")
        self.gpu = CudaRunner(config, raw, SLOTS, CONTEXT, torch.device("cuda", 0))
        self.vocabulary, self.draw = shape.vocabulary, random.Random(5)

    def tokens(self, count: int) -> tuple[int, ...]:
        return tuple(self.draw.randrange(self.vocabulary) for _ in range(count))

    def check(self, plan: StepPlan) -> None:
        expected, found = self.exact.logits(plan), self.gpu.logits(plan)
        if expected is None:
            assert found is None
            return
        assert found is not None
        assert found.shape == expected.shape
        errors = (found - expected).norm(dim=1) / expected.norm(dim=1)
        assert float(errors.max()) < TOLERANCE, f"relative errors {errors.tolist()}"


@pytest.fixture(scope="module", params=SHAPES)
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(SHAPES[request.param])


def test_prompts_and_decoding_at_every_length(pair: Pair) -> None:
    start = 0
    for count in (1, 2, 3, 8, 13, 37, 1, 1, 64, 1):
        pair.check(StepPlan((), (), (Span(0, start, count, (0,)),), pair.tokens(count)))
        start += count


def test_batches_of_slots_at_different_positions(pair: Pair) -> None:
    lengths = (5, 17, 2, 30)
    for slot, length in enumerate(lengths):
        pair.check(StepPlan((), (), (Span(slot, 0, length, ()),), pair.tokens(length)))
    for step in range(6):
        spans = tuple(Span(slot, length + step, 1, (slot,)) for slot, length in enumerate(lengths))
        pair.check(StepPlan((), (), spans, pair.tokens(len(spans))))
    mixed = (Span(0, 11, 1, (0,)), Span(1, 23, 1, (1,)), Span(3, 36, 9, (3,)))
    pair.check(StepPlan((), (), mixed, pair.tokens(11)))


def test_copied_prefixes(pair: Pair) -> None:
    pair.check(StepPlan((), (), (Span(0, 0, 40, (0,)),), pair.tokens(40)))
    copies = (SlotCopy(0, 1, 40), SlotCopy(0, 2, 25))
    pair.check(StepPlan(copies, (), (Span(1, 40, 1, (1,)), Span(2, 25, 3, (2,))), pair.tokens(4)))


def test_long_contexts(pair: Pair) -> None:
    pair.check(StepPlan((), (), (Span(2, 0, 250, (2,)),), pair.tokens(250)))
    pair.check(StepPlan((), (), (Span(2, 250, 250, ()),), pair.tokens(250)))
    pair.check(StepPlan((), (), (Span(2, 500, 500, (2,)),), pair.tokens(500)))
    pair.check(StepPlan((), (), (Span(2, 1000, 1, (2,)),), pair.tokens(1)))
