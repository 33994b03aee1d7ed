"""Symmetric per-output-channel INT8, done once for the whole model before any sharding."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open

from checkpoints.recipes import QUANTIZE
from checkpoints.tensors import TensorWriter
from checkpoints.writer import tool_versions, write_artifact
from commentary_llm.artifacts.llama import TOKENIZER_FILES, check_tensors, read_config, shape_of
from commentary_llm.artifacts.manifest import Upstream, load_manifest, quantized_dir
from commentary_llm.artifacts.tensors import TensorSpec, read_specs
from commentary_llm.ground.home import models_dir

if TYPE_CHECKING:
    import torch

WEIGHTS_FILE = "model.safetensors"
INT8_MAX = 127
_BLOCK_ELEMENTS = 1 << 24  # rows are quantised in blocks of this size: 64 MiB of float32 at a time


def quantize_rows(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """INT8 [out, in] and float32 scales [out] with `weight ≈ int8 * scale`, rounded to nearest.

    `weight` is floating point [out, in]. The largest magnitude of a row maps to 127, so no element is off by more than
    half its row's scale. A row of zeros gets scale 1. Every row depends on itself alone: quantising before or after
    rows are split gives the same bits.
    """
    import torch

    values = torch.empty(weight.shape, dtype=torch.int8)
    scales = torch.empty(weight.shape[0], dtype=torch.float32)
    rows = max(1, _BLOCK_ELEMENTS // max(1, weight.shape[1]))
    for start in range(0, weight.shape[0], rows):
        block = weight[start : start + rows].to(torch.float32)
        scale = block.abs().amax(dim=1) / INT8_MAX
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        scales[start : start + rows] = scale
        values[start : start + rows] = (block / scale[:, None]).round_().clamp_(-INT8_MAX, INT8_MAX).to(torch.int8)
    return values, scales


def dequantize_rows(values: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """float32 [out, in] of INT8 [out, in] and scales [out]."""
    import torch

    return values.to(torch.float32) * scales[:, None]


def quantized_specs(shapes: dict[str, tuple[int, ...]]) -> dict[str, TensorSpec]:
    """Tensors of a quantised file: matrices become INT8 with `…_scale` beside them, vectors stay float32."""
    specs: dict[str, TensorSpec] = {}
    for name, shape in shapes.items():
        if len(shape) == 2:
            specs[name] = TensorSpec(shape, "I8")
            specs[f"{name}_scale"] = TensorSpec((shape[0],), "F32")
        else:
            specs[name] = TensorSpec(shape, "F32")
    return specs


def copy_texts(source: Path, target: Path) -> None:
    """Copies the configuration and the tokenizer's files."""
    for name in ("config.json", *TOKENIZER_FILES):
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)


def quantize_model(model: str, advance: Callable[[int], None] | None = None) -> Path:
    """Quantises the imported `model` into `quantized_dir(model)`; `advance` is told the source bytes done.

    Holds one tensor at a time. Raises ArtifactError when the import is missing, damaged or not LLaMA.
    """
    import torch

    source, target = models_dir() / model, quantized_dir(model)
    manifest = load_manifest(source, kind="llama-hf")
    shape = shape_of(read_config(source), str(source))
    found = read_specs(source / WEIGHTS_FILE)
    check_tensors(found, shape, str(source / WEIGHTS_FILE))
    with (
        write_artifact(
            target,
            kind="llama-int8",
            name=model,
            command=f"python -m checkpoints quantize --model {model}",
            recipe=QUANTIZE,
            sources=manifest.sources,
            built_from=(Upstream(kind="llama-hf", name=model, digest=manifest.digest),),
            dtype="int8",
            tools=tool_versions("torch", "safetensors"),
        ) as artifact,
        safe_open(source / WEIGHTS_FILE, framework="pt") as weights,
        TensorWriter(artifact.directory / WEIGHTS_FILE, quantized_specs(shape.tensors())) as writer,
    ):
        copy_texts(source, artifact.directory)
        for name in shape.tensors():
            tensor = weights.get_tensor(name)
            if tensor.dim() == 2:
                values, scales = quantize_rows(tensor)
                writer.write(name, values)
                writer.write(f"{name}_scale", scales)
            else:
                writer.write(name, tensor.to(torch.float32))
            if advance:
                advance(found[name].size_bytes)
    return target
