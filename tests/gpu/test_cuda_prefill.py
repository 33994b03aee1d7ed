"""The GPU's prefill pass against the float32 model of the CPU, on the same random INT8 weights, whole and cut."""

from __future__ import annotations

import pytest
import torch
from rank_models import SHAPES, ExactModel, RandomWeights, device_model, worst_error

from commentary_llm.generation.torch.cuda.layout import pack
from commentary_llm.generation.torch.cuda.prefill import Exchange, PrefillPass, logits_bytes, parts_bytes
from commentary_llm.generation.torch.cuda.prefill_library import load_prefill_library

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available() or torch.cuda.get_device_capability() != (9, 0),
        reason="needs a GPU of compute capability 9.0",
    ),
]
TOLERANCE = 1e-2
SLOTS, CONTEXT, MAX_TOKENS = 4, 1024, 512


class Ranks:
    """The model on the GPU, cut for `ranks`, which share it: a stream each, plain pointers to each other's memory."""

    def __init__(self, weights: RandomWeights, ranks: int) -> None:
        device = torch.device("cuda", 0)
        models = [device_model(weights, rank, ranks, CONTEXT, device) for rank in range(ranks)]
        config = models[0][0]
        local = config.local
        shape = (local.layers, SLOTS, local.kv_heads, 2, CONTEXT, local.head_dim)
        # NaN: what the passes have not written themselves must not count.
        self.caches = [torch.full(shape, float("nan"), dtype=torch.float16, device="cuda") for _ in range(ranks)]
        self.parts = [self._floats(parts_bytes(config, ranks, MAX_TOKENS)) for _ in range(ranks)]
        self.logits = [self._floats(logits_bytes(config, ranks)) for _ in range(ranks)]
        self._arrivals = [torch.zeros(32, dtype=torch.int32, device="cuda") for _ in range(ranks)]
        self._width = ranks * local.vocabulary
        self._streams = [torch.cuda.Stream() for _ in range(ranks)]
        addresses = [tuple(tensor.data_ptr() for tensor in kind) for kind in (self.parts, self._arrivals, self.logits)]
        self.passes = [
            PrefillPass(config, model, self.caches[rank], Exchange(rank, ranks, *addresses), MAX_TOKENS)
            for rank, (_, model) in enumerate(models)
        ]

    @staticmethod
    def _floats(size: int) -> torch.Tensor:
        return torch.full((size // 4,), float("nan"), device="cuda")

    def run(self, ids: torch.Tensor, spans: list[tuple[int, int, int]], rows: list[int]) -> list[torch.Tensor]:
        """Each rank's logits (rows, padded vocabulary), after all scratch has been spoilt."""
        for buffer in [*self.logits, *self.parts, *(held for one in self.passes for held in one._held)]:
            buffer.fill_(77 if buffer.dtype == torch.int8 else float("nan"))
        on_device = ids.to("cuda", torch.int32)
        torch.cuda.synchronize()
        for one, stream in zip(self.passes, self._streams, strict=True):
            with torch.cuda.stream(stream):
                one.run(on_device, spans, rows)
        torch.cuda.synchronize()
        return [logits[: len(rows) * self._width].view(len(rows), self._width).cpu() for logits in self.logits]


class Pair:
    def __init__(self, name: str, ranks: int) -> None:
        weights = RandomWeights(SHAPES[name], 11)
        self.shape, self.exact, self.gpu = weights.shape, ExactModel(weights, SLOTS, CONTEXT), Ranks(weights, ranks)
        self._draw = torch.Generator().manual_seed(5)

    def check(self, spans: list[tuple[int, int, int]], rows: list[int]) -> None:
        """Random tokens for these spans (slot, start, count): logits of `rows` and the cache."""
        tokens = sum(count for _, _, count in spans)
        ids = torch.randint(self.shape.vocabulary, (tokens,), generator=self._draw)
        expected, found = self.exact.rows(ids, spans, rows), self.gpu.run(ids, spans, rows)
        for other in found[1:]:
            assert torch.equal(found[0], other)
        if expected is not None:
            assert worst_error(found[0][:, : self.shape.vocabulary], expected) < TOLERANCE
        for slot, start, count in spans:
            self._check_cache(slot, start, start + count)

    def _check_cache(self, slot: int, start: int, stop: int) -> None:
        for layer in range(self.shape.layers):
            for kind, expected in enumerate(self.exact.cache.read(layer, slot, 1, stop)):
                heads = torch.cat([cache[layer, slot, :, kind, start:stop] for cache in self.gpu.caches])
                found = heads[: self.shape.kv_heads].float().cpu()
                assert worst_error(
                    found.transpose(0, 1).flatten(1), expected[0, :, start:].transpose(0, 1).flatten(1)
                ) < (TOLERANCE), (
                    f"layer {layer}, {('keys', 'values')[kind]} of slot {slot}, positions {start} to {stop}"
                )


@pytest.fixture(scope="module", params=[(name, ranks) for name in SHAPES for ranks in (1, 2)], ids=str)
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(*request.param)


def test_prompts_of_every_length_one_after_another(pair: Pair) -> None:
    start = 0
    for count in (1, 2, 3, 8, 9, 13, 31, 32, 33, 1, 48, 63, 64, 65, 100, 128, 200):
        pair.check([(0, start, count)], [count - 1])
        start += count


def test_longest_passes(pair: Pair) -> None:
    pair.check([(1, 0, 512)], [511])
    pair.check([(1, 512, 511)], [0, 510])
    pair.check([(1, 1023, 1)], [0])


def test_spans_at_different_positions(pair: Pair) -> None:
    pair.check([(0, 0, 5), (1, 0, 17), (2, 0, 2), (3, 0, 300)], [4, 21, 23, 323])
    pair.check([(2, 2, 7), (0, 5, 1), (3, 300, 40), (1, 17, 16)], [0, 6, 7, 8, 20, 47, 63])
    pair.check([(0, 6, 1), (1, 33, 1), (2, 9, 1), (3, 340, 1)], [0, 1, 2, 3])
    pair.check([(3, 341, 120), (1, 34, 80)], list(range(0, 192, 3)))


def test_passes_without_logits(pair: Pair) -> None:
    pair.check([(0, 0, 90), (2, 0, 30)], [])
    pair.check([(2, 30, 10), (0, 90, 1)], [9, 10])


def test_repeated_passes_give_the_same_bits(pair: Pair) -> None:
    ids = torch.arange(70) % pair.shape.vocabulary
    first, again = (pair.gpu.run(ids, [(1, 0, 40), (3, 0, 30)], [39, 69])[0] for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize("tokens", [1, 5, 8, 9, 31, 32, 33, 64, 100, 512])
@pytest.mark.parametrize(("rows", "inputs"), [(16, 128), (40, 576), (1000, 328), (2064, 5504)])
def test_products_are_exact(rows: int, inputs: int, tokens: int) -> None:
    library = load_prefill_library((9, 0))
    library.prepare()
    draw = torch.Generator(device="cuda").manual_seed(rows + tokens)
    values, digits = (
        torch.randint(-127, 128, (count, inputs), dtype=torch.int8, device="cuda", generator=draw)
        for count in (rows, 2 * tokens)
    )
    packed = pack(values, torch.ones(rows, device="cuda"))
    padded = 16 * packed.tiles
    # Bytes of old digits where this matrix has inputs of zero weight.
    scratch = torch.randint(
        -127, 128, (packed.chunks // 2 * library.digit_blocks(tokens) * 512,), dtype=torch.int8, device="cuda"
    )
    expected = (digits.double() @ values.double().t()).long().view(tokens, 2, rows).transpose(1, 2)
    for splits in (1, 2, 3, 8):
        if splits > packed.chunks // 2:
            continue
        sums = torch.full((splits, tokens, padded, 2), -1, dtype=torch.int32, device="cuda")
        addresses = (scratch.data_ptr(), sums.data_ptr(), torch.cuda.current_stream().cuda_stream)
        library.multiply(packed, packed.weights.data_ptr(), digits.data_ptr(), tokens, splits, *addresses)
        torch.cuda.synchronize()
        if splits > 1:
            assert torch.equal(sums.long().sum(0)[:, :rows], expected)
            continue
        joined = sums.view(torch.float32).view(-1)[: tokens * padded].view(tokens, padded)[:, :rows]
        assert torch.equal(joined, expected[..., 0].float() + expected[..., 1].float() * (1 / 254))
