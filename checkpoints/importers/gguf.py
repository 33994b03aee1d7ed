"""GGUF file of a LLaMA-family model -> Hugging Face-format directory.

GGUF keys and tensor names: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The tensors are read from the
memory-mapped file, dequantised and written one at a time. Quantised and fp16 matrices become fp16: its rounding (2^-11)
is far finer than any quantisation step and eight times finer than that of bf16; bf16 and fp32 sources keep their type.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from checkpoints.tensors import TensorWriter
from commentary_llm.artifacts.llama import LlamaShape
from commentary_llm.artifacts.tensors import TensorSpec
from commentary_llm.ground.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    import torch
    from gguf import GGUFReader

_BLOCK_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_TOP_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def gguf_name(name: str) -> str:
    """GGUF's name of a Hugging Face LLaMA tensor."""
    if name in _TOP_NAMES:
        return _TOP_NAMES[name]
    layer, block = name.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{_BLOCK_NAMES[block.removesuffix('.weight')]}.weight"


def unpermute_rows(weight: np.ndarray, heads: int) -> np.ndarray:
    """Undoes the row order GGUF gives q and k for interleaved RoPE; Hugging Face keeps the two halves of a head apart.

    [heads * head_dim, in], inside a head from (pair, half) to (half, pair).
    """
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def import_gguf(source: Path, target: Path, advance: Callable[[int], None] | None = None) -> dict[str, object]:
    """Writes config, tokenizer, generation config and `model.safetensors` of `source` into the empty folder `target`.

    Returns what the manifest should keep (name and licence the file states, tensor types, largest rounding error as a
    part of the tensor's largest magnitude). `advance` is told the source bytes done. Raises ArtifactError for a file
    that is damaged or incomplete and ConfigError for a model that the engine does not run.
    """
    reader = _open(source)
    shape, config = _read_config(reader, source)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    _check_tensors(tensors, shape, source)
    dtype = _import_dtype({tensors[gguf_name(n)].tensor_type.name for n, s in shape.tensors().items() if len(s) == 2})
    specs = {n: TensorSpec(s, dtype if len(s) == 2 else "F32") for n, s in shape.tensors().items()}
    worst = 0.0
    with TensorWriter(target / "model.safetensors", specs) as writer:
        for name, spec in specs.items():
            tensor, error = _convert(tensors[gguf_name(name)], name, spec, shape)
            worst = max(worst, error)
            writer.write(name, tensor)
            if advance:
                advance(int(tensors[gguf_name(name)].n_bytes))
    _write_config(config, dtype, target)
    _write_tokenizer(reader, source, shape, target)
    kinds = [tensor.tensor_type.name for tensor in reader.tensors]
    return {
        "source_file": source.name,
        "model_name": _field(reader, "general.name"),
        "licence": _field(reader, "general.license"),
        "source_tensor_types": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "dtype": dtype,
        "max_rounding_error": worst,
    }


def _open(source: Path) -> GGUFReader:
    from gguf import GGUFReader

    try:
        return GGUFReader(source)
    except FileNotFoundError:
        raise ArtifactError(f"{source} does not exist; expected a .gguf file") from None
    except (ValueError, IndexError, KeyError) as error:
        raise ArtifactError(f"{source} is not a whole GGUF file ({error}); download it again") from error


def _field(reader: GGUFReader, key: str, default: Any = None) -> Any:
    field = reader.get_field(key)
    return default if field is None else field.contents()


