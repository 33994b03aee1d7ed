"""Rules of the house (DESIGN section 3) that the import linter cannot see; its contracts stand in pyproject.toml."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPO = Path(__file__).resolve().parent.parent
ROOTS = ("commentary_llm", "asr_tts", "checkpoints", "benchmarks")
CODE = (".py", ".sh", ".cu", ".cuh", ".js", ".css", ".html")
MOST_LINES = 349
TOP_LEVEL = {
    *ROOTS,
    "launch",
    "tests",
    "docs",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    ".gitignore",
    ".ci",
}
# Where threads are made: decode loops, the station's pools, the one loop of the ends.
THREADS = ("commentary_llm/generation/", "commentary_llm/station/", "commentary_llm/ends/")
# What names one match: a cache with such a key would outlive it.
OF_ONE_MATCH = {"MatchInfo", "MatchEvent", "MatchState", "Match", "Team", "Player", "Roster", "Cue", "match_id"}
MUTATORS = {"setdefault", "update", "pop", "popitem", "clear", "add", "append", "move_to_end", "__setitem__"}


@cache
def tracked() -> tuple[str, ...]:
    """Paths of the repository's files, those not yet committed included."""
    if shutil.which("git") is None or not (REPO / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return tuple(path for path in listed if (REPO / path).is_file())


def production(*endings: str, roots: tuple[str, ...] = ROOTS) -> Iterator[tuple[str, str]]:
    """Path and text of each file with one of these endings."""
    for path in tracked():
        if path.startswith(tuple(root if root.endswith(".py") else f"{root}/" for root in roots)) and path.endswith(
            endings
        ):
            yield path, (REPO / path).read_text(encoding="utf-8")


def test_the_top_level_is_fixed() -> None:
    assert {path.split("/")[0] for path in tracked()} == TOP_LEVEL


def test_production_files_are_short() -> None:
    lengths = {path: text.count("\n") for path, text in production(*CODE, roots=(*ROOTS, "launch"))}
    assert {path: lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def test_each_package_says_what_it_is_for() -> None:
    folders = {path.rpartition("/")[0] for path, _ in production(".py")}
    missing = []
    for folder in sorted(folders):
        init = REPO / folder / "__init__.py"
        if not init.is_file() or not (ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or "").strip():
            missing.append(folder)
    assert missing == []


def test_no_umask_is_set() -> None:
    # It is the whole process's: another thread's file would be readable by all or by nobody.
    assert [path for path, text in production(".py") if "os.umask(" in text] == []


def test_threads_are_made_in_three_places() -> None:
    made = [
        path
        for path, text in production(".py", roots=("commentary_llm", "asr_tts"))
        if ("Thread(" in text or "ThreadPoolExecutor(" in text) and not path.startswith(THREADS)
    ]
    assert made == []


def test_every_room_has_its_place_among_the_layers() -> None:
    linter = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(contract for contract in linter["contracts"] if contract["type"] == "layers")["layers"]
    placed = {name.strip(" ()") for layer in layers for name in layer.split("|")}
    rooms = {path.split("/")[1].removesuffix(".py") for path, _ in production(".py", roots=("commentary_llm",))}
    assert {f"commentary_llm.{room}" for room in rooms - {"__init__", "__main__"}} <= placed
    assert linter["exclude_type_checking_imports"] is False
    assert not any("ignore_imports" in contract for contract in linter["contracts"])


def test_those_who_read_a_session_know_its_events_and_records_alone() -> None:
    allowed = {"events", "record", "timeline", "handle", "figures"}  # figures are made of records
    known: dict[str, set[str]] = {}
    for path, text in production(
        ".py", roots=("commentary_llm/ends", "commentary_llm/report", "commentary_llm/evaluation")
    ):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("commentary_llm.session"):
                known.setdefault(path, set()).add((node.module or "").removeprefix("commentary_llm.session").strip("."))
    assert {path: modules - allowed for path, modules in known.items() if modules - allowed} == {}


def test_lists_of_words_stand_in_languages_alone() -> None:
    lists = [path for path, _ in production(".txt")]
    assert lists
    assert [path for path in lists if not re.match(r"commentary_llm/language/[^/]+/", path)] == []


def test_no_exclamation_is_written_outside_languages() -> None:
    """What only speech has. The auditor's words are its own on purpose, interface texts and errors do not exclaim."""
    rooms = ("cue", "session", "ends", "match", "generation", "speech.py", "engine.py")
    found = []
    for path, text in production(".py", roots=(*(f"commentary_llm/{room}" for room in rooms), "asr_tts")):
        module = ast.parse(text)
        comments = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
        for node in ast.walk(module):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in comments:
                found += [f"{path}:{node.lineno}: {node.value!r}"] if re.search(r"[a-z]!(\s|$)", node.value) else []
    assert found == []


def test_languages_are_named_by_nobody_but_training() -> None:
    """All others ask the registry. Training makes a model of one language, with that language's own grammar."""
    named = {
        path
        for path, text in production(".py")
        if re.search(r"commentary_llm\.language\.(?!contract|registry)\w", text) and "/language/" not in path
    }
    assert {path.split("/")[0] for path in named} <= {"checkpoints"}


def test_no_module_keeps_a_cache_of_matches() -> None:
    found = []
    for path, text in production(".py", roots=("commentary_llm", "asr_tts")):
        module = ast.parse(text)
        found += [f"{path}: {name} is changed while running" for name in _changed_globals(module, path)]
        found += [f"{path}: {name} is cached by match" for name in _cached_by_match(module)]
    assert found == []


def _changed_globals(module: ast.Module, path: str) -> Iterator[str]:
    """Containers at module level that functions change. Registries are filled once, by those who register."""
    if Path(path).name == "registry.py":
        return
    containers = set()
    for statement in module.body:
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)):
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if isinstance(statement.value, (ast.Dict, ast.List, ast.Set, ast.Call, ast.DictComp)):
            containers |= {target.id for target in targets if isinstance(target, ast.Name)}
    for function in ast.walk(module):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        own = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        for node in ast.walk(function):
            owner = None
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
                owner = node.value
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
                owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id in containers - own:
                yield owner.id


def _cached_by_match(module: ast.Module) -> Iterator[str]:
    """Functions (not methods: those are cached with their owner) under functools' caches with a match's part as key."""
    for function in module.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        decorators = {name for each in function.decorator_list for name in _names(each)}
        if not decorators & {"cache", "lru_cache"}:
            continue
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        keys = {argument.arg for argument in arguments}
        keys |= {name for argument in arguments if argument.annotation for name in _names(argument.annotation)}
        if keys & OF_ONE_MATCH:
            yield function.name


def _names(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.Attribute):
            yield each.attr
