"""`python -m benchmarks sizes`: the language model alone, of any sizes and with random weights."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks.harness import machine, print_rows, publish
from benchmarks.registry import Benchmark
from benchmarks.torch_sizes import bench_sizes
from commentary_llm.generation.torch.backend import TorchBackendConfig
from commentary_llm.generation.torch.config import model_config
from commentary_llm.generation.torch.sizes import KNOWN_SIZES
from commentary_llm.ground.errors import ConfigError

if TYPE_CHECKING:
    from mpi4py import MPI


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sizes", metavar="SIZES", help=f"{', '.join(KNOWN_SIZES)}, or the path of a config.json")
    parser.add_argument("--repeats", type=int, default=30, help="runs a figure (default: 30)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute (default: cpu)")
    parser.add_argument("--llm-threads", type=int, default=1, help="CPU threads on each rank (default: 1)")


def run_sizes(args: argparse.Namespace, comm: MPI.Comm | None) -> int:
    """Runs on every rank; rank 0 publishes the results. Raises CommentaryError."""
    for name in ("repeats", "llm_threads"):
        if getattr(args, name) < 1:
            raise ConfigError(f"--{name.replace('_', '-')} is {getattr(args, name)}, expected 1 or more")
    ranks = comm.Get_size() if comm is not None else 1
    config = TorchBackendConfig(Path(args.sizes), device=args.device, threads=args.llm_threads)
    found = bench_sizes(config, model_config(_sizes(args.sizes), ranks, args.sizes), args.sizes, comm, args.repeats)
    if found is None:
        return 0
    results = {"what": "sizes, random weights", **machine(), "ranks": ranks, "sizes": args.sizes, **found}
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
            f"the sizes are {given!r}, expected {', '.join(KNOWN_SIZES)} or a config.json: {error}"
        ) from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from None
    return sizes


BENCHMARK = Benchmark("a language model of given sizes, with random weights", _add_options, run_sizes)
