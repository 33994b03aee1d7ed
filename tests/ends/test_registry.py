"""Sources and sinks by name, and a new one in one file through whole runs of the commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripted_engine import start_scripted
from toy_sink import register_toy_sink

from commentary_llm.commands.cli import main
from commentary_llm.ends.registry import SINKS, SOURCES, SinkSetting, open_sink
from commentary_llm.ends.sinks.pcm_entry import PcmStream
from commentary_llm.ground.errors import ConfigError, OutputError
from commentary_llm.match import EventType, MatchEvent, MatchInfo
from commentary_llm.match.feeds.jsonl import write_jsonl
from commentary_llm.match.feeds.recording import Recording

SETTING = SinkSetting("small")


def test_every_file_of_the_room_registers_what_it_holds() -> None:
    assert SINKS.names() == ("captions", "journal", "pcm", "vtt", "wav")
    assert SOURCES.names() == ("fifo", "file", "tcp")


def test_sinks_open_by_name(tmp_path: Path) -> None:
    assert isinstance(open_sink(f"pcm:{tmp_path / 'a:b.pcm'}", SETTING), PcmStream)
    assert (tmp_path / "a:b.pcm").exists()
    for text in ("pcm", "pcm:", "nothing:x", "x"):
        with pytest.raises(ConfigError, match=r"one of .*captions, journal, pcm"):
            open_sink(text, SETTING)
    for name in ("pcm", "captions", "journal", "wav"):
        with pytest.raises(OutputError, match="absent"):
            open_sink(f"{name}:{tmp_path / 'absent' / 'x'}", SETTING)


@pytest.fixture
def match_file(small_match: MatchInfo, tmp_path: Path) -> Path:
    goal = MatchEvent(event_id="g", type=EventType.GOAL, period=1, elapsed_s=60, team="h", player="h4")
    write_jsonl(Recording(small_match, (goal,)), tmp_path / "match.jsonl")
    return tmp_path / "match.jsonl"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    start_scripted(monkeypatch)
    register_toy_sink(monkeypatch)
    return tmp_path / "toy.json"


def check(toy: Path, out: Path) -> None:
    notes = json.loads(toy.read_text(encoding="utf-8"))
    assert notes[:2] == ["opened for small", "started: Northport v Eastvale, 8000 Hz"]
    assert notes[-2:] == ["stopped", "finished: Northport 1-0 Eastvale"]
    assert "EventTaken: g" in notes
    assert notes[-3] == "SessionClosed: small"
    lines = (out / "commentary.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {record["event_id"]: record["text"] for record in map(json.loads, lines)}
    assert "Hart" in texts["g"]
    assert [note for note in notes if note.startswith("CueEnded")] == [f"CueEnded: {text}" for text in texts.values()]


def test_a_toy_sink_through_a_replay(match_file: Path, toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = toy.parent / "out"
    assert main(["replay", "--match", str(match_file), "--out", str(out), "--sink", f"toy:{toy}"]) == 0
    check(toy, out)
    assert "the toy is tired" in capsys.readouterr().err


def test_a_toy_sink_through_a_live_match(match_file: Path, toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, captions = toy.parent / "out", toy.parent / "captions"
    where = ["--match-info", match_file, "--events", match_file, "--captions", captions, "--out", out]
    assert main(["serve", *map(str, where), "--sink", f"toy:{toy}"]) == 0
    check(toy, out)
    assert "the toy is tired" in capsys.readouterr().err
    told = [json.loads(line) for line in captions.read_text(encoding="utf-8").splitlines()]
    assert {line["match_id"] for line in told} == {"small"}
    assert [told[0]["type"], told[-1]["type"]] == ["ready", "end"]


def test_a_live_sink_wants_a_replay_in_real_time(match_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    speech = match_file.parent / "speech.pcm"
    options = ["replay", "--match", str(match_file), "--out", str(match_file.parent / "out"), "--sink", f"pcm:{speech}"]
    assert main(options) == 2
    assert "--speed 1x" in capsys.readouterr().err
    assert not (match_file.parent / "out").exists()
