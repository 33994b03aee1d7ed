"""What the GPU's prefill pass refuses; needs no GPU."""

from __future__ import annotations

from dataclasses import replace

import pytest

from commentary_llm.artifacts.llama import LlamaShape
from commentary_llm.generation.torch.config import ModelConfig, RopeConfig
from commentary_llm.generation.torch.cuda.prefill import check_model, first_tokens
from commentary_llm.ground.errors import ConfigError

SHAPE = LlamaShape(2, 576, 9, 3, 64, 1536, 4097, tied=True)


def test_spans_begin_one_after_another() -> None:
    assert first_tokens(10, [(2, 0, 4), (0, 60, 1), (1, 7, 5)], [3, 4, 9], slots=3, max_context=61) == [0, 4, 5]


@pytest.mark.parametrize(
    ("spans", "rows", "message"),
    [
        ([(0, 0, 4), (0, 4, 6)], [], "each slot once"),
        ([(3, 0, 10)], [], "10 tokens at 0 of slot 3 are outside 3 slots of 64 positions"),
        ([(0, 55, 10)], [], "10 tokens at 55"),
        ([(0, -1, 10)], [], "10 tokens at -1"),
        ([(0, 0, 10), (1, 5, 0)], [], "0 tokens at 5"),
        ([(0, 0, 9)], [], "spans hold 9 tokens, but there are 10"),
        ([(0, 0, 10)], [9, 9], "all different"),
        ([(0, 0, 10)], [10], "of 10 tokens"),
    ],
)
def test_requests_that_do_not_fit(spans: list[tuple[int, int, int]], rows: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        first_tokens(10, spans, rows, slots=3, max_context=64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head_dim": 80}, "head size 80"),
        ({"hidden": 580}, "hidden size 580"),
        ({"hidden": 8200}, "hidden size 8200"),
        ({"query_heads": 129}, "8256 query values"),
        ({"intermediate": 16385}, "16385 on each of 1"),
    ],
)
def test_models_that_the_kernels_are_not_for(change: dict[str, int], message: str) -> None:
    shape = replace(SHAPE, **change)
    check_model(ModelConfig(SHAPE, SHAPE, RopeConfig(10000.0), 1e-5, 64, ()), 8)
    with pytest.raises(ConfigError, match=message):
        check_model(ModelConfig(shape, shape, RopeConfig(10000.0), 1e-5, 64, ()), 1)
