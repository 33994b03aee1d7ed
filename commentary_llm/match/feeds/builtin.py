"""The match that comes with the package: the 2022 World Cup final, typed in from public facts."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

BUILTIN_MATCH = "world_cup_final_2022"


def builtin_match_path() -> Path:
    """Path of the built-in match file (the package is installed as plain files)."""
    with as_file(files("commentary_llm.match") / "data" / f"{BUILTIN_MATCH}.jsonl") as path:
        return path
