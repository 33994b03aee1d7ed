"""Each command line that stands in the README or below docs/ is one that the program takes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from commentary_llm.commands.cli import COMMANDS, main

REPO = Path(__file__).resolve().parents[2]
PAGES = [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]
# What is before the program itself, or stands for something that the reader fills in.
_STARTS = re.compile(r"(?:mpirun -n \d+ (?:--bind-to none )?)?(python -m [\w.]+|\./launch/\w+\.sh)(?= |$)")


def documented() -> list[str]:
    """Command lines of the pages: indented or fenced blocks, and code in running text."""
    found = []
    for page in PAGES:
        text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
        blocks = re.findall(r"^ {4}(.+)", text, re.MULTILINE)
        blocks += re.findall(r"^```(?:bash|sh|shell)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        running = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        blocks += [code.replace("\n", " ") for code in re.findall(r"`([^`]+)`", running)]
        for line in (line for block in blocks for line in block.splitlines()):
            for part in re.split(r"\s[|;&]+\s|\s#", line):
                if _STARTS.match(part.strip()) and "…" not in part:
                    found.append(part.strip())
    return list(dict.fromkeys(found))


COMMAND_LINES = documented()
ENGINE = [line for line in COMMAND_LINES if re.search(rf"commentary_llm ({'|'.join(COMMANDS)})\b", line)]
SCRIPTS = [line for line in COMMAND_LINES if re.match(r"\./launch/(replay|serve|check)\.sh", line)]
_OTHER = re.compile(r"python -m (checkpoints|benchmarks)\b")
OTHERS = [line for line in COMMAND_LINES if _OTHER.search(line) and len(line.split()) > 3]


def test_commands_were_found() -> None:
    assert len(ENGINE) >= 2
    assert len(SCRIPTS) >= 8
    assert len(OTHERS) >= 5


def taken(words: list[str]) -> None:
    assert main([*words, "--show-settings"]) == 0


@pytest.mark.parametrize("line", ENGINE)
def test_the_engine_takes_it(line: str) -> None:
    words = shlex.split(line)
    taken(words[words.index("commentary_llm") + 1 :])


@pytest.mark.parametrize("line", SCRIPTS)
def test_the_launch_script_hands_it_to_the_engine(line: str, tmp_path: Path) -> None:
    script, *options = shlex.split(line)
    if "--help" in options or script.endswith("check.sh"):
        told = run_script(tmp_path, script, [*options, "--help"])
        assert told.startswith(f"usage: {Path(script).name}")
        return
    last = shlex.split(run_script(tmp_path, script, [*options, "--dry-run"]).splitlines()[-1])
    taken(last[last.index("commentary_llm") + 1 :])


def run_script(folder: Path, script: str, options: list[str]) -> str:
    """In a checkout where nothing is set up."""
    shutil.copytree(REPO / "launch", folder / "launch")
    shutil.copy(REPO / "pyproject.toml", folder)
    told = subprocess.run(
        [script, *options],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": "/nowhere"},
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


@pytest.mark.parametrize("line", OTHERS)
def test_the_other_programs_know_the_options(line: str) -> None:
    words = shlex.split(line)
    module, *rest = words[words.index("-m") + 1 :]
    commands = [word for word in rest if re.fullmatch(r"[a-z][a-z-]+", word)][:2]
    # Words that look like commands may be values of options or a model's name.
    while commands and rest[: len(commands)] != commands:
        commands.pop()
    told = subprocess.run(
        [sys.executable, "-m", module, *commands, "--help"],
        capture_output=True,
        text=True,
        cwd=REPO,
        check=False,
        timeout=120,
    )
    assert told.returncode == 0, told.stderr
    for word in rest:
        if word.startswith("--"):
            assert re.search(rf"{word.partition('=')[0]}\b", told.stdout), word
