"""The command line: `python -m commentary_llm replay | serve | evaluate | bench`."""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from commentary_llm.config import EngineConfig
from commentary_llm.ground.errors import ArtifactError, CommentaryError, ConfigError, ExitCode, InputError
from commentary_llm.ground.world import world
from commentary_llm.language.registry import DEFAULT_LANGUAGE, language, languages
from commentary_llm.match.feeds.providers import PROVIDERS


def _default(name: str) -> object:
    return EngineConfig.model_fields[name].default


def _kickoff(text: str) -> tuple[int, float]:
    period, _, at = text.partition("=")
    try:
        seconds = 0.0
        for part in at.split(":"):
            seconds = seconds * 60 + float(part)
        number = int(period)
    except ValueError:
        number, seconds = 0, 0.0
    if not 1 <= number <= 5 or not at:
        raise argparse.ArgumentTypeError(f"{text!r}: expected PERIOD=TIME, such as 2=1:02:30 or 2=3750")
    return number, seconds


def _engine_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("engine")
    for name, help_text in (
        ("backend", "language model backend: auto, torch or tensorrt_llm"),
        ("device", "where the torch backend computes: cpu or cuda"),
        ("llm", "language model, by its name in the cache"),
        ("asr", "speech recogniser, by name or folder"),
        ("tts", "voice, likewise"),
        ("language", f"what it speaks: {', '.join(languages())}"),
        ("persona", f"how it talks: {', '.join(language(DEFAULT_LANGUAGE).personas)}"),
        ("candidates", "completions decoded at once for each cue"),
        ("temperature", "0 is greedy"),
        ("seed", "random seed of the model's draws, of openers and templates"),
        ("llm-threads", "CPU threads of the language model on each rank"),
        ("speech-threads", "CPU threads of each speech network"),
        ("speech-runtime", "what runs recogniser and voice: onnxruntime, tensorrt or tensorrt_rtx"),
        ("speech-device", "where onnxruntime runs them: cpu or cuda"),
    ):
        default = _default(name.replace("-", "_"))
        group.add_argument(f"--{name}", type=type(default), default=default, help=f"{help_text} (default: {default})")
    group.add_argument(
        "--llm-engines", metavar="DIR", help="TensorRT-LLM engines (default: those of --llm in the cache, if there)"
    )
    group.add_argument(
        "--no-prepare",
        dest="prepare",
        action="store_false",
        help="no openers with their sound ready, no lines written ahead for what is likely to happen",
    )
    group.add_argument(
        "--speech-engines",
        metavar="DIR",
        help="engines of recogniser and voice for a TensorRT runtime, or their graphs for --speech-device cuda "
        "(default: those in the cache)",
    )


