"""Sharded logits against Hugging Face's LLaMA holding the same dequantised weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from numerics import encode, greedy, prompt_logits, relative_error
from thread_ranks import ThreadRanks
from tiny_llama import PROMPTS, reference_model

from commentary_llm.generation.torch.protocol import SlotCopy, Span, StepPlan
from commentary_llm.ground.home import LLM_MODEL, shards_dir

TOLERANCE = {"int8": 1e-2, "float32": 1e-4}
MATCH_PROMPTS = (
    "Lionel Messi scores from the penalty spot and Argentina lead",
    "Football is a game of",
    "The capital of France is",
    "After ninety minutes in Lusail the score is two all, and",
)


@torch.inference_mode()
def greedy_reference(reference: torch.nn.Module, ids: list[int], count: int) -> list[int]:
    tokens = list(ids)
    for _ in range(count):
        tokens.append(int(reference(torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[len(ids) :]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["tied", "llama3"])
def test_tiny_model_agrees(tiny_models: dict[str, dict[int, Path]], kind: str, count: int, dtype: str) -> None:
    shards = tiny_models[kind][count]
    reference = reference_model(shards.parent / "int8")
    ids = (encode(shards, PROMPTS[1]) * 12)[:100]  # past the 64 positions from which llama3 scaling differs
    with torch.inference_mode():
        expected = reference(torch.tensor([ids])).logits[0]
    ranks = ThreadRanks(shards, count, dtype)
    try:
        for chunk in (len(ids), 40, 5):  # widened matmul, chunked, packed kernel
            found = prompt_logits(ranks, ids, chunk=chunk)
            ends = [min(start + chunk, len(ids)) - 1 for start in range(0, len(ids), chunk)]
            assert relative_error(torch.stack(found), expected[ends]) < TOLERANCE[dtype]
    finally:
        ranks.close()


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_tiny_model_greedy_tokens_equal(tiny_shards: dict[int, Path], count: int) -> None:
    reference = reference_model(tiny_shards[count].parent / "int8")
    ranks = ThreadRanks(tiny_shards[count], count, "float32")
    try:
        for prompt in PROMPTS:
            ids = encode(tiny_shards[count], prompt)
            assert greedy(ranks, ids, 16) == greedy_reference(reference, ids, 16)
    finally:
        ranks.close()


def test_batch_of_different_lengths_equals_one_by_one(tiny_shards: dict[int, Path]) -> None:
    prompts = [encode(tiny_shards[1], text) for text in PROMPTS]
    ranks = ThreadRanks(tiny_shards[1], 1, "float32")
    alone = [prompt_logits(ranks, ids)[-1] for ids in prompts]
    for slot, ids in enumerate(prompts):  # slot 2's last token runs as part of a longer chunk, others one by one
        start = len(ids) - (3 if slot == 2 else 1)
        ranks.run(StepPlan((), (), (Span(slot, 0, start, ()),), tuple(ids[:start])))
    order = (0, 1, 3, 2)
    spans = tuple(
        Span(slot, len(prompts[slot]) - (3 if slot == 2 else 1), 3 if slot == 2 else 1, (slot,)) for slot in order
    )
    tokens = tuple(token for span in spans for token in prompts[span.slot][span.start :])
    together = ranks.run(StepPlan((), (), spans, tokens))
    assert together is not None
    for row, slot in enumerate(order):
        torch.testing.assert_close(together[row], alone[slot], rtol=1e-4, atol=1e-4)


def test_copied_slot_gives_identical_logits(tiny_shards: dict[int, Path]) -> None:
    ids = encode(tiny_shards[2], PROMPTS[1])
    ranks = ThreadRanks(tiny_shards[2], 2, "float32")
    try:
        prompt_logits(ranks, ids)
        plans = [
            (slot, StepPlan(copies, (), (Span(slot, len(ids), 1, (slot,)),), (7,)))
            for slot, copies in ((3, (SlotCopy(0, 3, len(ids)),)), (0, ()))
        ]
        copied, own = (ranks.run(plan) for _, plan in plans)
        assert copied is not None
        assert own is not None
        assert torch.equal(copied, own)
    finally:
        ranks.close()


@pytest.fixture(scope="module")
def embedded() -> tuple[list[list[int]], torch.Tensor, list[list[int]]]:
    """Prompts, the whole model's logits after each, and what it says next: the same for any number of shards."""
    shards = shards_dir(LLM_MODEL, 1)
    reference = reference_model(shards.parent / "int8")
    prompts = [encode(shards, text) for text in MATCH_PROMPTS]
    with torch.inference_mode():
        expected = torch.cat([reference(torch.tensor([ids])).logits[0, -1:] for ids in prompts])
    return prompts, expected, [greedy_reference(reference, ids, 12) for ids in prompts]


@pytest.mark.models
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_embedded_model_agrees(count: int, embedded: tuple[list[list[int]], torch.Tensor, list[list[int]]]) -> None:
    shards = shards_dir(LLM_MODEL, count)
    if not shards.exists():
        pytest.skip(f"{shards} is not built: python -m checkpoints shard --ranks {count}")
    prompts, expected, next_tokens = embedded
    for dtype, tolerance in TOLERANCE.items():
        ranks = ThreadRanks(shards, count, dtype)
        try:
            # The second time over, the last token decodes alone: the packed kernel.
            whole = torch.stack([prompt_logits(ranks, ids)[-1] for ids in prompts])
            alone = torch.stack([prompt_logits(ranks, ids, chunk=len(ids) - 1)[-1] for ids in prompts])
            assert relative_error(whole, expected) < tolerance
            assert relative_error(alone, expected) < tolerance
            if dtype == "float32":
                assert [greedy(ranks, ids, 12) for ids in prompts] == next_tokens
        finally:
            ranks.close()
