"""The language model alone, of any sizes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks.output import machine, print_rows, publish
from benchmarks.torch_sizes import bench_sizes
from commentary_llm.generation.torch.backend import TorchBackendConfig
from commentary_llm.generation.torch.config import model_config
from commentary_llm.generation.torch.sizes import KNOWN_SIZES
from commentary_llm.ground.errors import ConfigError
from commentary_llm.settings import Settings

if TYPE_CHECKING:
    from mpi4py import MPI


def run_bench_sizes(args: argparse.Namespace, settings: Settings, comm: MPI.Comm | None) -> int:
    """Runs it on every rank; rank 0 prints the results, last line JSON. Raises CommentaryError."""
    if args.repeats < 1:
        raise ConfigError(f"--repeats is {args.repeats}, expected 1 or more")
    options = settings.engine_config().station.model_options
    ranks = comm.Get_size() if comm is not None else 1
    torch_config = TorchBackendConfig(
        Path(args.random_weights), options.compute_dtype, options.device, threads=options.threads
    )
    model = model_config(_sizes(args.random_weights), ranks, args.random_weights)
    found = bench_sizes(torch_config, model, args.random_weights, comm, args.repeats)
    if found is None:
        return 0
    results = {"what": "bench, random weights", **machine(), "ranks": ranks, "sizes": args.random_weights, **found}
    console = Console(stderr=True)
    floor = found["floor_ms_per_step"]
    console.print(f"reading the weights alone: {floor:.2f} ms a step", highlight=False)
    rows = [
        (f"{name.replace('_', ' ')}, {size}", figures, "")
        for name in ("decode", "event_first", "event", "prefill")
        for size, figures in found[name].items()
    ]
    print_rows(rows, console)
    publish(results, args.out)
    return 0


def _sizes(given: str) -> dict[str, Any]:
    """Known by their name, or a config.json's."""
    if given in KNOWN_SIZES:
        return KNOWN_SIZES[given]
    path = Path(given)
    try:
        sizes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"--random-weights is {given!r}, expected {', '.join(KNOWN_SIZES)} or a config.json: {error}"
        ) from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from None
    return sizes
