"""`python -m benchmarks matches`: different matches at once on one station, each in real time.

For each number of matches: both latencies of DESIGN section 9, the model's share, cues a second, threads and memory.
Then the same with one match fewer, while one opens that nobody has seen before; and what it gains to decode lines of
several matches in one batch.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks.batching import batching_gain
from benchmarks.feeds import FeedMaker
from benchmarks.figures import AUDIBLE_BAR_MS, ENOUGH, READY_BAR_MS, URGENT_BAR_MS
from benchmarks.harness import machine, print_rows, publish, steps
from benchmarks.registry import Benchmark
from benchmarks.settings import add_engine_options, engine_settings
from benchmarks.station_runs import LEAST_MINUTES, StationRuns
from commentary_llm.ends.loop import EndsLoop
from commentary_llm.ground.errors import CommentaryError, ConfigError
from commentary_llm.ground.world import go_ahead
from commentary_llm.station import Station

if TYPE_CHECKING:
    from mpi4py import MPI


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--counts", type=_counts, default=(1, 2, 4, 8), help="matches at once (default: 1,2,4,8)")
    parser.add_argument("--minutes", type=float, default=5.0, help="real time for each count (default: 5)")
    parser.add_argument(
        "--opening-minutes",
        type=float,
        default=10.0,
        help="at most, for opening one more match beside the others; 0 to leave that out (default: 10)",
    )
    parser.add_argument(
        "--batching-seconds",
        type=float,
        default=60.0,
        help="for each of two ways of decoding lines, 0 to leave that out (default: 60)",
    )
    parser.add_argument("--attempts", type=int, default=2, help="runs at most where the machine is noisy (default: 2)")
    parser.add_argument("--feed-seed", type=int, default=1, help="of the made-up matches (default: 1)")
    add_engine_options(parser)


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected numbers of matches, such as 1,2,4,8")
    return tuple(sorted(set(counts)))


def run_matches(args: argparse.Namespace, comm: MPI.Comm | None) -> int:
    """Runs on every rank; rank 0 publishes the results. Raises CommentaryError."""
    settings = engine_settings(args)
    config = settings.engine_config().station
    if comm is not None and comm.Get_rank() > 0:
        if go_ahead(comm):
            return 0
        comm.gather(os.getpid())
        with contextlib.suppress(SystemExit):  # raised when rank 0 closes the station
            Station.start(config, comm=comm)
        return 0
    try:
        for name, least in (("attempts", 1), ("minutes", LEAST_MINUTES)):
            if getattr(args, name) < least:
                raise ConfigError(f"--{name} is {getattr(args, name):g}, expected {least:g} or more")
        if 0 < args.opening_minutes < LEAST_MINUTES:
            raise ConfigError(
                f"--opening-minutes is {args.opening_minutes:g}, expected 0, or {LEAST_MINUTES:g} or more"
            )
        maker = FeedMaker(args.feed_seed)
        feeds = [maker.feed(max(args.minutes, args.opening_minutes)) for _ in range(max(args.counts))]
    except CommentaryError:
        go_ahead(comm, 1)
        raise
    go_ahead(comm)
    pids = comm.gather(os.getpid()) if comm is not None else [os.getpid()]
    console = Console(stderr=True)
    results: dict[str, Any] = {
        "what": "matches",
        **machine(),
        "ranks": len(pids or []),
        "minutes": args.minutes,
        "feed_seed": args.feed_seed,
        "bars_ms": {"first_ready": READY_BAR_MS, "first_audible": AUDIBLE_BAR_MS, "urgent": URGENT_BAR_MS},
        "config": settings.engine_config().groups.model_dump(mode="json"),
        "counts": {},
        "batching_gain": None,
    }
    with Station.start(config, comm=comm, progress=steps(console)) as station, EndsLoop() as loop:
        runs = StationRuns(station, loop, settings.match, pids or [], console)
        for count in args.counts:
            found = runs.measure(feeds[:count], args.minutes, args.attempts)
            results["counts"][str(count)] = found
            _print_count(count, found, console)
        results["memory_mb_per_further_match"] = memory_per_match(results["counts"])
        if args.opening_minutes > 0 and len(feeds) > 1:
            salt = secrets.token_hex(4)  # new words: no clip of them is kept anywhere
            another = maker.feed(args.opening_minutes, salt)
            found = runs.open_beside(feeds[:-1], another, args.opening_minutes)
            results["opened_beside"] = {"salt": salt, **found}
        if args.batching_seconds > 0:
            console.print("lines one at a time, and several in a batch")
            lines = min(config.writers, len(feeds))
            results["batching"] = batching_gain(
                station.generator,
                matches=len(feeds),
                lines=lines,
                candidates=settings.match.candidates,
                together=max(1, config.llm.max_batch // lines),
                seconds=args.batching_seconds,
            )
            results["batching_gain"] = results["batching"]["gain"]
    publish(results, args.out)
    return 0


def memory_per_match(counts: dict[str, Any]) -> dict[str, float] | None:
    """Megabytes of all ranks together that a further match takes, from the fewest matches to the most."""
    least, most = min(counts, key=int), max(counts, key=int)
    ranks = [*counts[least]["memory_by_rank"], *counts[most]["memory_by_rank"]]
    if least == most or None in ranks:
        return None

    def total(count: str, kind: str) -> float:
        return sum(rank[kind] for rank in counts[count]["memory_by_rank"])

    further = int(most) - int(least)
    return {kind: round((total(most, kind) - total(least, kind)) / further, 1) for kind in ranks[0]}


def _print_count(count: int, found: dict[str, Any], console: Console) -> None:
    rows = [
        (name.replace("_", " "), found[name], "few samples" if found[name]["count"] < ENOUGH else "")
        for name in (
            "first_ready",
            "first_audible_voice_free",
            "first_audible_urgent_voice_speaking",
            "first_audible_other_voice_speaking",
        )
    ]
    print_rows(rows, console)
    console.print(
        f"{count} at once: {found['spoken']} lines, the model's {found['model_share']}, {found['threads']} threads, "
        f"{found['memory_mb_by_rank']} MB, idle process late in {found['probe']['late_share']:.2%}",
        highlight=False,
        soft_wrap=True,
    )


BENCHMARK = Benchmark("different matches at once on one station, in real time", _add_options, run_matches)
