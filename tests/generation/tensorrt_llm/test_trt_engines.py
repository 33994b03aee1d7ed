"""Engines and the machine they were built on: each kind of mismatch is refused with both sides and the command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tiny_llama import home
from trt_pretend import GPU_NAME, pretend

from checkpoints.progress import Reporter
from checkpoints.tensorrt_llm.build import build_llm_engines
from checkpoints.tensorrt_llm.convert import check_built, check_gpu
from checkpoints.tensorrt_llm.source import check_converted, check_divisible, converter_config, link_source
from commentary_llm.artifacts import machine
from commentary_llm.artifacts.llama import LlamaShape
from commentary_llm.artifacts.machine import Gpu, gpu_of_rank, library_versions, not_installed
from commentary_llm.artifacts.manifest import read_manifest
from commentary_llm.artifacts.tensorrt_llm import EngineOptions, engine_facts
from commentary_llm.generation.registry import ModelOptions, select_backend
from commentary_llm.generation.tensorrt_llm.config import TensorRTLLMConfig
from commentary_llm.generation.tensorrt_llm.connect import fitting_engines
from commentary_llm.generation.tensorrt_llm.generator import open_tensorrt_llm_generator
from commentary_llm.ground.errors import ArtifactError, CommentaryError, ConfigError, EngineError
from commentary_llm.settings import EngineConfig


@pytest.fixture
def engines(engines_1: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(engines_1, tmp_path / "engines")


@contextmanager
def versions(**changed: str | None) -> Iterator[None]:
    """Other installed versions than the double's."""
    real = machine._version
    with mock.patch.object(machine, "_version", lambda name: changed[name] if name in changed else real(name)):
        yield


def options_for(engines: Path) -> ModelOptions:
    return EngineConfig(llm="llama3", llm_engines=str(engines)).station.model_options


def refusal(folder: Path, ranks: int = 1) -> str:
    config = TensorRTLLMConfig(folder, "llama3")
    with pytest.raises(CommentaryError) as refused:
        fitting_engines(config, 0, ranks)
    choice = select_backend("auto", options_for(folder)) if ranks == 1 else None
    if choice is not None:
        assert choice.name == "torch"
        assert str(refused.value) in choice.reason
    return str(refused.value)


def test_engines_fit_where_they_were_built(engines: Path) -> None:
    with pretend():
        facts, gpu = fitting_engines(TensorRTLLMConfig(engines, "llama3"), 0, 1)
        assert str(select_backend("auto", options_for(engines))).startswith("tensorrt_llm (auto")
    assert facts.options == EngineOptions(max_batch_size=4, max_seq_len=256, max_num_tokens=256)
    assert gpu.name == GPU_NAME


@pytest.mark.parametrize(
    ("pretended", "changed", "expected"),
    [
        ({"name": "NVIDIA H200"}, {}, f"GPU {GPU_NAME} built them, NVIDIA H200 is here"),
        ({"capability": (8, 9)}, {}, "compute capability 9.0 built them, 8.9 is here"),
        ({"cuda": "12.9"}, {}, "cuda 13.0 built them, 12.9 is here"),
        ({}, {"tensorrt": "10.15.0.1"}, "tensorrt 10.14.1.48 built them, 10.15.0.1 is here"),
    ],
)
def test_engines_of_another_machine(
    engines: Path, pretended: dict[str, Any], changed: dict[str, str], expected: str
) -> None:
    with pretend(**pretended), versions(**changed):
        message = refusal(engines)
    assert expected in message
    assert "python -m checkpoints engines build-llm --model llama3 --max-batch-size 4" in message


def test_engines_of_another_library_release(engines: Path) -> None:
    manifest = engines / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"1.2.1"', '"1.2.0"'), encoding="utf-8")
    with pretend():
        assert "tensorrt_llm 1.2.0 built them, 1.2.1 is here" in refusal(engines)


def test_another_library_release_is_refused_before_anything_else(engines: Path) -> None:
    with pretend(), versions(tensorrt_llm="1.3.0"):
        assert not_installed() == "tensorrt_llm 1.3.0 is installed, this program uses 1.2.1"
        with pytest.raises(ConfigError, match=r"1\.3\.0 is installed, this program uses 1\.2\.1"):
            open_tensorrt_llm_generator(TensorRTLLMConfig(engines, "llama3"), None)
        assert select_backend("auto", options_for(engines)).name == "torch"
    with pretend(cuda=None), pytest.raises(ConfigError, match="no version of cuda found"):
        library_versions()


