"""The command `engines build-llm`, run under mpirun with one process a rank."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from checkpoints.progress import Reporter
from commentary_llm.artifacts.tensorrt_llm import QUANTIZATIONS, EngineOptions
from commentary_llm.ground.errors import CommentaryError, ExitCode, exit_code_of
from commentary_llm.ground.home import LLM_MODEL
from commentary_llm.ground.world import world


def add_options(parser: argparse.ArgumentParser, positive: Callable[[str], int]) -> None:
    """The command's options; their defaults are those of `EngineOptions`."""
    default = EngineOptions()
    parser.add_argument("--model", default=LLM_MODEL, help=f"name of an imported model (default {LLM_MODEL})")
    parser.add_argument(
        "--quantization",
        choices=QUANTIZATIONS,
        default=default.quantization,
        help="w8a16: INT8 weights; w8a8: SmoothQuant, calibrated on this engine's prompts (default %(default)s)",
    )
    for name, help_text in (
        ("max_batch_size", "sequences decoded together"),
        ("max_seq_len", "tokens of prompt and completion together"),
        ("max_num_tokens", "tokens in one step"),
    ):
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=positive,
            default=getattr(default, name),
            metavar="N",
            help=f"{help_text} (default %(default)s)",
        )


def run(args: argparse.Namespace, reporter: Reporter) -> int:
    """Builds engines for as many ranks as mpirun started. Only rank 0 complains; all ranks fail together."""
    from checkpoints.tensorrt_llm.build import build_llm_engines

    comm = world()
    rank = comm.Get_rank() if comm is not None else 0
    try:
        options = EngineOptions(args.quantization, args.max_batch_size, args.max_seq_len, args.max_num_tokens)
        folder = build_llm_engines(args.model, options, comm, reporter)
    except CommentaryError as error:
        if rank == 0:
            print(f"error: {error}", file=sys.stderr, flush=True)
        return exit_code_of(error)
    if rank == 0:
        print(folder)
    return ExitCode.OK
