"""A tiny LLaMA in a Hugging Face directory, and a COMMENTARY_HOME of its own for every test that asks for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from commentary_llm.artifacts.llama import LlamaShape

MakeModel = Callable[..., Path]


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("COMMENTARY_HOME", str(home))
    return home


def config_of(shape: LlamaShape, **changes: object) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.hidden,
        "num_attention_heads": shape.query_heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "intermediate_size": shape.intermediate,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "tie_word_embeddings": shape.tied,
        "bos_token_id": 0,
        "eos_token_id": 0,
        **changes,
    }


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Writes a random model: `make_model(shape, files=1, dtype=…, drop=(), **config changes)` -> its directory."""
    made = 0

    def make(
        shape: LlamaShape,
        files: int = 1,
        dtype: torch.dtype = torch.bfloat16,
        drop: tuple[str, ...] = (),
        **changes: object,
    ) -> Path:
        nonlocal made
        made += 1
        directory = tmp_path / f"source{made}"
        directory.mkdir()
        (directory / "config.json").write_text(json.dumps(config_of(shape, **changes)))
        words = {f"w{i}": i for i in range(min(shape.vocabulary, 16))}
        tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.save(str(directory / "tokenizer.json"))
        random = torch.Generator().manual_seed(1)
        tensors = {
            name: (torch.randn(size, generator=random) * 0.1).to(dtype)
            for name, size in shape.tensors().items()
            if name not in drop
        }
        if files == 1:
            save_file(tensors, directory / "model.safetensors")
            return directory
        place = {}
        for part in range(files):
            name = f"model-{part + 1:05}-of-{files:05}.safetensors"
            mine = dict(list(tensors.items())[part::files])
            save_file(mine, directory / name)
            place |= dict.fromkeys(mine, name)
        (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": place}))
        return directory

    return make
