"""Settings as a command line gives them, without running anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from commentary_llm.commands.cli import COMMANDS
from commentary_llm.settings.flags import ENGINE_GROUPS, Parser, SettingsFlags
from commentary_llm.settings.root import Loaded, load_settings


def load(words: Sequence[str], command: str = "replay") -> Loaded:
    """What `python -m commentary_llm COMMAND WORDS...` would run with."""
    group = COMMANDS[command].group
    parser = Parser(prog=command)
    flags = SettingsFlags(parser, (group, *ENGINE_GROUPS))
    args, unknown = parser.parse_known_args(words)
    return load_settings(flags.given(args, unknown), None if args.config is None else Path(args.config), group)
