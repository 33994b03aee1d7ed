"""The command line as the settings make it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from option_parsing import load

from commentary_llm.commands.cli import COMMANDS, main
from commentary_llm.ground.errors import ConfigError
from commentary_llm.settings import Settings
from commentary_llm.settings.flags import ENGINE_GROUPS
from commentary_llm.settings.option import options_of


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_has_each_option_once_with_its_default(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(command, capsys)
    groups = (COMMANDS[command].group, *ENGINE_GROUPS)
    for option in options_of(Settings):
        if option.path[0] in groups:
            assert len(re.findall(rf"^  {option.flag.name}[ ,]", text, re.MULTILINE)) == 1, option.flag.name
    words = " ".join(text.split())
    assert "CPU threads of the language model on each rank (1 to 64; default: 1)" in words
    assert "what generates (auto, tensorrt_llm, torch; default: auto)" in words
    assert "how the commentator talks (neutral, excited, dry, blind_listener; default: excited)" in words
    assert "COMMENTARY_LLM__THREADS" in words
    assert "SUPPRESS" not in text
    assert ("(required)" in words) is (command == "serve")


def test_one_flag_for_both_speech_stages_and_one_for_each_alone() -> None:
    settings = load(["--voice-threads", "3", "--speech-threads", "2", "--recognizer-device", "cpu"]).settings
    assert (settings.voice.threads, settings.recognizer.threads) == (3, 2)
    assert (settings.voice.device, settings.recognizer.device) == (None, "cpu")


def test_switches_go_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load([]).settings.match.prepare
    assert not load(["--no-prepare"]).settings.match.prepare
    monkeypatch.setenv("COMMENTARY_MATCH__PREPARE", "false")
    assert not load([]).settings.match.prepare
    assert load(["--prepare"]).settings.match.prepare
    assert load(["--no-audio"]).settings.replay.no_audio


def test_kickoffs_add_up() -> None:
    settings = load(["--kickoff", "1=0:42", "--kickoff=2=1:03:10"]).settings
    assert settings.replay.kickoff == ((1, 42.0), (2, 3790.0))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--temprature=1"], r"--temprature: not known; did you mean --temperature\?"),
        (["--temp", "1"], "--temp: not known"),  # no abbreviations
        (["--llm"], "expected one argument"),
    ],
)
def test_words_that_are_no_options_are_refused(words: list[str], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load(words)


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench"]) == 2
    assert "bench" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--kickoff", "2=1:00", "--seed", "3", "--out", "a b: c", "--no-few-shot", "--sink=pcm:a b", "--sink", "vtt:c"],
    ],
)
def test_what_is_shown_is_a_file_that_says_the_same(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMMENTARY_LLM__MODEL", "llama-7b")
    assert main(["replay", *words, "--show-settings"]) == 0
    shown = capsys.readouterr().out
    assert "model: llama-7b  # COMMENTARY_LLM__MODEL" in shown
    assert not words or "seed: 3  # --seed" in shown
    expected = load(words).settings
    monkeypatch.delenv("COMMENTARY_LLM__MODEL")
    (tmp_path / "shown.yaml").write_text(shown, encoding="utf-8")
    assert load(["--config", str(tmp_path / "shown.yaml")]).settings == expected


def test_single_values_are_shown_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--llm=x", "--show-settings", "llm.backend,llm.model,serve.pcm,replay.out"]) == 0
    assert capsys.readouterr().out == "auto\nx\n\nout\n"
    assert main(["replay", "--show-settings", "llm.modle"]) == 2
    assert "did you mean llm.model?" in capsys.readouterr().err
