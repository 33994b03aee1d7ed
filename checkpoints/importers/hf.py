"""Local Hugging Face directory of a LLaMA-family model (one safetensors file or several) -> one validated directory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import safe_open

from checkpoints.tensors import TensorWriter
from commentary_llm.artifacts.llama import TOKENIZER_FILES, check_tensors, read_config, shape_of
from commentary_llm.artifacts.tensors import TensorSpec, read_specs
from commentary_llm.ground.errors import ArtifactError

_INDEX_FILE = "model.safetensors.index.json"
_OPTIONAL_ROTARY = ".rotary_emb.inv_freq"  # a buffer that old conversions saved; recomputed from the configuration


def weight_files(source: Path) -> list[Path]:
    """The safetensors files of a model directory, as its index lists them. Raises ArtifactError when none are there."""
    single, index = source / "model.safetensors", source / _INDEX_FILE
    if index.exists():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError) as error:
            raise ArtifactError(f"{index} is damaged ({error}); copy the model again") from error
        missing = [name for name in names if not (source / name).is_file()]
        if missing:
            raise ArtifactError(f"{source}: {_INDEX_FILE} lists files that are missing: {', '.join(missing)}")
        return [source / name for name in names]
    if single.exists():
        return [single]
    pickled = sorted(path.name for path in source.glob("pytorch_model*.bin"))
    hint = f"; {pickled[0]} is a pickle, convert it to safetensors first" if pickled else ""
    raise ArtifactError(f"{source} has neither model.safetensors nor {_INDEX_FILE}{hint}")


def import_hf(source: Path, target: Path, advance: Callable[[int], None] | None = None) -> dict[str, object]:
    """Writes config, tokenizer and one `model.safetensors` of the model in `source` into the empty folder `target`.

    Tensors keep their dtype and are copied one at a time; `advance` is told the bytes done. Raises ConfigError for a
    model that the engine does not run and ArtifactError for one that is damaged or incomplete.
    """
    config = read_config(source)
    shape = shape_of(config, str(source))
    place: dict[str, Path] = {}
    found: dict[str, TensorSpec] = {}
    for path in weight_files(source):
        for name, spec in read_specs(path).items():
            if name.endswith(_OPTIONAL_ROTARY) or (name == "lm_head.weight" and shape.tied):
                continue
            if name in place:
                raise ArtifactError(f"{source}: tensor {name} is in both {place[name].name} and {path.name}")
            place[name], found[name] = path, spec
    check_tensors(found, shape, str(source))
    odd = {name: spec.dtype for name, spec in found.items() if spec.dtype not in ("F32", "F16", "BF16")}
    if odd:
        name, dtype = next(iter(odd.items()))
        raise ArtifactError(f"{source}: tensor {name} is {dtype}; expected F32, F16 or BF16 weights")
    specs = {name: found[name] for name in shape.tensors()}
    with TensorWriter(target / "model.safetensors", specs) as writer:
        for name, spec in specs.items():
            with safe_open(place[name], framework="pt") as weights:
                writer.write(name, weights.get_tensor(name))
            if advance:
                advance(spec.size_bytes)
    shutil.copyfile(source / "config.json", target / "config.json")
    for name in TOKENIZER_FILES:
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)
    if not any((target / name).exists() for name in ("tokenizer.json", "tokenizer.model")):
        raise ArtifactError(f"{source} has no tokenizer.json or tokenizer.model; copy the tokenizer beside the weights")
    dtypes = {spec.dtype for spec in specs.values()}
    return {"source_files": [path.name for path in weight_files(source)], "dtype": "/".join(sorted(dtypes))}
