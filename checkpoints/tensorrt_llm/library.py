"""The names of TensorRT-LLM that building needs, probed before anything expensive starts.

1.2.1 could not be read line by line when this was written, so nothing is taken on trust: every option used has to be
in the installed signature or model, and what differs is named.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from commentary_llm.artifacts.machine import TENSORRT_LLM_VERSION
from commentary_llm.generation.tensorrt_llm.installed import find, import_library
from commentary_llm.ground.errors import ConfigError

BUILD_OPTIONS = (
    "max_batch_size",
    "max_input_len",
    "max_seq_len",
    "max_num_tokens",
    "max_beam_width",
    "plugin_config",
    "output_timing_cache",
)
PLUGIN_OPTIONS = (
    "gemm_plugin",
    "context_fmha",
    "paged_kv_cache",
    "remove_input_padding",
    "use_paged_context_fmha",
    "tokens_per_block",
    "reduce_fusion",
    "use_fused_mlp",
)
_MAPPING_OPTIONS = ("world_size", "rank", "tp_size", "gpus_per_node")
_CONVERT_OPTIONS = ("hf_model_or_dir", "dtype", "mapping", "quant_config")
_QUANTIZE_OPTIONS = ("dtype", "mapping", "quant_config", "device", "calib_dataset")
_QUANT_OPTIONS = ("quant_algo", "smoothquant_val")


@dataclass(frozen=True)
class BuilderLibrary:
    """TensorRT-LLM as `convert` uses it."""

    build_config: Any
    build: Any
    mapping: Any
    model: Any  # LLaMAForCausalLM
    quant_config: Any
    quant_algo: Any
    plugin_config: Any
    load_calibration: Any  # None where the library keeps it elsewhere


def builder_library() -> BuilderLibrary:
    """Imports and probes what building needs. Raises ConfigError that lists every name and option that is missing."""
    import_library()
    library = BuilderLibrary(
        build_config=find("tensorrt_llm.builder", "BuildConfig"),
        build=find("tensorrt_llm.builder", "build"),
        mapping=find("tensorrt_llm.mapping", "Mapping"),
        model=find("tensorrt_llm.models", "LLaMAForCausalLM"),
        quant_config=find("tensorrt_llm.models.modeling_utils", "QuantConfig"),
        quant_algo=find("tensorrt_llm.quantization", "QuantAlgo"),
        plugin_config=find("tensorrt_llm.plugin", "PluginConfig"),
        load_calibration=find("tensorrt_llm.models.convert_utils", "load_calib_dataset"),
    )
    faults = _missing("BuildConfig", _options_of(library.build_config), BUILD_OPTIONS)
    faults += _missing("PluginConfig", _options_of(library.plugin_config), PLUGIN_OPTIONS)
    faults += _missing("QuantConfig", _options_of(library.quant_config), _QUANT_OPTIONS)
    faults += _missing("Mapping", _options_of(library.mapping), _MAPPING_OPTIONS)
    faults += _missing(
        "LLaMAForCausalLM.from_hugging_face", _options_of(library.model.from_hugging_face), _CONVERT_OPTIONS
    )
    faults += _missing("LLaMAForCausalLM.quantize", _options_of(library.model.quantize), _QUANTIZE_OPTIONS)
    faults += [
        f"QuantAlgo has no {name}"
        for name in ("W8A16", "W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN")
        if not hasattr(library.quant_algo, name)
    ]
    if faults:
        raise ConfigError(
            f"the installed tensorrt_llm differs from {TENSORRT_LLM_VERSION} as this program knows it: "
            f"{'; '.join(faults)}"
        )
    return library


def _options_of(target: Any) -> set[str] | None:
    """Names a callable or pydantic model takes; None when it takes any (`Mapping.__new__` hands its arguments on)."""
    fields = getattr(target, "model_fields", None)
    if fields:  # pydantic drops unknown options in silence: its signature alone would not tell
        return set(fields)
    callables = [target]
    if inspect.isclass(target):  # the class that has the options may stand behind another one that passes them on
        callables = [vars(base)["__init__"] for base in target.__mro__ if "__init__" in vars(base)]
        callables.append(target)
    names: set[str] = set()
    open_ended = False
    for each in callables:
        try:
            parameters = inspect.signature(each).parameters.values()
        except (TypeError, ValueError):
            continue
        names |= {parameter.name for parameter in parameters}
        open_ended |= any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    return None if open_ended and len(names) <= 3 else names


def _missing(owner: str, found: set[str] | None, wanted: Iterable[str]) -> list[str]:
    if found is None:
        return []
    return [f"{owner} has no option {name}" for name in wanted if name not in found]
