"""What `serve` refuses before any model is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from commentary_llm.commands.cli import main
from commentary_llm.match import MatchInfo
from commentary_llm.match.feeds.jsonl import write_jsonl
from commentary_llm.match.feeds.recording import Recording


@pytest.fixture
def teams(small_match: MatchInfo, tmp_path: Path) -> Path:
    write_jsonl(Recording(small_match, ()), tmp_path / "teams.jsonl")
    return tmp_path / "teams.jsonl"


@pytest.mark.parametrize(
    ("options", "code", "expected"),
    [
        (["--pcm", "-", "--captions", "-"], 2, "both go to standard output"),
        (["--audio", "-"], 2, "both read standard input"),
        (["--audio-rate", "16000"], 2, "goes with --audio"),
        (["--audio", "x", "--audio-rate", "20"], 2, "8000 to 192000"),
        (["--events", "absent.jsonl"], 2, "absent.jsonl"),
        (["--events", "tcp:7070"], 2, "expected tcp:HOST:PORT"),
        (["--events", "tcp:256.0.0.1:0"], 2, "cannot listen there"),
        (["--pcm", "absent/speech.pcm"], 1, "absent/speech.pcm"),
        (["--persona", "shouty"], 2, "shouty"),
        (["--candidates", "99"], 2, "candidates"),
    ],
)
def test_bad_options_are_named(
    teams: Path, options: list[str], code: int, expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["serve", "--match-info", str(teams), "--out", str(tmp_path / "out"), *options]) == code
    message = capsys.readouterr().err
    assert expected in message
    assert message.count("error:") == 1
    assert not (tmp_path / "out").exists()


def test_line_ups_are_needed_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve"]) == 2
    assert "--match-info" in capsys.readouterr().err
    (tmp_path / "bad.jsonl").write_text('{"type": "match", "id": "x"}\n')
    for name in ("bad.jsonl", "absent.jsonl"):
        assert main(["serve", "--match-info", str(tmp_path / name), "--out", str(tmp_path / "out")]) == 2
        assert name in capsys.readouterr().err
