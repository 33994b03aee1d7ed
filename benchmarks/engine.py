"""`python -m benchmarks engine`: one match's engine, stage by stage, beside what this machine could do at best."""

from __future__ import annotations

import argparse
import contextlib
import resource
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr
from rich.console import Console

from asr_tts.audio.levels import first_audible
from asr_tts.interfaces import Recognizer, Synthesizer
from benchmarks.generation import bench_generator, copy_bandwidth, read_bandwidth
from benchmarks.harness import machine, print_rows, publish, steps, summary_ms
from benchmarks.peers import bench_llama_cpp, bench_transformers, check_llama_cpp
from benchmarks.registry import Benchmark
from benchmarks.settings import add_engine_options, engine_settings
from commentary_llm.engine import CommentaryEngine
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.errors import CommentaryError
from commentary_llm.ground.home import models_dir
from commentary_llm.ground.world import go_ahead
from commentary_llm.match.feeds.builtin import builtin_match_path
from commentary_llm.match.feeds.jsonl import read_jsonl
from commentary_llm.match.feeds.schedule import StreamTimes
from commentary_llm.settings import EngineConfig

if TYPE_CHECKING:
    from mpi4py import MPI

_CLAUSES = (
    "Goal! Messi!",
    "Mbappé scores from the spot!",
    "Lloris keeps it out, and it stays two-nil.",
    "A booking for Paredes.",
    "France send on Konaté in place of Varane.",
    "They are back level, and it's Mbappé!",
    "Corner, Argentina.",
    "Half-time, and Argentina lead two-nil.",
)
_CLAUSE_ROUNDS = 6
_ASR_ROUNDS = 5
_WAIT_S = 30.0
_WARM_UP_CUES = 3
_QUIET_S = 30.0  # stream time between two cues, so that none waits for the voice


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cues", type=int, default=40, help="cues timed end to end (default: 40)")
    parser.add_argument("--peers", action="store_true", help="also time transformers on the same model")
    parser.add_argument("--gguf", type=Path, metavar="FILE", help="also time llama.cpp on this model file")
    add_engine_options(parser)


def run_engine(args: argparse.Namespace, comm: MPI.Comm | None) -> int:
    """Runs on every rank; rank 0 publishes the results. Raises CommentaryError."""
    settings = engine_settings(args)
    if comm is not None and comm.Get_rank() > 0:
        if go_ahead(comm):
            return 0
        with contextlib.suppress(SystemExit):  # raised when rank 0 closes the engine
            CommentaryEngine.start(settings.engine_config(), comm=comm)
        comm.gather(_peak_memory_bytes())
        return 0
    try:
        if args.gguf is not None:
            check_llama_cpp(args.gguf)
        recording = read_jsonl(builtin_match_path())
        config = settings.engine_config(recording.info, listen=True)
    except CommentaryError:
        go_ahead(comm, 1)
        raise
    go_ahead(comm)
    console = Console(stderr=True)
    ranks = comm.Get_size() if comm is not None else 1
    times = StreamTimes.lay_out(list(recording.events))
    clock = StreamClock()
    with CommentaryEngine.start(config, comm=comm, clock=clock, progress=steps(console)) as engine:
        assert engine.recognizer is not None
        results: dict[str, Any] = {"what": "engine", **machine(), "ranks": ranks, "config": _config(config)}
        console.print("decode and prefill")
        results["generator"] = bench_generator(
            engine.generator,
            weight_bytes_per_rank=engine.generator.weight_bytes,
            bandwidth_per_rank=copy_bandwidth()
            if config.station.device_of("llm") == "cuda"
            else read_bandwidth(ranks) / ranks,
            batches=decode_batches(config),
        )
        console.print("voice and recogniser")
        results["voice"] = _bench_voice(engine.synthesizer)
        results["recognizer"] = _bench_recognizer(engine.recognizer, engine.synthesizer)
        console.print(f"{args.cues} cues of the built-in match, one at a time")
        results["cues"] = _bench_cues(engine, clock, list(recording.events), times, args.cues)
    memory = comm.gather(_peak_memory_bytes()) if comm is not None else [_peak_memory_bytes()]
    results["peak_memory_mb_by_rank"] = [round(value / 1e6) for value in memory or []]
    if args.peers or args.gguf is not None:
        console.print("other engines on the same model")
        model = models_dir() / config.station.llm.model
        dtypes = ("float32", "bfloat16") if args.peers else ()
        results["peers"] = [bench_transformers(model, dtype) for dtype in dtypes]
        results["peers"] += [bench_llama_cpp(args.gguf)] if args.gguf is not None else []
    _print_table(results, console)
    publish(results, args.out)
    return 0