def test_wrong_rank_count(engines: Path) -> None:
    with pretend():
        message = refusal(engines, ranks=2)
    assert "holds engines for 1 ranks, 2 are running" in message
    assert "mpirun -n 2 --bind-to none python -m checkpoints engines build-llm" in message


def test_missing_and_damaged_files(engines: Path, tmp_path: Path) -> None:
    with pretend():
        content = bytearray((engines / "rank0.engine").read_bytes())
        content[len(content) // 2] ^= 1
        (engines / "rank0.engine").write_bytes(content)
        assert "rank0.engine is corrupted (SHA-256" in refusal(engines)
        (engines / "rank0.engine").unlink()
        message = refusal(engines)
        assert "rank0.engine is missing" in message
        assert "engines build-llm" in message
        manifest = json.loads((engines / "manifest.json").read_text(encoding="utf-8"))
        del manifest["files"]["rank0.engine"]
        (engines / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        assert "does not list rank0.engine" in refusal(engines)
        assert "does not exist; build it with `python -m checkpoints engines build-llm" in refusal(tmp_path / "none")
        (engines / "manifest.json").write_text("{}", encoding="utf-8")
        assert "is damaged or of another version" in refusal(engines)


def test_another_artifact_is_no_engine(trt_home: Path) -> None:
    with pytest.raises(ArtifactError, match="holds llama-hf, expected tensorrt-llm-engines"):
        engine_facts(trt_home / "models" / "llama3", 1, "llama3")


def test_too_few_gpus_are_named(engines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pretend(gpus=0):
        assert "0 GPUs are visible to it (CUDA_VISIBLE_DEVICES: 0)" in refusal(engines)
    gpus = [Gpu(0, GPU_NAME, "9.0"), Gpu(1, GPU_NAME, "9.0")]
    assert gpu_of_rank(3, 2, gpus).index == 1
    with pytest.raises(ConfigError, match="rank 2 is to use GPU 2"):
        gpu_of_rank(2, 8, gpus)


def test_gpus_that_have_no_int8_engines() -> None:
    check_gpu(Gpu(0, "NVIDIA A100", "8.0"))
    check_gpu(Gpu(0, "NVIDIA RTX PRO 6000", "12.0"))
    with pytest.raises(ConfigError, match="builds no INT8 engines"):
        check_gpu(Gpu(0, "NVIDIA B200", "10.0"))
    with pytest.raises(ConfigError, match="too old"):
        check_gpu(Gpu(0, "Tesla T4", "7.5"))


@pytest.mark.parametrize(
    ("pretended", "options", "expected"),
    [
        ({"gpus": 0}, {}, "rank 0 is to use GPU 0, but 0 GPUs are visible"),
        ({"capability": (10, 0)}, {}, "builds no INT8 engines"),
        ({"cuda": None}, {}, "no version of cuda found"),
        ({}, {"max_seq_len": 4096}, "max_seq_len is 4096, the model knows 512 positions"),
    ],
)
def test_building_is_refused_before_it_begins(
    trt_home: Path, tmp_path: Path, pretended: dict[str, Any], options: dict[str, int], expected: str
) -> None:
    (tmp_path / "models").symlink_to(trt_home / "models")
    asked = EngineOptions(**{"max_seq_len": 256, "max_num_tokens": 256, **options})
    with home(tmp_path), pretend(**pretended), pytest.raises(ConfigError, match=expected):
        build_llm_engines("llama3", asked, None, Reporter())
    assert not (tmp_path / "engines").exists()


def test_a_failed_build_leaves_the_old_engines(trt_home: Path, tmp_path: Path, engines_1: Path) -> None:
    (tmp_path / "models").symlink_to(trt_home / "models")
    target = shutil.copytree(engines_1, tmp_path / "engines" / "llama3" / "tensorrt-llm-tp1")
    before = (target / "manifest.json").read_bytes()
    with home(tmp_path), pretend():
        import tensorrt_llm.builder

        with (
            mock.patch.object(tensorrt_llm.builder, "build", side_effect=MemoryError("no memory left")),
            pytest.raises(EngineError, match="rank 0: building failed: MemoryError: no memory left"),
        ):
            build_llm_engines("llama3", EngineOptions(max_seq_len=256, max_num_tokens=256), None, Reporter())
    assert (target / "manifest.json").read_bytes() == before
    assert [path.name for path in target.parent.iterdir() if path.is_dir()] == ["tensorrt-llm-tp1"]


def test_options_out_of_range() -> None:
    for options, message in (
        ({"quantization": "int4"}, "w8a16, w8a8"),
        ({"max_batch_size": 0}, "max_batch_size"),
        ({"max_seq_len": 1}, "max_seq_len"),
        ({"max_num_tokens": 4}, "max_num_tokens"),
    ):
        with pytest.raises(ConfigError, match=message):
            EngineOptions(**options)
    command = EngineOptions("w8a8", max_seq_len=4096).command("my llama", 2)
    assert command == (
        "mpirun -n 2 --bind-to none python -m checkpoints engines build-llm --model 'my llama' "
        "--quantization w8a8 --max-seq-len 4096"
    )


def test_heads_that_do_not_divide() -> None:
    def shape(query: int, kv: int) -> LlamaShape:
        return LlamaShape(1, 64, query, kv, 8, 128, 100, tied=False)

    for query, kv, ranks in ((32, 32, 2), (32, 8, 16), (9, 3, 3), (8, 2, 4)):
        check_divisible(shape(query, kv), ranks, "model")
    with pytest.raises(ConfigError, match="9 query heads do not divide by 2 ranks"):
        check_divisible(shape(9, 3), 2, "model")
    with pytest.raises(ConfigError, match="3 key/value heads and 2 ranks"):
        check_divisible(shape(12, 3), 2, "model")


def test_the_converter_gets_a_rotary_embedding_it_can_read(trt_home: Path, tmp_path: Path) -> None:
    """transformers 5 writes `rope_parameters`; release 4, inside TensorRT-LLM, would take the base for 10,000."""
    plain = {"rope_parameters": {"rope_type": "default", "rope_theta": 100000.0}, "dtype": "float16"}
    assert converter_config(plain, "x") == {"rope_theta": 100000.0, "rope_scaling": None, "torch_dtype": "float16"}
    old = {"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}}
    assert converter_config(old, "x") == old
    with pytest.raises(ConfigError, match="yarn"):
        converter_config({"rope_parameters": {"rope_type": "yarn"}}, "x")
    link_source(trt_home / "models" / "llama3", tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["rope_theta"] == 10000.0
    assert config["rope_scaling"]["rope_type"] == "llama3"
    assert (tmp_path / "model" / "model.safetensors").is_symlink()
    with pytest.raises(ConfigError, match="'vila'"):
        link_source(trt_home / "models" / "llama3", tmp_path / "my-Vila-folder")


def test_a_model_that_was_read_differently(double: Any, trt_home: Path) -> None:
    from tensorrt_llm.models import LLaMAForCausalLM

    source = trt_home / "models" / "llama3"
    config = converter_config(json.loads((source / "config.json").read_text(encoding="utf-8")), "x")
    found = LLaMAForCausalLM.from_hugging_face(str(source)).config  # as imported, not as linked
    with pytest.raises(ConfigError, match="rotary_scaling None, expected"):
        check_converted(found, config, 1, "model")
    found.rotary_scaling = config["rope_scaling"]
    check_converted(found, config, 1, "model")
    found.rotary_base = 500000.0
    with pytest.raises(ConfigError, match=r"rotary_base 500000\.0, expected 10000\.0"):
        check_converted(found, config, 1, "model")
    with pytest.raises(ConfigError, match="tp_size 1, expected 2"):
        check_converted(found, config, 2, "model")


def test_an_engine_built_otherwise_than_asked(engines: Path) -> None:
    options = EngineOptions(max_batch_size=4, max_seq_len=256, max_num_tokens=256)
    check_built(engines, options, 1)
    with pytest.raises(EngineError, match="max_batch_size is 4, 8 was asked for"):
        check_built(engines, EngineOptions(max_seq_len=256, max_num_tokens=256), 1)
    path = engines / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["build_config"]["plugin_config"]["use_paged_context_fmha"] = False
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(EngineError, match="use_paged_context_fmha is False, True was asked for"):
        check_built(engines, options, 1)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(EngineError, match="cannot be read"):
        check_built(engines, options, 1)


def test_the_manifest_names_what_the_engines_were_made_from(engines: Path, trt_home: Path) -> None:
    manifest = read_manifest(engines)
    assert manifest.built_from[0].digest == read_manifest(trt_home / "models" / "llama3").digest
    assert manifest.recipe
    assert manifest.dtype == "w8a16, float16"
