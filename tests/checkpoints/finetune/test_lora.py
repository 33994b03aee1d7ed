"""Adapters on a tiny LLaMA: training lowers the loss, files round-trip, merged and adapted models agree."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from checkpoints.finetune.dataset import Encoded, Encoder, Pair, Row, collate, make_batches, read_pairs
from checkpoints.finetune.lora import AdapterInfo, add_lora, fold_in, load_adapter, merged, round_as_saved, save_adapter
from checkpoints.finetune.train import Options, hidden_states, main, train
from commentary_llm.generation.tokenizer import Tokenizer
from commentary_llm.ground.errors import ArtifactError, ConfigError, InputError

CPU = torch.device("cpu")
PREFIXES = [f"<|start|>The match: {home} against Castrel.\n<|start|>user\n" for home in ("Norhaven", "Westmere")]
INFO = AdapterInfo("tiny", "0" * 64, 4, 8.0, 1, {"epochs": 1})


def some_pairs(count: int) -> list[dict[str, str]]:
    return [
        {
            "prefix": PREFIXES[i % 2],
            "text": f"Goal for Norhaven: player {i % 7}, minute {i + 1}.\n<|start|>assistant\n",
            "target": f"Player {i % 7} scores for Norhaven!",
            "persona": "neutral",
            "event_type": "goal",
        }
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("base")
    bpe = ByteLevelBPETokenizer()
    corpus = [pair["prefix"] + pair["text"] + pair["target"] for pair in some_pairs(14)]
    bpe.train_from_iterator(corpus, vocab_size=400, special_tokens=["<|end|>", "<|start|>"], show_progress=False)
    PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, eos_token="<|end|>", bos_token="<|start|>"
    ).save_pretrained(directory)
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=bpe.get_vocab_size(),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=1,
        eos_token_id=0,
        bos_token_id=1,
        pad_token_id=0,
        tie_word_embeddings=True,
        initializer_range=0.1,
    )
    LlamaForCausalLM(config).to(torch.float16).save_pretrained(directory)
    return directory


@pytest.fixture
def model(base: Path) -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="sdpa").eval()


def write_pairs(directory: Path, name: str, pairs: list[dict[str, str]]) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text("".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")


def test_the_command_lowers_the_loss_and_ships_an_adapter(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path / "pairs", "train.jsonl", some_pairs(40))
    write_pairs(tmp_path / "pairs", "heldout.jsonl", some_pairs(12))
    options = ["--epochs", "5", "--batch", "16", "--rank", "4", "--lr", "0.01", "--device", "cpu", "--prompts", "6"]
    command = ["--pairs", str(tmp_path / "pairs"), "--base", str(base), *options]
    digests = []
    for out in (tmp_path / "a", tmp_path / "b"):
        assert main([*command, "--out", str(out)]) == 0
        report = json.loads(capsys.readouterr().out.splitlines()[-1])
        digests.append(report["adapter_sha256"])
    assert digests[0] == digests[1]  # the same seed gives the same bytes
    assert report["steps"] >= 10
    assert report["loss_last"] < report["loss_first"] - 0.5
    assert report["held_out_loss"] < report["held_out_loss_base"] - 0.5
    lines = [json.loads(line) for line in (tmp_path / "a" / "generations.jsonl").read_text().splitlines()]
    assert len(lines) == 6
    assert {"prefix", "text", "target", "greedy", "sampled"} <= lines[0].keys()
    adapter = load_adapter(tmp_path / "a" / "commentator.safetensors")
    assert adapter.info.recipe["pairs"] == 40
    assert adapter.info.base_sha256 == report["base_sha256"]


def test_packed_rows_compute_what_whole_prompts_do(base: Path, model: LlamaForCausalLM) -> None:
    encoder = Encoder(base)
    pairs = [encoder.encode(Pair(**pair)) for pair in some_pairs(7)]
    rows = [row for rows in make_batches(pairs, random.Random(0), batch=8, max_tokens=4096) for row in rows]
    batch = collate(rows, encoder.end_id, CPU)
    with torch.no_grad():
        packed = hidden_states(model, batch)
        alone = [
            model.model(torch.tensor([[*p.prefix, *p.text, *p.target]])).last_hidden_state[0, -len(p.target) - 1 : -1]
            for row in rows
            for p in row.pairs
        ]
    torch.testing.assert_close(packed, torch.cat(alone), rtol=1e-4, atol=1e-4)
    assert batch.targets.tolist() == [token for row in rows for p in row.pairs for token in p.target]


@pytest.mark.parametrize("opener", ["Goal! Messi!", "A corner. Di María.", "At least 4 minutes.", "Penalty"])
@pytest.mark.parametrize("target", [" Set up by Lunt, and it's 2-0.", " Player 3 scores!", " 45 minutes gone."])
def test_what_follows_an_opener_is_encoded_as_the_engine_would(base: Path, opener: str, target: str) -> None:
    text = f"Goal for Norhaven: player 3, minute 4.\n<|start|>assistant\n{opener}"
    pair = Pair(PREFIXES[0], text, target, "neutral", "goal")
    encoder, engine = Encoder(base), Tokenizer(base)
    encoded = encoder.encode(pair)
    assert [*encoded.prefix, *encoded.text] == engine.encode(pair.prefix + pair.text)
    assert [*encoded.prefix, *encoded.text, *encoded.target[:-1]] == engine.encode(pair.prefix + pair.text + target)


def test_batches_hold_every_pair_once_within_their_bounds() -> None:
    rng = random.Random(5)
    pairs = [
        Encoded((1, i % 9), tuple(range(rng.randint(1, 30))), tuple(range(i, i + rng.randint(1, 9))))
        for i in range(500)
    ]
    batches = make_batches(pairs, random.Random(1), batch=32, max_tokens=600, per_row=8)
    assert sorted(p.target for rows in batches for row in rows for p in row.pairs) == sorted(p.target for p in pairs)
    assert all(p.prefix == row.prefix for rows in batches for row in rows for p in row.pairs)
    for rows in batches:
        assert sum(len(row.pairs) for row in rows) <= 32
        assert max(row.length for row in rows) * len(rows) <= 600


def test_a_row_past_the_bound_is_a_batch_of_its_own() -> None:
    pairs = [Encoded((1,) * 90, (2,), (3,)), Encoded((4,), (5,), (6,))]
    batches = make_batches(pairs, random.Random(1), batch=8, max_tokens=50)
    assert sorted(len(rows) for rows in batches) == [1, 1]
    assert {type(rows[0]) for rows in batches} == {Row}


def test_merged_equals_base_plus_adapter(base: Path, model: LlamaForCausalLM, tmp_path: Path) -> None:
    encoder = Encoder(base)
    pairs = [encoder.encode(Pair(**pair)) for pair in some_pairs(40)]
    tokens = torch.tensor([encoder.prompt(Pair(**some_pairs(1)[0]))])
    with torch.no_grad():
        plain = model(tokens).logits
    train(model, pairs, Options(epochs=2, batch=8, rank=4, alpha=8.0, lr=0.02), encoder.end_id, CPU)
    round_as_saved(model)
    with torch.no_grad():
        adapted = model(tokens).logits
    assert (adapted - plain).abs().max() > 0.1
    save_adapter(model, INFO, tmp_path / "adapter.safetensors")
    adapter = load_adapter(tmp_path / "adapter.safetensors")
    assert adapter.info == INFO
    fresh = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    weights = fresh.state_dict()
    for name, (down, up) in adapter.pairs.items():
        assert down.dtype == torch.float16
        weights[name].copy_(merged(weights[name], down, up, adapter.info.scale))
    assert len(adapter.pairs) == 14
    with torch.no_grad():
        torch.testing.assert_close(fresh(tokens).logits, adapted, rtol=1e-3, atol=1e-4)
        fold_in(model)
        torch.testing.assert_close(model(tokens).logits, adapted, rtol=1e-3, atol=1e-4)


def test_merging_is_exact_in_float32_and_keeps_the_dtype() -> None:
    weight = torch.randn(6, 8).half()
    down, up = torch.randn(2, 8).half(), torch.randn(6, 2).half()
    got = merged(weight, down, up, 0.5)
    assert got.dtype == torch.float16
    assert torch.equal(got, (weight.float() + 0.5 * (up.float() @ down.float())).half())


def test_adapter_files_that_are_wrong_say_so(model: LlamaForCausalLM, tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    with pytest.raises(ArtifactError, match="does not exist"):
        load_adapter(path)
    add_lora(model, 4, 8.0, 1)
    save_adapter(model, INFO, path)
    first = path.read_bytes()
    save_adapter(model, INFO, path)
    assert path.read_bytes() == first
    path.write_bytes(first[:-10])
    with pytest.raises(ArtifactError, match="not a whole safetensors file"):
        load_adapter(path)
    path.write_bytes(first.replace(b"llama-lora", b"llama-lore"))
    with pytest.raises(ArtifactError, match="expected an adapter"):
        load_adapter(path)


def test_an_adapter_too_large_to_ship_is_refused(model: LlamaForCausalLM, tmp_path: Path, monkeypatch) -> None:
    add_lora(model, 4, 8.0, 1)
    monkeypatch.setattr("checkpoints.finetune.lora.MAX_ADAPTER_BYTES", 100)
    with pytest.raises(ConfigError, match="lower --rank"):
        save_adapter(model, INFO, tmp_path / "adapter.safetensors")


def test_only_the_adapter_is_trained(model: LlamaForCausalLM) -> None:
    parameters = add_lora(model, 4, 8.0, 1)
    assert len(parameters) == 2 * 14
    assert {name.rsplit(".", 1)[1] for name, p in model.named_parameters() if p.requires_grad} == {"down", "up"}
    with pytest.raises(ConfigError, match="rank 0"):
        add_lora(model, 0, 8.0, 1)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("{", "train.jsonl:1"),
        ('{"text": "a", "target": "b", "persona": "c", "event_type": "d", "prefix_id": "9"}', "prefix_id"),
        ('{"prefix": "a", "text": "", "target": "b", "persona": "c", "event_type": "d"}', "not empty"),
        ("", "holds no pairs"),
    ],
)
def test_pairs_that_are_wrong_are_named(tmp_path: Path, line: str, text: str) -> None:
    (tmp_path / "train.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=text):
        read_pairs(tmp_path, "train.jsonl")


def test_prefixes_may_be_kept_in_a_table(tmp_path: Path) -> None:
    pair = some_pairs(1)[0]
    (tmp_path / "prefixes.json").write_text(json.dumps({"3": pair["prefix"]}))
    write_pairs(
        tmp_path,
        "train.jsonl",
        [{**pair, "prefix_id": 3}, {k: v for k, v in pair.items() if k != "prefix"} | {"prefix_id": 3}],
    )
    assert read_pairs(tmp_path, "train.jsonl") == [Pair(**pair)] * 2


def test_metadata_is_readable_without_us(model: LlamaForCausalLM, tmp_path: Path) -> None:
    add_lora(model, 4, 8.0, 1)
    save_adapter(model, INFO, tmp_path / "adapter.safetensors")
    with safe_open(tmp_path / "adapter.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["base_sha256"]) == "0" * 64
        assert "model.layers.0.mlp.down_proj.lora_A.weight" in file.keys()  # noqa: SIM118