def file_options() -> dict[str, str]:
    """Every provider's file options: name -> help."""
    help_texts: dict[str, list[str]] = {}
    for name, provider in PROVIDERS.items():
        for option, what in provider.description.items():
            help_texts.setdefault(option, []).append(f"{name}: {what}")
    return {option: "; ".join(texts) for option, texts in help_texts.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m commentary_llm", description="Football commentary from match events."
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log what happens")
    commands = parser.add_subparsers(dest="command", required=True)

    replay = commands.add_parser(
        "replay", help="replay a recorded match", description="Replays a recorded match: sound, captions, report."
    )
    _replay_options(replay)
    evaluate = commands.add_parser(
        "evaluate",
        help="replay a recorded match and score the commentary; the last line is JSON",
        description="Replays a recorded match and scores its commentary; the last line of the output is JSON.",
    )
    _replay_options(evaluate)

    serve = commands.add_parser(
        "serve",
        help="comment on a running match",
        description="Comments on a running match: event lines in, speech and captions out as they are spoken.",
    )
    _serve_options(serve)
    bench = commands.add_parser("bench", help="measure speed; the last line is JSON")
    bench.add_argument(
        "--llm-sizes",
        metavar="SIZES",
        help="let the language model, padded with zeros, compute at these: llama-7b",
    )
    bench.add_argument("--cues", type=int, default=40, help="cues timed end to end (default: 40)")
    bench.add_argument("--peers", action="store_true", help="also time transformers and llama.cpp on the same model")
    bench.add_argument("--gguf", type=Path, metavar="FILE", help="the model file that llama.cpp is to run")
    bench.add_argument(
        "--random-weights",
        metavar="SIZES",
        help="time only the language model, of these sizes and with random weights: llama-7b, or a config.json's path",
    )
    bench.add_argument("--repeats", type=int, default=30, help="runs a figure with --random-weights (default: 30)")
    bench.add_argument("--out", type=Path, help="also write the JSON here")
    _engine_options(bench)
    return parser


def _replay_options(parser: argparse.ArgumentParser) -> None:
    source = parser.add_argument_group("match", "by default the built-in one, the 2022 World Cup final")
    source.add_argument("--match", type=Path, metavar="FILE", help="a match in our own JSONL format")
    source.add_argument("--provider", metavar="NAME", help="a data provider's format, with its files:")
    for option, help_text in file_options().items():
        source.add_argument(f"--{option}", type=Path, metavar="FILE", help=help_text)
    sound = parser.add_argument_group("stadium sound")
    sound.add_argument("--audio", type=Path, metavar="FILE", help="the recording's sound, in any common format")
    sound.add_argument("--no-audio", action="store_true", help="ignore the built-in match's stadium track")
    sound.add_argument(
        "--kickoff",
        type=_kickoff,
        action="append",
        default=[],
        metavar="PERIOD=TIME",
        help="where a period kicks off in --audio, as seconds or [h:]m:s; periods not named follow one another",
    )
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the results (default: out)")
    parser.add_argument("--speed", default="max", help="max, or times real time: 1x … 60x (default: max)")
    parser.add_argument("--full-timeline", action="store_true", help="keep the match's real pauses in the sound")
    _engine_options(parser)


def _serve_options(parser: argparse.ArgumentParser) -> None:
    tracker = parser.add_argument_group("match")
    tracker.add_argument(
        "--match-info",
        type=Path,
        required=True,
        metavar="FILE",
        help="both line-ups: a match file; its first line will do",
    )
    tracker.add_argument(
        "--events",
        default="-",
        metavar="WHERE",
        help="event lines from a file or FIFO, - for standard input, or tcp:HOST:PORT to listen there for a tracker, "
        "which gets an answer to each line (default: -)",
    )
    sound = parser.add_argument_group("stadium sound")
    sound.add_argument(
        "--audio", metavar="WHERE", help="live: a FIFO, - for standard input, or a stream's address, as PyAV reads them"
    )
    sound.add_argument("--audio-rate", type=int, metavar="HZ", help="--audio is raw s16le mono at this rate")
    outputs = parser.add_argument_group("results")
    outputs.add_argument(
        "--pcm",
        metavar="WHERE",
        help="speech as an unbroken stream in real time, raw s16le mono at the voice's rate (22050 Hz as it comes): "
        "a file or FIFO, or - for standard output",
    )
    outputs.add_argument(
        "--captions",
        metavar="WHERE",
        help="captions as JSON lines: a file or FIFO, or - for standard output (default: -, unless --pcm goes there)",
    )
    outputs.add_argument("--out", type=Path, default=Path("out"), help="folder for the files at the end (default: out)")
    outputs.add_argument("--full-timeline", action="store_true", help="keep the match's real pauses in the sound file")
    _engine_options(parser)


def main(argv: Sequence[str] | None = None) -> int:
    comm = world()
    try:
        if comm is not None and comm.Get_rank() > 0:
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                args = _parser().parse_args(argv)  # rank 0 prints help and complaints, once
        else:
            args = _parser().parse_args(argv)
        logging.basicConfig(
            level=logging.INFO if args.verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
        )
        if args.command == "replay":
            from commentary_llm.commands.replay import run_replay

            return run_replay(args, comm)
        if args.command == "evaluate":
            from commentary_llm.commands.evaluate import run_evaluate

            return run_evaluate(args, comm)
        if args.command == "serve":
            from commentary_llm.commands.serve import run_serve

            return run_serve(args, comm)
        if args.random_weights is not None:
            from benchmarks.sizes import run_bench_sizes

            return run_bench_sizes(args, comm)
        from benchmarks.engine import run_bench

        return run_bench(args, comm)
    except CommentaryError as error:
        if comm is None or comm.Get_rank() == 0:  # the others fail with it, and their words would only be its echo
            print(f"error: {error}", file=sys.stderr, flush=True)
        if isinstance(error, (InputError, ConfigError)):
            return ExitCode.BAD_INPUT
        return ExitCode.ARTIFACT if isinstance(error, ArtifactError) else ExitCode.FAILED
    except KeyboardInterrupt:
        print("interrupted before the engine was ready; nothing was written", file=sys.stderr, flush=True)
        if comm is not None and comm.Get_size() > 1:
            comm.Abort(ExitCode.INTERRUPTED)
        return ExitCode.INTERRUPTED