def _read_config(reader: GGUFReader, source: Path) -> tuple[LlamaShape, dict[str, Any]]:
    architecture = _field(reader, "general.architecture")
    if architecture != "llama":
        raise ConfigError(f"{source}: architecture is {architecture!r}; only 'llama' can be imported")
    scaling = _field(reader, "llama.rope.scaling.type", "none")
    if scaling != "none" or any(tensor.name == "rope_freqs.weight" for tensor in reader.tensors):
        raise ConfigError(
            f"{source}: the file scales its rotary positions ({scaling}) in a way GGUF does not describe fully; "
            "import the model's Hugging Face directory instead"
        )
    if _field(reader, "llama.expert_count", 0):
        raise ConfigError(f"{source}: a mixture of experts; only dense LLaMA models can be imported")

    def number(key: str, default: Any = None) -> Any:
        value = _field(reader, f"llama.{key}", default)
        if value is None:
            raise ArtifactError(f"{source}: the key llama.{key} is missing; download the file again")
        return value

    hidden, heads = int(number("embedding_length")), int(number("attention.head_count"))
    embedding = next((t for t in reader.tensors if t.name == "token_embd.weight"), None)
    if embedding is None:
        raise ArtifactError(f"{source}: tensor token_embd.weight is missing; download the file again")
    shape = LlamaShape(
        layers=int(number("block_count")),
        hidden=hidden,
        query_heads=heads,
        kv_heads=int(number("attention.head_count_kv", heads)),
        head_dim=int(number("attention.key_length", hidden // heads)),
        intermediate=int(number("feed_forward_length")),
        vocabulary=int(embedding.shape[1]),
        tied=all(tensor.name != "output.weight" for tensor in reader.tensors),
    )
    config = {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.query_heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "max_position_embeddings": int(number("context_length")),
        # stored as float32: 9.999999747e-06 is 1e-05
        "rms_norm_eps": float(f"{number('attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_parameters": {"rope_type": "default", "rope_theta": float(number("rope.freq_base", 10000.0))},
        "tie_word_embeddings": shape.tied,
        "bos_token_id": _field(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": _field(reader, "tokenizer.ggml.eos_token_id"),
        "pad_token_id": _field(reader, "tokenizer.ggml.padding_token_id"),
    }
    return shape, config


def _check_tensors(tensors: dict[str, Any], shape: LlamaShape, source: Path) -> None:
    faults = []
    for name, size in shape.tensors().items():
        tensor = tensors.get(gguf_name(name))
        if tensor is None:
            faults.append(f"{gguf_name(name)} is missing")
        elif (found := tuple(int(extent) for extent in tensor.shape)[::-1]) != size:
            faults.append(f"{gguf_name(name)} has shape {list(found)}, expected {list(size)}")
    known = {gguf_name(name) for name in shape.tensors()}
    faults += [f"{name} is not part of a LLaMA model" for name in tensors if name not in known]
    if faults:
        more = f"; and {len(faults) - 8} more" if len(faults) > 8 else ""
        raise ArtifactError(f"{source}: {'; '.join(faults[:8])}{more}")


def _import_dtype(kinds: set[str]) -> str:
    if kinds == {"BF16"}:
        return "BF16"
    return "F32" if "F32" in kinds or "F64" in kinds else "F16"


def _convert(tensor: Any, name: str, spec: TensorSpec, shape: LlamaShape) -> tuple[torch.Tensor, float]:
    """The tensor in Hugging Face's layout and dtype, and its rounding error relative to its largest magnitude."""
    import torch
    from gguf.quants import dequantize

    exact = dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False).reshape(spec.shape)
    if name.endswith("q_proj.weight"):
        exact = unpermute_rows(exact, shape.query_heads)
    elif name.endswith("k_proj.weight"):
        exact = unpermute_rows(exact, shape.kv_heads)
    source = torch.from_numpy(np.require(exact, requirements=["C", "W"]))
    result = source.to({"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}[spec.dtype])
    largest = float(source.abs().max())
    error = float((result.to(torch.float32) - source).abs().max())
    if not np.isfinite(largest) or not np.isfinite(error):
        raise ArtifactError(f"{tensor.name} holds values that are not finite or too large for {spec.dtype}")
    return result, error / largest if largest else 0.0


def _write_config(config: dict[str, Any], dtype: str, target: Path) -> None:
    from transformers import GenerationConfig, LlamaConfig

    names = {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}
    LlamaConfig(**config, architectures=["LlamaForCausalLM"], dtype=names[dtype]).save_pretrained(target)
    ids = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    GenerationConfig(**ids).save_pretrained(target)


def _write_tokenizer(reader: GGUFReader, source: Path, shape: LlamaShape, target: Path) -> None:
    """The tokenizer with its chat template.

    GGUF names the pre-tokenizer instead of describing it, hence `_pre_tokenizer`; and transformers adds an unknown
    token of its own where the file has none, which would lie past the embedding's end.
    """
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    known: list[str] = _field(reader, "tokenizer.ggml.tokens", [])
    if not 0 < len(known) <= shape.vocabulary:
        raise ArtifactError(f"{source}: {len(known)} tokens, but an embedding of {shape.vocabulary} rows")
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    model = _field(reader, "tokenizer.ggml.model")
    if model == "gpt2":
        description = json.loads(tokenizer.backend_tokenizer.to_str())
        description["added_tokens"] = [t for t in description["added_tokens"] if t["id"] < len(known)]
        backend = Tokenizer.from_str(json.dumps(description))
        backend.pre_tokenizer = _pre_tokenizer(_field(reader, "tokenizer.ggml.pre", "default"), source)
        roles = {name: token for name, token in tokenizer.special_tokens_map.items() if token in set(known)}
        template = tokenizer.chat_template
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, chat_template=template, **roles)
    elif model != "llama":
        raise ConfigError(f"{source}: tokenizer is {model!r}; expected 'gpt2' (byte-level BPE) or 'llama'")
    tokenizer.save_pretrained(target)


def _pre_tokenizer(name: str, source: Path) -> Any:
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split

    if name == "smollm":
        return Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False, use_regex=True)])
    if name in ("default", "gpt-2"):
        return ByteLevel(add_prefix_space=False, use_regex=True)
    if name in ("llama-bpe", "llama3", "llama-v3"):
        pattern = (
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
        split = Split(Regex(pattern), behavior="isolated", invert=False)
        return Sequence([split, ByteLevel(add_prefix_space=False, use_regex=False)])
    raise ConfigError(
        f"{source}: pre-tokenizer {name!r} is not known (smollm, gpt-2, llama-bpe are); "
        "import the model's Hugging Face directory instead"
    )
