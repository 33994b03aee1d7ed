"""What only a real installation of TensorRT-LLM 1.2.1 on its GPUs can show. Skips, with the reason, everywhere else.

    pytest tests/gpu -m gpu

The model has LLaMA's shape with random weights and eight heads; engines are built into a home of its own.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from mpi_job import SUPPORT, JobResult, run_ranks

from checkpoints.importers.hf import import_hf
from checkpoints.recipes import IMPORT
from checkpoints.writer import write_artifact
from commentary_llm.artifacts.machine import not_installed, visible_gpus
from commentary_llm.artifacts.tensors import read_specs

MODEL = "random-llama"
HIDDEN, HEADS, KV_HEADS, INTERMEDIATE, LAYERS = 1024, 8, 8, 2816, 2
JOB = SUPPORT / "tensorrt_llm_job.py"
BUILD_S, RUN_S = 1200, 300

_REASON = not_installed()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(BUILD_S + RUN_S),
    pytest.mark.skipif(_REASON is not None, reason=f"needs a real TensorRT-LLM: {_REASON}"),
]


def need_gpus(count: int) -> None:
    if len(visible_gpus()) < count:
        pytest.skip(f"needs {count} GPUs, {len(visible_gpus())} are visible")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    need_gpus(1)
    home, source = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("source")
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(["Goal! Messi scores."] * 8, vocab_size=300, special_tokens=["<|end|>"])
    PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, eos_token="<|end|>").save_pretrained(source)
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=bpe.get_vocab_size(),
        hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=1024,
        eos_token_id=0,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).half().save_pretrained(source)
    with write_artifact(
        home / "models" / MODEL,
        kind="llama-hf",
        name=MODEL,
        command="python -m checkpoints import-llm",
        recipe=IMPORT,
        sources=(),
        dtype="F16",
        tools={},
    ) as artifact:
        import_hf(source, artifact.directory)
    return home


def job(home: Path, ranks: int, *arguments: str, seconds: int = RUN_S, **variables: str) -> JobResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMMENTARY_HOME", str(home))
        for name, value in variables.items():
            patch.setenv(name, value)
        result = run_ranks(ranks, JOB, MODEL, *arguments, timeout_s=seconds)
    assert result.exit_code == 0, result.output[-6000:]
    return result


def tokens_of(result: JobResult) -> list[list[int]]:
    lines = [line for line in result.output.splitlines() if line.startswith("TOKENS")]
    return [json.loads(line.removeprefix("TOKENS ")) for line in lines]


def built(home: Path, place: Path, ranks: int, *options: str) -> Path:
    """A home with engines of these build options, beside the model."""
    place.mkdir()
    (place / "models").symlink_to(home / "models")
    job(place, ranks, "build", *options, seconds=BUILD_S)
    return place


def test_every_name_and_option_is_there() -> None:
    """Signatures and fields of the builder and the executor's bindings."""
    from checkpoints.tensorrt_llm.library import builder_library
    from commentary_llm.generation.tensorrt_llm.library import executor_bindings

    assert builder_library()
    assert executor_bindings()


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_converted_checkpoint_has_the_known_tensors(home: Path, tmp_path: Path, ranks: int) -> None:
    """Keys and shapes of rank 0, as a tensor-parallel W8A16 checkpoint has them."""
    from checkpoints.tensorrt_llm.convert import mapping_of, quant_config
    from checkpoints.tensorrt_llm.library import builder_library
    from checkpoints.tensorrt_llm.source import link_source
    from commentary_llm.artifacts.tensorrt_llm import EngineOptions

    library = builder_library()
    link_source(home / "models" / MODEL, tmp_path / "model")
    model = library.model.from_hugging_face(
        str(tmp_path / "model"),
        dtype="float16",
        mapping=mapping_of(library, 0, ranks, ranks),
        quant_config=quant_config(library, EngineOptions()),
    )
    model.save_checkpoint(str(tmp_path / "checkpoint"), save_config=True)
    found = read_specs(tmp_path / "checkpoint" / "rank0.safetensors")
    layer = "transformer.layers.0"
    expected = {
        f"{layer}.attention.qkv.weight": (HIDDEN, 3 * HIDDEN // ranks),
        f"{layer}.attention.qkv.per_channel_scale": (3 * HIDDEN // ranks,),
        f"{layer}.attention.dense.weight": (HIDDEN // ranks, HIDDEN),
        f"{layer}.mlp.fc.weight": (HIDDEN, INTERMEDIATE // ranks),
        f"{layer}.mlp.gate.weight": (HIDDEN, INTERMEDIATE // ranks),
        f"{layer}.mlp.proj.weight": (INTERMEDIATE // ranks, HIDDEN),
        f"{layer}.input_layernorm.weight": (HIDDEN,),
        f"{layer}.post_layernorm.weight": (HIDDEN,),
        "transformer.ln_f.weight": (HIDDEN,),
    }
    assert {name: found[name].shape for name in expected if name in found} == expected
    assert found[f"{layer}.mlp.fc.weight"].dtype == "I8"


def test_one_rank_from_model_to_text(home: Path, tmp_path: Path) -> None:
    place = built(home, tmp_path / "home", 1)
    with_graphs = job(place, 1, "generate")
    assert tokens_of(with_graphs) == tokens_of(job(place, 1, "generate", "no-graphs"))
    assert "LATE deadline" in with_graphs.output
    assert with_graphs.output.count("cancelled") == 4
    assert int(with_graphs.output.split("CACHED ")[1].split()[0]) >= 32


def test_two_ranks_from_model_to_text(home: Path, tmp_path: Path) -> None:
    """The follower blocks until the leader closes; one-shot all-reduce; greedy tokens do not depend on options."""
    need_gpus(2)
    place = built(home, tmp_path / "home", 2)
    result = job(place, 2, "generate", TLLM_LOG_LEVEL="DEBUG")
    assert "CLOSED" in result.output
    followed_s = float(result.output.split("FOLLOWED ")[1].split()[0])
    assert followed_s > 3  # it waited while rank 0 worked, and returned
    assert "AllReducePlugin strategy for rank 0: ONESHOT" in result.output
    tokens = tokens_of(result)
    assert tokens == tokens_of(job(place, 2, "generate", "no-graphs"))
    plain = built(home, tmp_path / "plain", 2, "no-fusion")
    assert tokens == tokens_of(job(plain, 2, "generate"))


def test_engines_of_another_gpu_are_refused(home: Path, tmp_path: Path) -> None:
    place = built(home, tmp_path / "home", 1)
    manifest = place / "engines" / MODEL / "tensorrt-llm-tp1" / "manifest.json"
    changed = tmp_path / "changed"
    shutil.copytree(place, changed, symlinks=True)
    text = manifest.read_text(encoding="utf-8")
    name = json.loads(text)["extra"]["gpu_name"]
    (changed / manifest.relative_to(place)).write_text(text.replace(name, "Some other GPU"), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMMENTARY_HOME", str(changed))
        result = run_ranks(1, JOB, MODEL, "generate", timeout_s=RUN_S)
    assert result.exit_code != 0
    assert f"GPU Some other GPU built them, {name} is here" in result.output
