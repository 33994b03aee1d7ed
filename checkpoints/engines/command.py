"""The commands `engines build`, `engines convert`, `engines inspect` and `engines report`."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

from asr_tts.runtime.registry import engine_runtimes
from checkpoints.progress import Reporter
from commentary_llm.ground.errors import ExitCode
from commentary_llm.ground.home import ASR_MODEL, TTS_MODEL, speech_engines_dir, speech_graphs_dir

_MEGABYTE = 1_000_000
_PRECISIONS = ("fp32", "fp16", "int8")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser], positive: Callable[[str], int]) -> None:
    """Adds the commands to the group `engines`."""
    build = commands.add_parser(
        "build",
        help="build the TensorRT engines of recogniser and voice",
        description="Convert recogniser and voice to fixed shapes and a precision, and compile them with TensorRT. "
        "tensorrt_rtx needs no GPU for that; tensorrt builds for the GPU at hand.",
    )
    build.add_argument("--runtime", choices=engine_runtimes(), required=True, help="which TensorRT is to run them")
    build.add_argument(
        "--compute-capability", type=_compute_capability, required=True, metavar="X.Y", help="of the GPUs, such as 8.9"
    )
    build.add_argument("--precision", choices=_PRECISIONS, default="fp16", help="default fp16")
    _add_models(build, positive)
    build.add_argument("--threads", type=positive, default=os.cpu_count() or 1, metavar="N", help="for calibration")
    build.set_defaults(run=_build)
    convert = commands.add_parser(
        "convert",
        help="make the graphs of recogniser and voice for ONNX Runtime on a GPU",
        description="Convert recogniser and voice to fixed shapes, which ONNX Runtime runs on any NVIDIA GPU "
        "(--speech-device cuda). Needs no GPU.",
    )
    _add_models(convert, positive)
    convert.set_defaults(run=_convert)
    inspect = commands.add_parser(
        "inspect",
        help="say what is in built engines",
        description="Tensors, sizes and precisions of built engines; layers after fusion and memory where TensorRT and "
        "a GPU are there. The last line is JSON.",
    )
    inspect.add_argument("folder", type=Path, metavar="DIR")
    inspect.set_defaults(run=_inspect)
    report = commands.add_parser(
        "report",
        help="measure what a precision costs",
        description="Run the converted networks in ONNX Runtime on our own speech, against float32: word errors, "
        "log-mel distance. Writes report.json beside the engines; the last line is JSON.",
    )
    report.add_argument("folder", type=Path, metavar="DIR")
    report.add_argument("--threads", type=positive, default=os.cpu_count() or 1, metavar="N", help="for the networks")
    report.set_defaults(run=_report)


def _add_models(command: argparse.ArgumentParser, positive: Callable[[str], int]) -> None:
    """Which models are converted, to which shapes and where."""
    command.add_argument("--out", type=Path, metavar="DIR", help="default: in COMMENTARY_HOME/engines")
    command.add_argument("--asr", default=ASR_MODEL, metavar="NAME", help=f"imported recogniser (default {ASR_MODEL})")
    command.add_argument("--tts", default=TTS_MODEL, metavar="NAME", help=f"imported voice (default {TTS_MODEL})")
    command.add_argument("--window-s", type=float, default=10.0, metavar="S", help="seconds a window (default 10)")
    command.add_argument(
        "--text-ids", type=positive, default=128, metavar="N", help="phoneme ids of the longest clause (default 128)"
    )


def _shape_options(args: argparse.Namespace, folder: Path) -> list[str]:
    """The options of `_add_models` as they were given."""
    return [
        *("--window-s", f"{args.window_s:g}", "--text-ids", str(args.text_ids)),
        *("--asr", args.asr, "--tts", args.tts, "--out", str(folder)),
    ]


def _compute_capability(text: str) -> str:
    if not re.fullmatch(r"\d+\.\d", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a compute capability; expected one such as 8.9")
    return text


def _build(args: argparse.Namespace, reporter: Reporter) -> int:
    from checkpoints.engines.artifact import Target, build_engines, imported
    from checkpoints.engines.convert import Conversion

    folder = args.out or speech_engines_dir(args.runtime, args.compute_capability, args.precision)
    command = "python -m checkpoints engines build " + shlex.join(
        [
            *("--runtime", args.runtime, "--compute-capability", args.compute_capability),
            *("--precision", args.precision, *_shape_options(args, folder)),
        ]
    )
    conversion = Conversion(
        imported(args.asr), imported(args.tts), args.precision, args.window_s, args.text_ids, args.threads
    )
    target = Target(args.runtime, args.compute_capability, folder.expanduser().absolute(), command)
    print(build_engines(target, conversion, reporter))
    return ExitCode.OK


def _convert(args: argparse.Namespace, reporter: Reporter) -> int:
    from checkpoints.engines.artifact import imported
    from checkpoints.engines.convert import Conversion
    from checkpoints.engines.graphs import convert_graphs
    from commentary_llm.ground.mend import CONVERT_GRAPHS_COMMAND

    folder = args.out or speech_graphs_dir(args.asr, args.tts)
    command = f"{CONVERT_GRAPHS_COMMAND} {shlex.join(_shape_options(args, folder))}"
    conversion = Conversion(imported(args.asr), imported(args.tts), "fp32", args.window_s, args.text_ids)
    print(convert_graphs(folder.expanduser().absolute(), conversion, command, reporter))
    return ExitCode.OK


def _inspect(args: argparse.Namespace, reporter: Reporter) -> int:
    from checkpoints.engines.inspection import inspect_engines
    from commentary_llm.artifacts.manifest import load_manifest
    from commentary_llm.artifacts.speech_engines import ENGINES_KIND

    manifest = load_manifest(args.folder, kind=ENGINES_KIND, verify="sha256")
    report = inspect_engines(args.folder, manifest)
    print(f"{args.folder}: {report['runtime']}, compute capability {report['compute_capability']}, {manifest.dtype}")
    for name, engine in report["engines"].items():
        types = ", ".join(f"{count} {kind}" for kind, count in engine["graph_nodes"].items())
        print(
            f"  {name}: {engine['bytes'] / _MEGABYTE:.1f} MB, {engine['network_layers']} layers before fusion ({types})"
        )
        for side in ("inputs", "outputs"):
            for tensor, (dtype, shape) in engine[side].items():
                print(f"    {side[:-1]} {tensor}: {dtype} {tuple(shape)}")
        found = engine["inspector"]
        if found is None:
            print(f"    layers after fusion and memory are not known here: {engine['inspector_missing']}")
        else:
            fused = f"{found['fused_layers']} of them from {found['fused_nodes']} nodes"
            memory = f"{found['activation_bytes'] / _MEGABYTE:.1f} MB a context"
            print(f"    {found['layers']} layers after fusion, {fused}; {found['precisions']}; {memory}")
    print(json.dumps(report))
    return ExitCode.OK


def _report(args: argparse.Namespace, reporter: Reporter) -> int:
    from checkpoints.engines.losses import report_losses

    losses = report_losses(args.folder, args.threads, reporter)
    print(json.dumps(losses))
    return ExitCode.OK
