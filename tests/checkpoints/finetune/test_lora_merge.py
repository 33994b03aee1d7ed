"""Set-up with the adapter: base, merged model, its INT8 form and shards; a stale adapter is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import LlamaForCausalLM

from checkpoints import build
from checkpoints.finetune import COMMENTATOR_MODEL
from checkpoints.finetune.lora import AdapterInfo, add_lora, load_adapter, merged, save_adapter
from checkpoints.progress import Reporter
from commentary_llm.artifacts.hashing import sha256_file
from commentary_llm.artifacts.llama import LlamaShape
from commentary_llm.artifacts.manifest import load_manifest
from commentary_llm.ground.errors import ArtifactError
from commentary_llm.ground.home import models_dir, shards_dir

SHAPE = LlamaShape(2, 16, 2, 1, 8, 24, 32, True)


@pytest.fixture
def base(own_home: Path, make_model, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny model imported as the base of an otherwise empty home; packages are not fetched."""
    directory = build.import_llm(make_model(SHAPE, dtype=torch.float16), "tiny", Reporter())
    monkeypatch.setattr(build, "BASE_MODEL", "tiny")
    monkeypatch.setattr(build, "LLM_MODEL", "tiny")
    monkeypatch.setattr(build, "ensure_speech", lambda *_: None)
    monkeypatch.setattr(build, "ensure_base_llm", lambda *_: None)
    return directory


@pytest.fixture
def adapter_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "adapter" / "commentator.safetensors"
    monkeypatch.setattr(build, "ADAPTER_FILE", path)
    return path


def write_adapter(base: Path, path: Path, seed: int = 1, base_sha256: str | None = None) -> None:
    model = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)
    random = torch.Generator().manual_seed(seed)
    for parameter in add_lora(model, 2, 4.0, seed):
        parameter.data = torch.randn(parameter.shape, generator=random) * 0.1
    found = base_sha256 or sha256_file(base / "model.safetensors")
    save_adapter(model, AdapterInfo("tiny", found, 2, 4.0, seed, {}), path)


def test_set_up_without_an_adapter_serves_the_base(base: Path, adapter_file: Path) -> None:
    build.setup([2], Reporter())
    assert shards_dir("tiny", 2).is_dir()
    assert not (models_dir() / COMMENTATOR_MODEL).exists()


def test_set_up_merges_the_adapter_once(
    base: Path, adapter_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "LLM_MODEL", COMMENTATOR_MODEL)
    write_adapter(base, adapter_file)
    build.setup([1, 2], Reporter())
    target = models_dir() / COMMENTATOR_MODEL
    manifest = load_manifest(target, kind="llama-hf", verify="sha256")
    assert manifest.sources[-1].sha256 == sha256_file(adapter_file)
    assert manifest.built_from[0].name == "tiny"
    assert (target / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    adapter = load_adapter(adapter_file)
    with (
        safe_open(base / "model.safetensors", framework="pt") as before,
        safe_open(target / "model.safetensors", framework="pt") as after,
    ):
        for name in SHAPE.tensors():
            expected = before.get_tensor(name)
            if name in adapter.pairs:
                expected = merged(expected, *adapter.pairs[name], 2.0)
                assert not torch.equal(expected, before.get_tensor(name))
            assert torch.equal(after.get_tensor(name), expected)
            assert after.get_tensor(name).dtype == expected.dtype
    shards = load_manifest(shards_dir(COMMENTATOR_MODEL, 2), kind="llama-int8-shards", ranks=2, verify="sha256")
    assert [upstream.kind for upstream in shards.built_from] == ["llama-hf", "llama-int8"]
    assert shards.sources == manifest.sources
    capsys.readouterr()
    build.setup([1, 2], Reporter())
    assert capsys.readouterr().err == ""  # nothing was built again


def test_a_new_adapter_rebuilds_what_hangs_on_it(base: Path, adapter_file: Path) -> None:
    write_adapter(base, adapter_file)
    build.setup([2], Reporter())
    old = load_manifest(shards_dir(COMMENTATOR_MODEL, 2)).digest
    write_adapter(base, adapter_file, seed=2)
    build.setup([2], Reporter())
    assert load_manifest(shards_dir(COMMENTATOR_MODEL, 2)).digest != old
    assert shards_dir("tiny", 2).is_dir()


def test_a_stale_adapter_names_both_sides(base: Path, adapter_file: Path) -> None:
    write_adapter(base, adapter_file, base_sha256="f" * 64)
    with pytest.raises(ArtifactError) as raised:
        build.setup([2], Reporter())
    for part in (str(adapter_file), "f" * 64, str(base / "model.safetensors"), sha256_file(base / "model.safetensors")):
        assert part in str(raised.value)
    assert not (models_dir() / COMMENTATOR_MODEL).exists()


def test_an_adapter_of_other_shapes_is_refused(base: Path, adapter_file: Path, make_model) -> None:
    other = make_model(LlamaShape(2, 32, 2, 1, 16, 24, 32, True), dtype=torch.float16)
    write_adapter(other, adapter_file, base_sha256=sha256_file(base / "model.safetensors"))
    with pytest.raises(ArtifactError, match=r"changes model\.layers\.0\.\S+ as a 32 x 24 matrix"):
        build.setup([2], Reporter())


def test_a_missing_adapter_is_told(base: Path, adapter_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "LLM_MODEL", COMMENTATOR_MODEL)
    with pytest.raises(ArtifactError, match="install the package again"):
        build.setup([2], Reporter())
