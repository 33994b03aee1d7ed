"""The model folder as TensorRT-LLM's converter has to see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from commentary_llm.artifacts.llama import LlamaShape, read_config, shape_of
from commentary_llm.ground.errors import ConfigError

# The converter tests for these words anywhere in the path and then takes the model for another architecture.
_MISLEADING = ("llava", "vila", "exaone")


def check_divisible(shape: LlamaShape, ranks: int, where: str) -> None:
    """Raises ConfigError unless the heads divide between ranks as TensorRT-LLM wants; it pads none."""
    if shape.query_heads % ranks:
        raise ConfigError(
            f"{where}: {shape.query_heads} query heads do not divide by {ranks} ranks, as TensorRT-LLM needs; "
            "use another rank count, or backend 'torch', which pads heads"
        )
    if shape.kv_heads % ranks and ranks % shape.kv_heads:
        raise ConfigError(
            f"{where}: {shape.kv_heads} key/value heads and {ranks} ranks divide neither way, as TensorRT-LLM needs; "
            "use another rank count, or backend 'torch', which pads heads"
        )


def converter_config(config: dict[str, Any], where: str) -> dict[str, Any]:
    """`config.json` with the rotary embedding written so that transformers 4 reads it.

    transformers 5 keeps it in `rope_parameters`; release 4, which TensorRT-LLM 1.2 is built on, ignores that key and
    would take the base for 10,000: a model that loads and talks nonsense. Raises ConfigError for a rope type unknown.
    """
    given = dict(config)
    parameters = given.pop("rope_parameters", None)
    if parameters is not None:
        kind = parameters.get("rope_type", "default")
        if kind not in ("default", "llama3"):
            raise ConfigError(f"{where}: rope type is {kind!r}; engines are built for 'default' and 'llama3'")
        given["rope_theta"] = float(parameters.get("rope_theta", given.get("rope_theta", 10000.0)))
        scaling = {key: value for key, value in parameters.items() if key != "rope_theta"}
        given["rope_scaling"] = None if kind == "default" else scaling
    if "dtype" in given:
        given.setdefault("torch_dtype", given.pop("dtype"))
    return given


def link_source(model: Path, target: Path) -> None:
    """Makes `target` a folder of links to the model's files with a config.json of its own.

    `target` must not have been made yet. Raises ConfigError when its path would mislead the converter.
    """
    if misleading := [word for word in _MISLEADING if word in str(target).lower()]:
        raise ConfigError(
            f"the path {target} contains {misleading[0]!r}, which makes TensorRT-LLM take the model for another one; "
            "set COMMENTARY_HOME to a path without that word"
        )
    config = converter_config(read_config(model), str(model))
    target.mkdir()
    for path in model.iterdir():
        if path.is_file() and path.name not in ("config.json", "manifest.json"):
            (target / path.name).symlink_to(path.resolve())
    (target / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def check_converted(found: Any, config: dict[str, Any], ranks: int, where: str) -> None:
    """Raises ConfigError when the converter read other sizes or another rotary embedding than the model has.

    `found` is the library's model configuration.
    """
    shape = shape_of(config, where)
    expected = {
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.hidden,
        "num_attention_heads": shape.query_heads,
        "num_key_value_heads": shape.kv_heads,
        "head_size": shape.head_dim,
        "intermediate_size": shape.intermediate,
        "vocab_size": shape.vocabulary,
        "rotary_base": float(config.get("rope_theta", 10000.0)),
        "norm_epsilon": float(config.get("rms_norm_eps", 1e-6)),
    }
    faults = [
        f"{name} {getattr(found, name, None)}, expected {value}"
        for name, value in expected.items()
        if getattr(found, name, None) != value
    ]
    scaling, wanted = getattr(found, "rotary_scaling", None), config.get("rope_scaling")
    if bool(scaling) != bool(wanted):
        faults.append(f"rotary_scaling {scaling}, expected {wanted}")
    if found.mapping.tp_size != ranks:
        faults.append(f"tp_size {found.mapping.tp_size}, expected {ranks}")
    if faults:
        raise ConfigError(f"{where}: TensorRT-LLM read the model differently: {'; '.join(faults)}")
