"""Logits and greedy tokens of ranks in threads, and how far numbers are apart."""

from __future__ import annotations

from pathlib import Path

import torch
from thread_ranks import ThreadRanks
from transformers import PreTrainedTokenizerFast

from commentary_llm.generation.torch.protocol import Span, StepPlan


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def encode(shards: Path, text: str) -> list[int]:
    ids: list[int] = PreTrainedTokenizerFast.from_pretrained(shards).backend_tokenizer.encode(text).ids
    return ids


def prompt_logits(ranks: ThreadRanks, ids: list[int], slot: int = 0, chunk: int = 256) -> list[torch.Tensor]:
    """Logits at the end of each chunk."""
    found = []
    for start in range(0, len(ids), chunk):
        part = tuple(ids[start : start + chunk])
        logits = ranks.run(StepPlan((), (), (Span(slot, start, len(part), (slot,)),), part))
        assert logits is not None
        found.append(logits[0])
    return found


def greedy(ranks: ThreadRanks, ids: list[int], count: int) -> list[int]:
    tokens = [int(prompt_logits(ranks, ids)[-1].argmax())]
    while len(tokens) < count:
        position = len(ids) + len(tokens) - 1
        logits = ranks.run(StepPlan((), (), (Span(0, position, 1, (0,)),), (tokens[-1],)))
        assert logits is not None
        tokens.append(int(logits[0].argmax()))
    return tokens
