"""The shape of a LLaMA-family model and the names of its tensors in a Hugging Face-format directory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commentary_llm.artifacts.tensors import TensorSpec
from commentary_llm.ground.errors import ArtifactError, ConfigError

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
)
PROJECTIONS = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)
NORMS = ("input_layernorm", "post_attention_layernorm")


@dataclass(frozen=True)
class LlamaShape:
    """Sizes that fix every tensor of the model."""

    layers: int
    hidden: int
    query_heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    tied: bool  # lm_head shares the embedding's weight

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Every tensor's name and shape, in the order in which files keep them."""
        query, kv = self.query_heads * self.head_dim, self.kv_heads * self.head_dim
        sizes = {
            "self_attn.q_proj": (query, self.hidden),
            "self_attn.k_proj": (kv, self.hidden),
            "self_attn.v_proj": (kv, self.hidden),
            "self_attn.o_proj": (self.hidden, query),
            "mlp.gate_proj": (self.intermediate, self.hidden),
            "mlp.up_proj": (self.intermediate, self.hidden),
            "mlp.down_proj": (self.hidden, self.intermediate),
        }
        names: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocabulary, self.hidden)}
        for layer in range(self.layers):
            for norm in NORMS:
                names[f"model.layers.{layer}.{norm}.weight"] = (self.hidden,)
            for projection in PROJECTIONS:
                names[f"model.layers.{layer}.{projection}.weight"] = sizes[projection]
        names["model.norm.weight"] = (self.hidden,)
        if not self.tied:
            names["lm_head.weight"] = (self.vocabulary, self.hidden)
        return names


def read_config(directory: Path) -> dict[str, Any]:
    """`config.json` of a model directory. Raises ArtifactError when it is missing or not JSON."""
    path = directory / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(
            f"{directory} has no config.json; expected a Hugging Face model directory or a .gguf file"
        ) from None
    except ValueError as error:
        raise ArtifactError(f"{path} is not JSON ({error}); copy the model again") from None
    if not isinstance(config, dict):
        raise ArtifactError(f"{path} holds a {type(config).__name__}, expected a JSON object")
    return config


def shape_of(config: dict[str, Any], where: str) -> LlamaShape:
    """The model's sizes from its configuration.

    Raises ConfigError for a model the engine cannot run (other architecture, biases, other activation, already
    quantised), naming the key, and ArtifactError for sizes that are missing or do not fit each other.
    """
    found = config.get("model_type")
    if found != "llama":
        raise ConfigError(
            f"{where}: model_type is {found!r} (architectures {config.get('architectures')}); "
            "only the LLaMA architecture (model_type 'llama') can be imported"
        )
    for key, expected in (("attention_bias", False), ("mlp_bias", False), ("hidden_act", "silu")):
        if config.get(key, expected) != expected:
            raise ConfigError(f"{where}: {key} is {config[key]!r}; the engine runs LLaMA models with {expected!r}")
    if config.get("quantization_config"):
        method = config["quantization_config"].get("quant_method", "unknown")
        raise ConfigError(
            f"{where}: the weights are already quantised ({method}); import the model's fp16 or bf16 release, "
            "this project quantises itself"
        )
    sizes: dict[str, int] = {}
    for key in ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "vocab_size"):
        value = config.get(key)
        if not isinstance(value, int) or value < 1:
            raise ArtifactError(f"{where}: {key} is {value!r}, expected a positive number")
        sizes[key] = value
    heads, hidden = sizes["num_attention_heads"], sizes["hidden_size"]
    kv_heads = config.get("num_key_value_heads") or heads
    head_dim = config.get("head_dim") or hidden // heads
    if heads % kv_heads:
        raise ArtifactError(f"{where}: {heads} query heads do not divide into {kv_heads} key/value heads")
    return LlamaShape(
        layers=sizes["num_hidden_layers"],
        hidden=hidden,
        query_heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=sizes["intermediate_size"],
        vocabulary=sizes["vocab_size"],
        tied=bool(config.get("tie_word_embeddings", False)),
    )


def check_tensors(found: dict[str, TensorSpec], shape: LlamaShape, where: str) -> None:
    """Raises ArtifactError, all differences in one message, unless `found` is exactly what `shape` calls for."""
    expected = shape.tensors()
    faults = [f"{name} is missing" for name in expected if name not in found]
    faults += [f"{name} is not part of a LLaMA model of this configuration" for name in found if name not in expected]
    faults += [
        f"{name} has shape {list(found[name].shape)}, expected {list(size)}"
        for name, size in expected.items()
        if name in found and found[name].shape != size
    ]
    if faults:
        more = f"; and {len(faults) - 8} more" if len(faults) > 8 else ""
        raise ArtifactError(f"{where}: {'; '.join(faults[:8])}{more}")
