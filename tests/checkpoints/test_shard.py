"""Quantise once, then shard: the shards put together are the quantised model, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file

from checkpoints.build import ensure_shards, import_llm
from checkpoints.progress import Reporter
from checkpoints.quantize import dequantize_rows, quantize_rows, quantized_specs
from checkpoints.shard import cut
from commentary_llm.artifacts.llama import LlamaShape
from commentary_llm.artifacts.manifest import load_manifest, quantized_dir
from commentary_llm.artifacts.rank_share import padding_for, rank_shape, split_axis
from commentary_llm.ground.errors import ConfigError
from commentary_llm.ground.home import shards_dir


class Sliceable:
    """A tensor as `safe_open(...).get_slice` presents it."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = tensor

    def get_shape(self) -> list[int]:
        return list(self._tensor.shape)

    def __getitem__(self, index: object) -> torch.Tensor:
        return self._tensor[index]


@st.composite
def shapes(draw: st.DrawFn) -> LlamaShape:
    kv_heads, head_dim = draw(st.integers(1, 5)), draw(st.sampled_from([2, 4]))
    query_heads = kv_heads * draw(st.integers(1, 4))
    return LlamaShape(
        layers=1,
        hidden=draw(st.integers(1, 4)) * 4,
        query_heads=query_heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=draw(st.integers(1, 30)),
        vocabulary=draw(st.integers(1, 40)),
        tied=draw(st.booleans()),
    )


def random_quantized(shape: LlamaShape) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, spec in quantized_specs(shape.tensors()).items():
        if spec.dtype == "I8":
            tensors[name] = torch.randint(-127, 128, spec.shape, dtype=torch.int8)
        else:
            tensors[name] = torch.rand(spec.shape) + 0.1
    return tensors


@given(shape=shapes(), ranks=st.integers(1, 6))
@settings(deadline=None, max_examples=80)
def test_union_of_shards_is_the_whole_with_zeros_behind(shape: LlamaShape, ranks: int) -> None:
    whole = random_quantized(shape)
    specs = quantized_specs(rank_shape(shape, ranks).tensors())
    assert list(specs) == list(whole)
    for name, spec in specs.items():
        axis = split_axis(name)
        parts = [
            cut(Sliceable(whole[name]), name, r, spec.shape[axis] if axis is not None else 0) for r in range(ranks)
        ]
        assert all(tuple(part.shape) == spec.shape for part in parts)
        if axis is None:
            assert all(torch.equal(part, whole[name]) for part in parts)
            continue
        union = torch.cat(parts, dim=axis)
        extent = whole[name].shape[axis]
        assert torch.equal(union.narrow(axis, 0, extent), whole[name])
        padded = union.narrow(axis, extent, union.shape[axis] - extent)
        assert torch.equal(padded, torch.full_like(padded, 1 if name.endswith("_scale") else 0))


@given(shape=shapes(), ranks=st.integers(1, 6))
@settings(deadline=None)
def test_padding_keeps_groups_and_divides(shape: LlamaShape, ranks: int) -> None:
    padding = padding_for(shape, ranks)
    assert padding.padded_query_heads * shape.kv_heads == padding.padded_kv_heads * shape.query_heads
    for name in ("query_heads", "kv_heads", "intermediate", "vocabulary"):
        before, after = getattr(padding, name), getattr(padding, f"padded_{name}")
        assert after >= before
        assert after % ranks == 0
    assert padding.padded_kv_heads - shape.kv_heads < ranks


def test_no_ranks_is_refused() -> None:
    with pytest.raises(ConfigError, match="ranks is 0, expected 1 or more"):
        padding_for(LlamaShape(1, 4, 1, 1, 4, 4, 4, True), 0)


@given(rows=st.integers(1, 9), columns=st.integers(1, 33), scale=st.floats(1e-6, 1e4), seed=st.integers(0, 99))
@settings(deadline=None)
def test_dequantised_error_is_at_most_half_a_step(rows: int, columns: int, scale: float, seed: int) -> None:
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * scale
    weight[0] = 0.0
    values, scales = quantize_rows(weight)
    error = (dequantize_rows(values, scales) - weight).abs()
    assert bool((error <= scales[:, None] * 0.5001).all())
    assert bool((values[0] == 0).all())
    assert float(scales[0]) == 1.0
    assert int(values.abs().max()) <= 127


def test_rows_are_quantised_each_by_itself() -> None:
    weight = torch.randn(8, 16)
    values, scales = quantize_rows(weight)
    parts = [quantize_rows(weight[start : start + 2]) for start in range(0, 8, 2)]
    assert torch.equal(torch.cat([p[0] for p in parts]), values)
    assert torch.equal(torch.cat([p[1] for p in parts]), scales)


@pytest.mark.parametrize("files", [1, 3])
@pytest.mark.parametrize("tied", [True, False])
def test_directory_is_imported_quantised_and_sharded(own_home: Path, make_model, files: int, tied: bool) -> None:
    shape = LlamaShape(2, 12, 9, 3, 4, 20, 31, tied)
    import_llm(make_model(shape, files=files), "tiny", Reporter())
    for ranks in (1, 2, 4):
        assert ensure_shards("tiny", ranks, Reporter()) == shards_dir("tiny", ranks)
    whole = load_file(quantized_dir("tiny") / "model.safetensors")
    assert ("lm_head.weight" in whole) is not tied
    one = load_file(shards_dir("tiny", 1) / "rank0.safetensors")
    assert whole.keys() == one.keys()
    assert all(torch.equal(whole[name], one[name]) for name in whole)
    manifest = load_manifest(shards_dir("tiny", 2), verify="sha256", kind="llama-int8-shards", ranks=2)
    assert manifest.padding is not None
    assert (manifest.padding.padded_query_heads, manifest.padding.padded_kv_heads) == (12, 4)
    assert manifest.files["rank1.safetensors"].tensors is not None
    name = "model.layers.1.self_attn.o_proj.weight"
    parts = [load_file(shards_dir("tiny", 2) / f"rank{rank}.safetensors") for rank in range(2)]
    assert torch.equal(torch.cat([part[name] for part in parts], dim=1)[:, : 9 * 4], whole[name])
    assert not parts[1][name][:, 3 * 4 :].any()
    with safe_open(shards_dir("tiny", 2) / "rank1.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt", "rank": "1", "ranks": "2"}
    assert json.loads((shards_dir("tiny", 2) / "config.json").read_text())["model_type"] == "llama"
    assert (shards_dir("tiny", 2) / "tokenizer.json").exists()


def test_second_call_builds_nothing(own_home: Path, make_model) -> None:
    import_llm(make_model(LlamaShape(1, 8, 2, 1, 4, 8, 16, True)), "tiny", Reporter())
    first = (ensure_shards("tiny", 2, Reporter()) / "manifest.json").stat().st_ino
    assert (ensure_shards("tiny", 2, Reporter()) / "manifest.json").stat().st_ino == first
