"""A model padded to a bigger one's sizes says the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from numerics import encode, greedy, prompt_logits, relative_error
from thread_ranks import ThreadRanks
from tiny_llama import PROMPTS

from commentary_llm.engine import CommentaryEngine
from commentary_llm.generation.torch import sizes
from commentary_llm.generation.torch.backend import TorchBackendConfig
from commentary_llm.generation.torch.generator import open_torch_generator
from commentary_llm.ground.errors import ConfigError
from commentary_llm.settings import EngineConfig

BIG = {
    **sizes.KNOWN_SIZES["llama-7b"],
    "hidden_size": 1024,
    "intermediate_size": 700,
    "num_hidden_layers": 5,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
}


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("kind", ["tied", "llama3"])
def test_padded_model_says_the_same(
    tiny_models: dict[str, dict[int, Path]], kind: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sizes.KNOWN_SIZES, "big", BIG)
    shards = tiny_models[kind][count]
    ids = (encode(shards, PROMPTS[1]) * 12)[:100]
    plain, padded = ThreadRanks(shards, count, "float32"), ThreadRanks(shards, count, "float32", sizes="big")
    try:
        (expected,), (found,) = prompt_logits(plain, ids), prompt_logits(padded, ids)
        assert relative_error(found, expected) < 1e-4
        assert greedy(padded, ids, 12) == greedy(plain, ids, 12)
    finally:
        plain.close()
        padded.close()


@pytest.mark.parametrize(("name", "named"), [("llama-70b", "expected one of llama-7b"), ("narrow", "cannot be padded")])
def test_sizes_that_do_not_fit_are_named(
    tiny_shards: dict[int, Path], name: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sizes.KNOWN_SIZES, "narrow", {**BIG, "hidden_size": 64, "head_dim": 64})
    with pytest.raises(ConfigError, match=named):
        open_torch_generator(TorchBackendConfig(tiny_shards[1], max_context=400, sizes=name), None)


def test_the_other_backend_does_not_ignore_them() -> None:
    with pytest.raises(ConfigError, match="llm_sizes is 'llama-7b': the torch backend alone pads a model"):
        CommentaryEngine.start(EngineConfig(backend="tensorrt_llm", llm_sizes="llama-7b"))