def decode_batches(config: EngineConfig) -> list[int]:
    """Sizes of batches to time: those that the engine, opened with this configuration, decodes at once."""
    sizes = (1, 2, 4, 8) if config.station.device_of("llm") == "cuda" else (1, 4)
    return [size for size in sizes if size <= config.station.llm.max_batch]


def _bench_voice(synthesizer: Synthesizer) -> dict[str, Any]:
    """Clause given -> first PCM out, chunk with the first audible sample out; real-time factor of whole clauses."""
    first_pcm, audible, spent_s, sound_s = [], [], 0.0, 0.0
    for _ in range(_CLAUSE_ROUNDS):
        for clause in _CLAUSES:
            started, heard, chunks = perf_counter(), False, []
            for chunk in synthesizer.synthesize(clause):
                chunks.append(chunk.samples)
                if len(chunks) == 1:
                    first_pcm.append(perf_counter() - started)
                if not heard and first_audible(np.concatenate(chunks), chunk.sample_rate_hz) is not None:
                    heard = True
                    audible.append(perf_counter() - started)
                sound_s += chunk.duration_s
            spent_s += perf_counter() - started
    return {
        "what": synthesizer.description,
        "first_pcm": summary_ms(first_pcm),
        "first_audible": summary_ms(audible),
        "real_time_factor": round(spent_s / sound_s, 4),
    }


def _bench_recognizer(recognizer: Recognizer, synthesizer: Synthesizer) -> dict[str, Any]:
    """A window full of speech, the slow case: the decoder writes a token for every word."""
    speech = np.concatenate([chunk.samples for clause in _CLAUSES for chunk in synthesizer.synthesize(clause)])
    window = soxr.resample(speech, synthesizer.sample_rate_hz, 16_000)[:160_000]
    times = []
    for _ in range(_ASR_ROUNDS):
        started = perf_counter()
        recognizer.transcribe(window)
        times.append(perf_counter() - started)
    return {"what": recognizer.description, "window_s": len(window) / 16_000, "window": summary_ms(times)}


def _bench_cues(
    engine: CommentaryEngine, clock: StreamClock, events: list[Any], times: StreamTimes, limit: int
) -> dict[str, Any]:
    """Whole cues, one after the other with silence between: accepted -> text -> first audible sample -> last sample."""
    measured: dict[str, list[float]] = {}
    sources: dict[str, int] = {}
    warm_ups = _WARM_UP_CUES
    for event in events:
        clock.jump_to(max(times(event), clock.now_s() + _QUIET_S))
        record = engine.submit(event).result(_WAIT_S)
        if record is None or not record.text:
            continue
        if warm_ups:
            warm_ups -= 1
            continue
        sources[record.source] = sources.get(record.source, 0) + 1
        for name, value in record.timings_ms.items():
            measured.setdefault(name, []).append(value / 1e3)
        if sum(sources.values()) >= limit:
            break
    return {"sources": sources, **{name: summary_ms(values) for name, values in measured.items()}}


def _config(config: EngineConfig) -> dict[str, Any]:
    return config.groups.model_dump()


def _peak_memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _print_table(results: dict[str, Any], console: Console) -> None:
    generator = results["generator"]
    ceiling = generator["ceiling_ms_per_step"]
    rows = [
        (f"decode, batch {batch}", figures, f"ceiling {ceiling:.1f}") for batch, figures in generator["decode"].items()
    ]
    rows += [(f"prefill, {tokens} tokens", figures, "") for tokens, figures in generator["prefill"].items()]
    rows.append(("clause -> first PCM", results["voice"]["first_pcm"], ""))
    rows.append(("clause -> first audible", results["voice"]["first_audible"], ""))
    rows.append(("recogniser, 10 s window", results["recognizer"]["window"], ""))
    for name in ("text_done", "first_audible", "last_sample"):
        if name in results["cues"]:
            rows.append((f"cue -> {name.replace('_', ' ')}", results["cues"][name], ""))
    for peer in results.get("peers", []):
        rows.append((f"decode, {peer['what']}", peer["decode"]["1"], "peer"))
    print_rows(rows, console)
    console.print(f"peak memory by rank: {results['peak_memory_mb_by_rank']} MB", highlight=False)


BENCHMARK = Benchmark("an engine stage by stage, and one match's cues one at a time", _add_options, run_engine)
