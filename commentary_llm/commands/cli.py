"""The command line: `python -m commentary_llm COMMAND`. Its options are the settings (`commentary_llm.settings`)."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from commentary_llm.commands.choices import KINDS, choices_text
from commentary_llm.ground.errors import CommentaryError, ExitCode, exit_code_of
from commentary_llm.ground.world import world
from commentary_llm.settings.flags import ENGINE_GROUPS, Parser, SettingsFlags
from commentary_llm.settings.root import load_settings
from commentary_llm.settings.show import settings_text, values_text

if TYPE_CHECKING:
    from mpi4py import MPI


@dataclass(frozen=True)
class Command:
    """A command that runs the engine. `run`: "module:function" of (settings, comm), loaded when it is asked for."""

    summary: str
    description: str
    group: str  # of its own settings
    usage: str
    run: str


COMMANDS = {
    "replay": Command(
        "replay a recorded match",
        "Replays a recorded match: sound, captions, report.",
        "replay",
        "[OPTION]...",
        "commentary_llm.commands.replay:run_replay",
    ),
    "evaluate": Command(
        "replay a recorded match and score the commentary; the last line is JSON",
        "Replays a recorded match and scores its commentary; the last line of the output is JSON.",
        "replay",
        "[OPTION]...",
        "commentary_llm.commands.evaluate:run_evaluate",
    ),
    "serve": Command(
        "comment on a running match",
        "Comments on a running match: event lines in, speech and captions out as they are spoken.",
        "serve",
        "--match-info FILE [OPTION]...",
        "commentary_llm.commands.serve:run_serve",
    ),
}
_PROGRAM = "python -m commentary_llm"
_ENVIRONMENT = (
    "Each option can also be set by an environment variable (COMMENTARY_LLM__THREADS) or in the YAML file of --config; "
    "--show-settings prints all of them in that file's form."
)


def _parser() -> tuple[Parser, dict[str, SettingsFlags]]:
    parser = Parser(prog=_PROGRAM, description="Football commentary from match events.")
    parser.add_argument("-v", "--verbose", action="store_true", help="log what happens")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    flags = {}
    for name, command in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=command.summary,
            description=command.description,
            epilog=_ENVIRONMENT,
            usage=f"{_PROGRAM} {name} {command.usage}",
        )
        sub.add_argument(
            "--show-settings",
            nargs="?",
            const="",
            metavar="KEY,...",
            help="print the settings that would hold and where each comes from, or only the values of these, and stop",
        )
        flags[name] = SettingsFlags(sub, (command.group, *ENGINE_GROUPS))
    choices = commands.add_parser(
        "choices",
        help="print what there is to choose from",
        description="Prints what there is to choose from, one a line.",
    )
    choices.add_argument("kind", nargs="?", metavar="KIND", help=f"only these: {', '.join(KINDS)}")
    return parser, flags


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command on every rank; returns its exit code."""
    comm = world()
    try:
        return _run(argv, comm)
    except CommentaryError as error:
        if comm is None or comm.Get_rank() == 0:  # the others fail with it, and their words would only be its echo
            print(f"error: {error}", file=sys.stderr, flush=True)
        return exit_code_of(error)
    except KeyboardInterrupt:
        print("interrupted before the engine was ready; nothing was written", file=sys.stderr, flush=True)
        if comm is not None and comm.Get_size() > 1:
            comm.Abort(ExitCode.INTERRUPTED)
        return ExitCode.INTERRUPTED


def _run(argv: Sequence[str] | None, comm: MPI.Comm | None) -> int:
    first = comm is None or comm.Get_rank() == 0
    parser, flags = _parser()
    # Rank 0 prints the help, once.
    with contextlib.nullcontext() if first else contextlib.redirect_stdout(io.StringIO()):
        args, unknown = parser.parse_known_args(argv)
    if args.command == "choices":
        if unknown:
            parser.error(f"choices: {' '.join(unknown)} not expected")
        if first:
            print(choices_text(args.kind), end="")
        return ExitCode.OK
    command = COMMANDS[args.command]
    given = flags[args.command].given(args, unknown)
    loaded = load_settings(given, None if args.config is None else Path(args.config), command.group)
    asked = args.show_settings
    if asked is not None:
        if first:
            print(values_text(loaded, asked.split(",")) if asked else settings_text(loaded), end="")
        return ExitCode.OK
    logging.basicConfig(
        level=logging.INFO if args.verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    module, _, function = command.run.partition(":")
    code: int = getattr(importlib.import_module(module), function)(loaded.settings, comm)
    return code
