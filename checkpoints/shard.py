"""Cuts the quantised model into tensor-parallel shards; what does not divide is padded with zeros, which is exact.

Column-parallel (q, k, v, gate, up): rows and their scales are split. Row-parallel (o, down): columns are split, scales
stay whole. Embedding and lm_head: rows of the vocabulary are split. Norms: whole on every rank. A padded key/value head
comes with its whole group of query heads; padded rows have scale 1 and weight 0, and the columns of o_proj that read a
padded head are 0, so it adds nothing.

    rank 0                rank 1                  (9 query heads, 3 KV heads, 2 ranks -> 12 and 4)
    kv 0 1 | q 0…5        kv 2 [3] | q 6 7 8 [9…11]      [ ] = zeros
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

from checkpoints.quantize import WEIGHTS_FILE, copy_texts, quantized_specs
from checkpoints.recipes import SHARD
from checkpoints.tensors import TensorWriter
from checkpoints.writer import tool_versions, write_artifact
from commentary_llm.artifacts.llama import read_config, shape_of
from commentary_llm.artifacts.manifest import Upstream, load_manifest, quantized_dir
from commentary_llm.artifacts.rank_share import padding_for, rank_shape, split_axis
from commentary_llm.ground.home import shards_dir

if TYPE_CHECKING:
    import torch


def cut(source: Any, name: str, rank: int, size: int) -> torch.Tensor:
    """This rank's `size` rows or columns of a tensor, with zeros (scales: ones) past the tensor's end.

    `source` is anything sliceable with `get_shape()`, as `safe_open(...).get_slice` returns it: only the part asked for
    is read. Tensors that are not split come back whole.
    """
    import torch

    axis = split_axis(name)
    if axis is None:
        return source[:]
    extent = source.get_shape()[axis]
    start, stop = min(rank * size, extent), min((rank + 1) * size, extent)
    part: torch.Tensor = source[start:stop] if axis == 0 else source[:, start:stop]
    missing = size - (stop - start)
    if not missing:
        return part.contiguous()
    fill = torch.ones if name.endswith("_scale") else torch.zeros
    pad_shape = list(part.shape)
    pad_shape[axis] = missing
    return torch.cat([part, fill(pad_shape, dtype=part.dtype)], dim=axis)


def shard_model(model: str, ranks: int, advance: Callable[[int], None] | None = None) -> Path:
    """Writes `shards_dir(model, ranks)` from `quantized_dir(model)`; `advance` is told the bytes written.

    Raises ArtifactError when the quantised model is missing, damaged or stale, ConfigError when `ranks` < 1.
    """
    source, target = quantized_dir(model), shards_dir(model, ranks)
    shape = shape_of(read_config(source), str(source))
    padding = padding_for(shape, ranks)
    manifest = load_manifest(source, kind="llama-int8", command=f"python -m checkpoints quantize --model {model}")
    specs = quantized_specs(rank_shape(shape, ranks).tensors())
    with (
        write_artifact(
            target,
            kind="llama-int8-shards",
            name=model,
            command=f"python -m checkpoints shard --model {model} --ranks {ranks}",
            recipe=SHARD,
            sources=manifest.sources,
            built_from=(*manifest.built_from, Upstream(kind="llama-int8", name=model, digest=manifest.digest)),
            dtype="int8",
            tools=tool_versions("torch", "safetensors"),
            ranks=ranks,
            padding=padding,
        ) as artifact,
        safe_open(source / WEIGHTS_FILE, framework="pt") as weights,
    ):
        copy_texts(source, artifact.directory)
        for rank in range(ranks):
            path = artifact.directory / f"rank{rank}.safetensors"
            with TensorWriter(path, specs, {"rank": str(rank), "ranks": str(ranks)}) as writer:
                for name, spec in specs.items():
                    axis = split_axis(name)
                    size = spec.shape[axis] if axis is not None else 0
                    writer.write(name, cut(weights.get_slice(name), name, rank, size))
                    if advance:
                        advance(spec.size_bytes)
    return target
