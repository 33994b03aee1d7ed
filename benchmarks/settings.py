"""The engine's own settings among a benchmark's options."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from commentary_llm.settings import Settings
from commentary_llm.settings.flags import SettingsFlags
from commentary_llm.settings.root import load_settings


def add_engine_options(parser: ArgumentParser) -> None:
    """Adds the engine's flags; `engine_settings` reads them."""
    parser.set_defaults(engine_flags=SettingsFlags(parser))


def engine_settings(args: Namespace) -> Settings:
    """The settings from flags, environment and file. Raises ConfigError naming everything that is wrong."""
    file = Path(args.config) if args.config is not None else None
    return load_settings(args.engine_flags.given(args), file).settings
