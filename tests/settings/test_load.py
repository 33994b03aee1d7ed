"""Flags before environment before file before defaults, and what is wrong in any of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from option_parsing import load

from commentary_llm.commands.cli import main
from commentary_llm.ground.errors import ConfigError
from commentary_llm.ground.spelling import likeness
from commentary_llm.settings import Settings
from commentary_llm.settings.option import Option, options_of
from commentary_llm.settings.root import value_of

OPTIONS = {option.key: option for option in options_of(Settings)}
# A setting of each kind, with values that differ from its default and from each other.
SAMPLES: dict[str, tuple[Any, Any, Any]] = {
    "llm.model": ("a", "b", "c"),
    "llm.threads": (2, 3, 4),
    "voice.device": ("cpu", "cuda", "cpu"),
    "station.startup_timeout_s": (1.5, 2.5, 3.5),
    "match.prepare": (False, True, False),
    "match.few_shot": (True, False, True),
    "replay.out": ("x", "y/z", "ü"),
    "replay.kickoff": (["1=10"], ["2=0:20"], ["1=1:00:00"]),
    "replay.files.events": ("e", "f", "g"),
    "replay.full_timeline": (True, False, True),
}
FLAGS = {"voice.device": "--voice-device", "replay.files.events": "--events"}


@contextmanager
def given_settings(folder: Path, file: dict[str, Any], environment: dict[str, str]) -> Iterator[list[str]]:
    """The words that name the file, with these variables set."""
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(file, allow_unicode=True), encoding="utf-8")
    with mock.patch.dict(os.environ, environment):
        yield ["--config", str(path)]


def as_words(option: Option, value: Any) -> list[str]:
    flag = FLAGS.get(option.key, option.flag.name)
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag.removeprefix('--')}"]
    return [word for one in (value if isinstance(value, list) else [value]) for word in (flag, str(one))]


def as_file(option: Option, value: Any) -> dict[str, Any]:
    for part in reversed(option.path):
        value = {part: value}
    return value


def as_variable(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("key", SAMPLES)
@pytest.mark.parametrize("said_by", range(8))
def test_the_nearest_source_wins(key: str, said_by: int, tmp_path: Path) -> None:
    option, (by_flag, by_variable, by_file) = OPTIONS[key], SAMPLES[key]
    flags, environment, file = (bool(said_by & bit) for bit in (1, 2, 4))
    variables = {option.variable: as_variable(by_variable)} if environment else {}
    with given_settings(tmp_path, as_file(option, by_file) if file else {}, variables) as words:
        loaded = load(words + (as_words(option, by_flag) if flags else []))
    winner = by_flag if flags else by_variable if environment else by_file if file else None
    expected = option.field.default if winner is None else winner
    # The same by another way: a file alone.
    with given_settings(tmp_path, {} if winner is None else as_file(option, winner), {}) as words:
        assert loaded.settings == load(words).settings
    if not isinstance(expected, list):
        assert str(value_of(loaded.settings, option.path)) == str(expected)
    source = loaded.names.get(option.path, "")
    assert (source.startswith("--"), source.startswith("COMMENTARY_")) == (flags, environment and not flags)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(OPTIONS)), st.integers(0, 40), st.sampled_from("abcxyz_"), st.booleans())
def test_an_unknown_key_names_the_nearest_known(key: str, at: int, letter: str, longer: bool) -> None:
    """One letter added or changed anywhere, in the file and in the environment."""
    at %= len(key)
    assume(key[at] != ".")
    wrong = key[:at] + letter + key[at + (not longer) :]
    assume(wrong not in OPTIONS and "__" not in wrong and not wrong.endswith("_") and "_." not in wrong)
    assume(not wrong.startswith("_") and "._" not in wrong)
    variable = "COMMENTARY_" + wrong.replace(".", "__").upper()
    file: dict[str, Any] = {}
    group = file
    *groups, last = wrong.split(".")
    for name in groups:
        group = group.setdefault(name, {})
    group[last] = 1
    for told in (wrong_in(file, {}), wrong_in({}, {variable: "1"})):
        assert "not known; did you mean " in told
        named = told.partition("did you mean ")[2].partition("?")[0]
        if named.startswith("COMMENTARY_"):
            named = named.removeprefix("COMMENTARY_").replace("__", ".").lower()
        assert named in OPTIONS
        assert likeness(wrong, named) >= likeness(wrong, key) or named.rpartition(".")[2] == key.rpartition(".")[2]


def wrong_in(file: dict[str, Any], environment: dict[str, str]) -> str:
    with (
        tempfile.TemporaryDirectory() as folder,
        given_settings(Path(folder), file, environment) as words,
        pytest.raises(ConfigError) as refused,
    ):
        load(words)
    return str(refused.value)


def test_everything_that_is_wrong_is_told_at_once_by_the_name_it_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = {"match": {"seed": -1, "candidtes": 2}, "llm": {"threads": "many"}, "station": 5}
    environment = {"COMMENTARY_MATCH__TOP_P": "2", "COMMENTARY_VOICE__MODLE": "x", "COMMENTARY_MTCH__SEED": "1"}
    with given_settings(tmp_path, file, environment) as words:
        assert main(["serve", *words, "--candidates", "99", "--persona=shouty", "--temprature", "1", "stray"]) == 2
    path = tmp_path / "settings.yaml"
    told = capsys.readouterr().err
    assert told.splitlines() == [
        "error: wrong options:",
        f"  match.candidtes in {path}: not known; did you mean match.candidates?",
        "  COMMENTARY_VOICE__MODLE: not known; did you mean COMMENTARY_VOICE__MODEL?",
        "  COMMENTARY_MTCH__SEED: not known; did you mean COMMENTARY_MATCH__SEED?",
        "  --temprature: not known; did you mean --temperature?",
        "  'stray': not expected; options begin with --",
        "  --match-info: missing; both line-ups: a match file; its first line will do",
        f"  llm.threads in {path}: got 'many', expected a whole number",
        f"  station in {path}: Input should be a valid dictionary or instance of StationSettings (got 5)",
        "  --persona: got 'shouty', expected one of neutral, excited, dry, blind_listener; did you mean 'neutral'?",
        f"  match.seed in {path}: got -1, expected 0 or more",
        "  --candidates: got '99', expected 1 to 8",
        "  COMMENTARY_MATCH__TOP_P: got '2', expected above 0, up to 1",
    ]


def test_variables_of_the_scripts_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMMENTARY_HOME", "COMMENTARY_PYTHON", "COMMENTARY_SHARED"):
        monkeypatch.setenv(name, "/somewhere")
    assert load([]).settings == Settings()


def test_an_empty_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMENTARY_LLM__ENGINES", "")
    assert load([]).settings.llm.engines is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("llm: [", "cannot be read as YAML"),
        ("- llm", "expected groups of settings"),
        ("some words", "expected groups of settings"),
        ("llm:\n  threads: [1]\n", "llm.threads in"),
        ("match: {seed: [1]}\n", "match.seed in"),
        ("1: {seed: 2}\n", "expected groups of settings"),
    ],
)
def test_files_that_are_no_settings_are_refused(content: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"wrong options:\n") as refused:
        load(["--config", str(tmp_path / "settings.yaml")])
    assert expected in str(refused.value)


def test_a_file_may_be_empty_or_have_empty_groups_but_has_to_be_there(tmp_path: Path) -> None:
    for content in ("", "llm:\nreplay:\n  files:\n", "{}"):
        (tmp_path / "settings.yaml").write_text(content)
        assert load(["--config", str(tmp_path / "settings.yaml")]).settings == Settings()
    with pytest.raises(ConfigError, match=r"absent\.yaml: no such file"):
        load(["--config", "absent.yaml"])
