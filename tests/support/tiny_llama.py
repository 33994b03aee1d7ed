"""Small LLaMA models with random weights, taken through the project's own import, quantisation and sharding."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from checkpoints.importers.hf import import_hf
from checkpoints.quantize import dequantize_rows, quantize_model
from checkpoints.recipes import IMPORT
from checkpoints.shard import shard_model
from checkpoints.writer import write_artifact
from commentary_llm.ground.home import models_dir

CORPUS = [
    "Goal! Messi scores for Argentina, and the keeper had no chance at all.",
    "Mbappé — été, naïve façade; 3–2 after 90+4 minutes. Ünlü 日本 ⚽",
    "The referee points to the spot: penalty to France in the 80th minute.",
] * 4
PROMPTS = ("Goal! Messi", "The referee points to the spot", "Mbappé — été", "90+4 minutes, and the keeper ⚽")
SIZES = {
    # 9 query / 3 KV heads, intermediate and vocabulary that do not divide by 2, 3, 4; rows not in blocks of 16.
    "tied": {"hidden_size": 144, "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True},
    "llama3": {
        "hidden_size": 128,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "tie_word_embeddings": False,
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 10000.0,
            "factor": 4.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
}


@contextmanager
def home(directory: Path) -> Iterator[None]:
    """COMMENTARY_HOME set to `directory` for a while."""
    before = os.environ.get("COMMENTARY_HOME")
    os.environ["COMMENTARY_HOME"] = str(directory)
    try:
        yield
    finally:
        if before is None:
            del os.environ["COMMENTARY_HOME"]
        else:
            os.environ["COMMENTARY_HOME"] = before


def make_model(directory: Path, kind: str, ranks: tuple[int, ...] = (1, 2, 3, 4)) -> dict[int, Path]:
    """Builds a tiny model below `directory`; its shard directories by rank count."""
    source = directory / f"source-{kind}"
    _write_source(source, kind)
    with home(directory):
        with write_artifact(
            models_dir() / kind,
            kind="llama-hf",
            name=kind,
            command="python -m checkpoints import",
            recipe=IMPORT,
            sources=(),
            dtype="F32",
            tools={},
        ) as artifact:
            import_hf(source, artifact.directory)
        quantize_model(kind)
        return {count: shard_model(kind, count) for count in ranks}


def _write_source(source: Path, kind: str) -> None:
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(CORPUS, vocab_size=322, special_tokens=["<|end|>", "<|start|>"], show_progress=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, eos_token="<|end|>")
    tokenizer.chat_template = (
        "{% for m in messages %}<|start|>{{ m.role }}: {{ m.content }}\n{% endfor %}<|start|>assistant: "
    )
    tokenizer.save_pretrained(source)
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=bpe.get_vocab_size() + 1,
        intermediate_size=250,
        num_hidden_layers=3,
        max_position_embeddings=512,
        eos_token_id=0,
        bos_token_id=None,
        rms_norm_eps=1e-5,
        initializer_range=0.15,
        **SIZES[kind],
    )
    LlamaForCausalLM(config).float().save_pretrained(source)


def reference_model(quantized: Path) -> LlamaForCausalLM:
    """Hugging Face's LLaMA in float32, holding the dequantised weights: independent of the model code under test."""
    config = LlamaConfig.from_pretrained(quantized, dtype="float32")
    state: dict[str, torch.Tensor] = {}
    with safe_open(quantized / "model.safetensors", framework="pt") as file:
        names = set(file.keys())
        for name in names:
            if f"{name}_scale" in names:
                state[name] = dequantize_rows(file.get_tensor(name), file.get_tensor(f"{name}_scale"))
            elif not name.endswith("_scale"):
                state[name] = file.get_tensor(name)
    model = LlamaForCausalLM(config).float()
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state, strict=True)
    return model.eval()
