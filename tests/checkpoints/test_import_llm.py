"""LLaMA importers: what they take, what they refuse, and that the imported model is the published one."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import PreTrainedTokenizerFast

from checkpoints.build import import_llm
from checkpoints.fetch import LLM_PACKAGE, extract_member
from checkpoints.finetune import BASE_MODEL
from checkpoints.importers.gguf import gguf_name, import_gguf, unpermute_rows
from checkpoints.importers.hf import import_hf
from checkpoints.perplexity import compare
from checkpoints.progress import Reporter
from commentary_llm.artifacts.llama import LlamaShape, read_config, shape_of
from commentary_llm.ground.errors import ArtifactError, ConfigError
from commentary_llm.ground.home import LLM_MODEL, models_dir

SHAPE = LlamaShape(1, 8, 2, 1, 4, 8, 16, True)
TEXT = Path(__file__).parent / "data" / "match_report.txt"


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"model_type": "gpt2"}, ConfigError, r"model_type is 'gpt2'.*only the LLaMA architecture"),
        ({"attention_bias": True}, ConfigError, "attention_bias is True"),
        ({"hidden_act": "gelu"}, ConfigError, "hidden_act is 'gelu'"),
        ({"quantization_config": {"quant_method": "gptq"}}, ConfigError, r"already quantised \(gptq\)"),
        ({"hidden_size": None}, ArtifactError, "hidden_size is None, expected a positive number"),
        ({"num_key_value_heads": 3}, ArtifactError, "2 query heads do not divide into 3 key/value heads"),
        ({"intermediate_size": 9}, ArtifactError, r"mlp\.gate_proj\.weight has shape \[8, 8\], expected \[9, 8\]"),
        ({"num_hidden_layers": 2}, ArtifactError, r"model\.layers\.1\.input_layernorm\.weight is missing.*and 1 more"),
    ],
)
def test_hf_directory_that_does_not_fit_is_refused(
    own_home: Path, make_model, changes: dict[str, object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        import_llm(make_model(SHAPE, **changes), "tiny", Reporter())
    assert not (models_dir() / "tiny").exists()


def test_damaged_hf_directories_are_refused(make_model, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    sharded = make_model(SHAPE, files=2)
    (sharded / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ArtifactError, match="lists files that are missing: model-00002-of-00002"):
        import_hf(sharded, target)
    truncated = make_model(SHAPE)
    weights = truncated / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ArtifactError, match=r"bytes, its header announces"):
        import_hf(truncated, target)
    weights.unlink()
    (truncated / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ArtifactError, match="is a pickle, convert it to safetensors first"):
        import_hf(truncated, target)
    no_tokenizer = make_model(SHAPE)
    (no_tokenizer / "tokenizer.json").unlink()
    with pytest.raises(ArtifactError, match=r"has no tokenizer\.json or tokenizer\.model"):
        import_hf(no_tokenizer, target)
    with pytest.raises(ArtifactError, match=r"has no config\.json"):
        import_hf(target / "nothing", target)


@pytest.mark.parametrize("name", ["", "../x", LLM_MODEL])
def test_names_that_cannot_be_used(own_home: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="--name"):
        import_llm(tmp_path, name, Reporter())


def permute_rows(weight: np.ndarray, heads: int) -> np.ndarray:
    """What GGUF converters do to q and k: (half, pair) -> (pair, half) inside each head."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_gguf(path: Path, shape: LlamaShape, architecture: str = "llama", drop: str = "") -> dict[str, np.ndarray]:
    """A random fp32 model with a byte-level BPE tokenizer of single characters; returns its tensors by HF name."""
    random = np.random.default_rng(1)
    tensors = {n: random.standard_normal(s).astype(np.float32) for n, s in shape.tensors().items()}
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(shape.layers)
    writer.add_context_length(64)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.intermediate)
    writer.add_head_count(shape.query_heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    words = ["<|end|>", *"abcdefghijklmn", "ab"]
    writer.add_token_list(words)
    writer.add_token_types([3] + [1] * (len(words) - 1))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    for name, tensor in tensors.items():
        heads = {"q_proj": shape.query_heads, "k_proj": shape.kv_heads}.get(name.split(".")[-2], 0)
        if gguf_name(name) != drop:
            writer.add_tensor(gguf_name(name), permute_rows(tensor, heads) if heads else tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


@pytest.mark.parametrize("tied", [True, False])
def test_gguf_weights_and_config_arrive_unchanged(tmp_path: Path, tied: bool) -> None:
    shape = LlamaShape(2, 8, 2, 1, 4, 12, 16, tied)
    tensors = write_gguf(tmp_path / "m.gguf", shape)
    target = tmp_path / "target"
    target.mkdir()
    extra = import_gguf(tmp_path / "m.gguf", target)
    assert extra["dtype"] == "F32"
    assert extra["max_rounding_error"] == 0.0
    assert shape_of(read_config(target), "target") == shape
    assert read_config(target)["rms_norm_eps"] == 1e-5
    with safe_open(target / "model.safetensors", framework="np") as file:
        assert set(file.keys()) == set(tensors)
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(file.get_tensor(name), tensor)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(target)
    assert tokenizer("ab c").input_ids[0] == 15
    assert len(tokenizer) == shape.vocabulary
    assert tokenizer.eos_token == "<|end|>"


def test_unpermute_undoes_permute() -> None:
    weight = np.arange(3 * 8 * 2, dtype=np.float32).reshape(24, 2)
    assert not np.array_equal(permute_rows(weight, 3), weight)
    np.testing.assert_array_equal(unpermute_rows(permute_rows(weight, 3), 3), weight)


def test_gguf_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGML is something else")
    with pytest.raises(ArtifactError, match="is not a whole GGUF file"):
        import_gguf(path, tmp_path)
    path.unlink()
    write_gguf(path, SHAPE, architecture="mamba")
    with pytest.raises(ConfigError, match="architecture is 'mamba'"):
        import_gguf(path, tmp_path)
    path.unlink()
    write_gguf(path, SHAPE, drop="blk.0.ffn_up.weight")
    with pytest.raises(ArtifactError, match=r"blk\.0\.ffn_up\.weight is missing"):
        import_gguf(path, tmp_path)
    path.unlink()
    write_gguf(path, SHAPE)
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(ArtifactError, match="is not a whole GGUF file"):
        import_gguf(path, tmp_path)


@pytest.mark.models
def test_embedded_model_is_what_was_published() -> None:
    from transformers import AutoTokenizer, LlamaForCausalLM

    directory = models_dir() / BASE_MODEL
    tokenizer = AutoTokenizer.from_pretrained(directory)
    for text in ("Goal! 3-2, 90+4' Mbappé\n\n  x  2022 ünï 😀", "  12", "\t tabs\nand lines"):
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    # digits one by one and apart from the spaces before them, as the model was trained
    assert tokenizer.tokenize("a  12") == ["a", "ĠĠ", "1", "2"]
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert prompt.startswith("<|im_start|>system\n")
    assert prompt.endswith("<|im_start|>assistant\n")
    model = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32)
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    for text in ("The capital of France is", prompt):
        ids = tokenizer(text, return_tensors="pt")
        told = model.generate(**ids, max_new_tokens=12, do_sample=False)[0, ids.input_ids.shape[1] :]
        assert "Paris" in tokenizer.decode(told)
    assert told[-1] == model.generation_config.eos_token_id


@pytest.mark.models
def test_tokens_and_merges_are_those_of_the_package(tmp_path: Path) -> None:
    if not LLM_PACKAGE.path.exists():
        pytest.skip(f"{LLM_PACKAGE.path} was cleared away")
    reader = gguf.GGUFReader(extract_member(LLM_PACKAGE.path, ".gguf", tmp_path))
    tokenizer = json.loads((models_dir() / BASE_MODEL / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = {token: index for index, token in enumerate(reader.get_field("tokenizer.ggml.tokens").contents())}
    assert {**tokenizer["model"]["vocab"], **{t["content"]: t["id"] for t in tokenizer["added_tokens"]}} == vocabulary
    merges = [" ".join(pair) for pair in tokenizer["model"]["merges"]]
    assert merges == reader.get_field("tokenizer.ggml.merges").contents()


@pytest.mark.models
def test_int8_costs_less_than_one_percent_of_perplexity() -> None:
    report = compare(LLM_MODEL, [TEXT.read_text(encoding="utf-8")])
    assert report.tokens > 500
    assert report.loss_percent < 1.0
