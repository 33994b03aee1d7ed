"""Merges the shipped adapter into the import it was trained on: the model that the engine speaks with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors import safe_open

from checkpoints.finetune.lora import Adapter, load_adapter, merged
from checkpoints.quantize import WEIGHTS_FILE, copy_texts
from checkpoints.tensors import TensorWriter
from commentary_llm.artifacts.hashing import sha256_file
from commentary_llm.artifacts.llama import check_tensors, read_config, shape_of
from commentary_llm.artifacts.tensors import read_specs
from commentary_llm.ground.errors import ArtifactError


def merge_adapter(
    base: Path, adapter_file: Path, target: Path, advance: Callable[[int], None] | None = None
) -> dict[str, object]:
    """Writes the merged model into `target`, in the dtypes of `base`; returns what the manifest should keep.

    Holds one tensor at a time; `advance` is told the source bytes done. Raises ArtifactError when the adapter is
    damaged, was trained on other weights, or does not fit the model's shapes.
    """
    adapter = load_adapter(adapter_file)
    weights_file = base / WEIGHTS_FILE
    _check_base(adapter, adapter_file, weights_file)
    shape = shape_of(read_config(base), str(base))
    specs = read_specs(weights_file)
    check_tensors(specs, shape, str(weights_file))
    for name, (down, up) in adapter.pairs.items():
        expected = specs[name].shape if name in specs else None
        if (up.shape[0], down.shape[1]) != expected:
            raise ArtifactError(
                f"{adapter_file} changes {name} as a {up.shape[0]} x {down.shape[1]} matrix; {weights_file} has "
                f"{expected or 'no such tensor'}. Train the adapter on this model"
            )
    copy_texts(base, target)
    with safe_open(weights_file, framework="pt") as weights, TensorWriter(target / WEIGHTS_FILE, specs) as writer:
        for name, spec in specs.items():
            tensor = weights.get_tensor(name)
            if name in adapter.pairs:
                tensor = merged(tensor, *adapter.pairs[name], adapter.info.scale)
            writer.write(name, tensor)
            if advance:
                advance(spec.size_bytes)
    info = adapter.info
    return {"adapter": {"rank": info.rank, "alpha": info.alpha, "seed": info.seed, "recipe": info.recipe}}


def _check_base(adapter: Adapter, adapter_file: Path, weights_file: Path) -> None:
    found, expected = sha256_file(weights_file), adapter.info.base_sha256
    if found != expected:
        raise ArtifactError(
            f"{adapter_file} is stale: it was trained on {adapter.info.base_name} with SHA-256 {expected}, but "
            f"{weights_file} has {found}. Install the package again, or train a new adapter on this import with "
            "`python -m checkpoints.finetune.train`"
        )
