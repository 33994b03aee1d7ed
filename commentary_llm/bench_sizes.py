"""`python -m commentary_llm bench --random-weights`: the language model alone, of any sizes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from commentary_llm.bench_output import machine, print_rows
from commentary_llm.config import EngineConfig, engine_options
from commentary_llm.errors import ConfigError
from commentary_llm.report.files import write_text_atomically

if TYPE_CHECKING:
    from mpi4py import MPI

_KNOWN_SIZES: dict[str, dict[str, Any]] = {
    "llama-7b": {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 32000,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
    },
}


def run_bench_sizes(args: argparse.Namespace, comm: MPI.Comm | None) -> int:
    """Runs it on every rank; rank 0 prints the results, last line JSON. Raises CommentaryError."""
    from commentary_llm.generation.torch_backend.backend import TorchBackendConfig
    from commentary_llm.generation.torch_backend.bench import bench_sizes
    from commentary_llm.generation.torch_backend.config import model_config

    if args.repeats < 1:
        raise ConfigError(f"--repeats is {args.repeats}, expected 1 or more")
    config = EngineConfig.build(**engine_options(args))
    ranks = comm.Get_size() if comm is not None else 1
    known = _KNOWN_SIZES.get(args.random_weights)
    sizes = known if known is not None else _read_sizes(Path(args.random_weights))
    torch_config = TorchBackendConfig(
        Path(args.random_weights), config.compute_dtype, config.device, threads=config.llm_threads
    )
    model = model_config(sizes, ranks, args.random_weights)
    found = bench_sizes(torch_config, model, args.random_weights, comm, args.repeats)
    if found is None:
        return 0
    results = {"what": "bench, random weights", **machine(), "ranks": ranks, "sizes": args.random_weights, **found}
    console = Console(stderr=True)
    console.print(
        f"floor {found['floor_ms_per_step']:.2f} ms a step: {found['bandwidth_gb_s']:.0f} GB/s", highlight=False
    )
    rows = [
        (f"{name.replace('_', ' ')}, {size}", figures, "")
        for name in ("decode", "event_first", "event", "prefill")
        for size, figures in found[name].items()
    ]
    print_rows(rows, console)
    text = json.dumps(results)
    if args.out is not None:
        write_text_atomically(args.out, text + "\n")
    print(text, flush=True)
    return 0


def _read_sizes(path: Path) -> dict[str, Any]:
    try:
        sizes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"--random-weights is {str(path)!r}, expected {', '.join(_KNOWN_SIZES)} or a config.json: {error}"
        ) from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from None
    return sizes
