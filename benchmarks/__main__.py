"""`python -m benchmarks NAME`: runs a benchmark on the ranks that mpirun started, or starts them itself.

The last line of the output is the result as JSON; what goes on meanwhile is said on standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import registry
from benchmarks.harness import restart_on_ranks
from commentary_llm.ground.errors import CommentaryError, ConfigError, ExitCode, exit_code_of
from commentary_llm.ground.world import leave, world


def _parser(benchmarks: dict[str, registry.Benchmark]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures speed.")
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, benchmark in benchmarks.items():
        options = names.add_parser(name, help=benchmark.help, description=f"Measures {benchmark.help}.")
        options.add_argument(
            "--ranks",
            type=int,
            help=f"ranks to start with mpirun (default: {benchmark.ranks}); under mpirun its own are used",
        )
        options.add_argument("--out", type=Path, metavar="FILE", help="also write the JSON here")
        benchmark.add_options(options)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or that of the error, which is said on standard error."""
    argv = list(sys.argv[1:] if argv is None else argv)
    comm = world()
    try:
        named = registry.find(argv[0]) if argv else None
        args = _parser(registry.everything() if named is None else {argv[0]: named}).parse_args(argv)
        benchmark = named or registry.find(args.name)
        assert benchmark is not None
        if args.ranks is not None and args.ranks < 1:
            raise ConfigError(f"--ranks is {args.ranks}, expected 1 or more")
        if comm is not None and args.ranks not in (None, comm.Get_size()):
            raise ConfigError(
                f"--ranks is {args.ranks}, but mpirun has started {comm.Get_size()}; leave one of them out"
            )
        ranks = args.ranks or benchmark.ranks
        if comm is None and ranks > 1:
            restart_on_ranks(ranks, ["-m", "benchmarks", *argv], backend=vars(args).get("--backend"))
        return benchmark.run(args, comm)
    except CommentaryError as error:
        message = str(error)
        code = exit_code_of(error)
    except ModuleNotFoundError as error:
        message = f"the package {error.name} is missing; install it with pip and start again"
        code = ExitCode.FAILED
    except KeyboardInterrupt:
        message, code = "interrupted; nothing was published", ExitCode.INTERRUPTED
    if comm is None or comm.Get_rank() == 0:  # the others fail with it, and their words would only be its echo
        print(f"error: {message}", file=sys.stderr, flush=True)
        if comm is not None and comm.Get_size() > 1 and code != ExitCode.BAD_INPUT:
            comm.Abort(code)  # they may be waiting for this one; what is wrong with the options they see themselves
    return code


if __name__ == "__main__":
    leave(main)
