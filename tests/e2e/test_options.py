"""What the command line refuses before any model is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from commentary_llm.commands.cli import main


def refused(capsys: pytest.CaptureFixture[str], *options: object) -> str:
    assert main(["replay", *map(str, options)]) == 2
    message = capsys.readouterr().err
    assert message.count("error:") == 1
    return message


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--match", "absent.jsonl"], "absent.jsonl"),
        (["--speed", "fast"], "expected 'max' or a factor"),
        (["--provider", "nobody"], "nobody"),
        (["--provider", "statsbomb"], "--events"),
        (["--provider", "statsbomb", "--match", "x.jsonl"], "contradict"),
        (["--events", "x.json"], "--provider"),
        (["--audio", "absent.wav"], "absent.wav"),
        (["--audio", "absent.wav", "--no-audio"], "contradict"),
        (["--kickoff", "2=100"], "--audio"),
        (["--persona", "shouty"], "shouty"),
        (["--candidates", "99"], "candidates"),
        (["--temperature", "-1"], "temperature"),
    ],
)
def test_bad_options_are_named(
    options: list[str], expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert expected in refused(capsys, *options, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_without_sound_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    notes = tmp_path / "notes.wav"
    notes.write_text("this is no sound", encoding="utf-8")
    assert "notes.wav" in refused(capsys, "--audio", notes, "--out", tmp_path / "out")


def test_an_output_folder_that_cannot_be_made_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["replay", "--out", str(tmp_path / "file" / "out")]) == 1
    assert "file/out" in capsys.readouterr().err


@pytest.mark.parametrize("kickoff", ["2", "6=10", "2=soon", "=5", "2="])
def test_bad_kickoffs_show_the_form(kickoff: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "PERIOD=TIME" in refused(capsys, "--kickoff", kickoff)
