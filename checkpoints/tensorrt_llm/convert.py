"""One rank's engine: the model converted to INT8 on this rank's GPU, then built.

The INT8 layout of W8A16 depends on the GPU that converts, so conversion and building happen on the GPU that will
serve, in one process a rank. SmoothQuant needs activations of the whole model: rank 0 quantises for all, then each rank
builds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from checkpoints.tensorrt_llm.library import BuilderLibrary
from checkpoints.tensorrt_llm.source import check_converted
from commentary_llm.artifacts.machine import Gpu
from commentary_llm.artifacts.tensorrt_llm import EngineOptions, rank_file
from commentary_llm.ground.errors import ConfigError, EngineError

TOKENS_PER_BLOCK = 32  # of the paged KV cache; a prefix is reused in whole blocks
SMOOTHQUANT_STRENGTH = 0.5  # how far activations' outliers move into the weights (Xiao et al. 2023, alpha)
_CHECKED = ("use_paged_context_fmha", "reduce_fusion", "tokens_per_block")  # in the built engine's configuration
_SWITCH = {"enable": True, "disable": False}  # the other way in which the library writes them
_DTYPE = "float16"  # of activations and KV cache: an INT8 cache would switch prefix reuse off


def check_gpu(gpu: Gpu) -> None:
    """Raises ConfigError for GPUs on which the library builds no INT8 engines."""
    if gpu.sm < 80:
        raise ConfigError(f"{gpu.name} (compute capability {gpu.compute_capability}) is too old; expected 8.0 or newer")
    if 100 <= gpu.sm < 120:
        raise ConfigError(
            f"{gpu.name} (compute capability {gpu.compute_capability}): TensorRT-LLM builds no INT8 engines for it; "
            "Ampere, Ada and Hopper GPUs serve, or backend 'torch'"
        )


def quant_config(library: BuilderLibrary, options: EngineOptions) -> Any:
    """The library's quantisation settings."""
    if options.quantization == "w8a16":
        return library.quant_config(quant_algo=library.quant_algo.W8A16)
    algorithm = library.quant_algo.W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN
    return library.quant_config(quant_algo=algorithm, smoothquant_val=SMOOTHQUANT_STRENGTH)


def mapping_of(library: BuilderLibrary, rank: int, ranks: int, gpus_per_node: int) -> Any:
    """Which part of the model a rank holds."""
    return library.mapping(world_size=ranks, rank=rank, tp_size=ranks, gpus_per_node=gpus_per_node)


def smooth_quantize(
    library: BuilderLibrary, options: EngineOptions, source: Path, calibration: Path, target: Path, mapping: Any
) -> None:
    """Writes SmoothQuant checkpoints of all ranks to `target`; runs on rank 0 alone."""
    library.model.quantize(
        str(source),
        str(target),
        dtype=_DTYPE,
        mapping=mapping,
        quant_config=quant_config(library, options),
        device="cuda",
        calib_dataset=str(calibration),
    )
    missing = [rank for rank in range(mapping.tp_size) if not (target / f"rank{rank}.safetensors").is_file()]
    if missing:
        raise EngineError(f"SmoothQuant left no checkpoint in {target} for ranks {missing}")


def build_engine(
    library: BuilderLibrary,
    options: EngineOptions,
    *,
    source: Path,
    checkpoint: Path | None,
    config: dict[str, Any],
    out: Path,
    scratch: Path,
    rank: int,
    ranks: int,
    gpus_per_node: int,
) -> None:
    """Writes `rank{rank}.engine` (and, on rank 0, `config.json`) to `out`.

    `checkpoint`: a quantised one, else the model in `source` is quantised here. Raises ConfigError when the library
    read the model differently, EngineError when it built something else than asked.
    """
    mapping = mapping_of(library, rank, ranks, gpus_per_node)
    if checkpoint is None:
        model = library.model.from_hugging_face(
            str(source), dtype=_DTYPE, mapping=mapping, quant_config=quant_config(library, options)
        )
    else:
        model = library.model.from_checkpoint(str(checkpoint), rank=rank)
    check_converted(model.config, config, ranks, str(source))
    plugins = library.plugin_config(**plugin_options(options, ranks))
    build_config = library.build_config(
        max_batch_size=options.max_batch_size,
        max_input_len=options.max_seq_len,
        max_seq_len=options.max_seq_len,
        max_num_tokens=options.max_num_tokens,
        max_beam_width=1,
        plugin_config=plugins,
        output_timing_cache=str(scratch / f"timing-rank{rank}.cache"),  # the default would be the working directory
    )
    library.build(model, build_config).save(str(out))
    if not (out / rank_file(rank)).is_file():
        raise EngineError(f"the builder left no {rank_file(rank)} in {out}")
    if rank == 0:
        check_built(out, options, ranks)


def plugin_options(options: EngineOptions, ranks: int) -> dict[str, Any]:
    """Options for low latency at small batches; unknown ones would be dropped in silence, see `check_built`."""
    return {
        "gemm_plugin": "auto",  # of what is not quantised: the output projection
        "context_fmha": True,
        "paged_kv_cache": True,
        "remove_input_padding": True,
        "use_paged_context_fmha": True,  # prefix reuse and chunked prompts need it
        "tokens_per_block": TOKENS_PER_BLOCK,
        # all-reduce, residual and norm in one kernel; the norm of SmoothQuant has to write INT8, which it cannot
        "reduce_fusion": ranks > 1 and options.quantization == "w8a16",
        "use_fused_mlp": False,  # for unquantised and FP8 models alone
    }


def check_built(out: Path, options: EngineOptions, ranks: int) -> None:
    """Raises EngineError when the engine's own configuration differs from what was asked for."""
    try:
        built = json.loads((out / "config.json").read_text(encoding="utf-8"))
        build_config, mapping = built["build_config"], built["pretrained_config"]["mapping"]
        plugins = build_config["plugin_config"]
        found = {
            "tp_size": mapping["tp_size"],
            "max_batch_size": build_config["max_batch_size"],
            "max_seq_len": build_config["max_seq_len"],
            "max_num_tokens": build_config["max_num_tokens"],
            **{name: _SWITCH.get(plugins[name], plugins[name]) for name in _CHECKED},
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineError(f"{out}/config.json of the built engine cannot be read: {error!r}") from error
    asked = plugin_options(options, ranks)
    expected = {
        "tp_size": ranks,
        "max_batch_size": options.max_batch_size,
        "max_seq_len": options.max_seq_len,
        "max_num_tokens": options.max_num_tokens,
        **{name: asked[name] for name in _CHECKED},
    }
    faults = [
        f"{name} is {found[name]}, {expected[name]} was asked for" for name in found if found[name] != expected[name]
    ]
    if faults:
        raise EngineError(f"the builder made another engine than asked: {'; '.join(faults)}")
