"""A model's sizes small enough to be timed in a moment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commentary_llm.generation.torch.sizes import KNOWN_SIZES

SMALL = {
    **KNOWN_SIZES["llama-7b"],
    "hidden_size": 128,
    "intermediate_size": 250,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 320,
}


@pytest.fixture
def small_sizes(tmp_path: Path) -> Path:
    """The config.json of a model of two layers."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(SMALL))
    return path
