"""`python -m checkpoints`: exit codes, tables, and what is said about a damaged artifact."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from checkpoints import verify as verify_module
from checkpoints.__main__ import main
from commentary_llm.artifacts.llama import LlamaShape
from commentary_llm.ground.errors import ExitCode
from commentary_llm.ground.home import ASR_MODEL, LLM_MODEL, TTS_MODEL, shards_dir

SHAPE = LlamaShape(1, 8, 2, 1, 4, 8, 16, True)


def test_empty_home_is_not_whole(own_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == ExitCode.ARTIFACT
    out = capsys.readouterr().out
    for name in (LLM_MODEL, ASR_MODEL, TTS_MODEL):
        assert f"models/{name} does not exist; build it with `python -m checkpoints setup`" in out


def test_corrupted_shard_is_found_and_named(
    own_home: Path, make_model, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for constant in ("LLM_MODEL", "ASR_MODEL", "TTS_MODEL"):  # the tiny model stands for the embedded ones
        monkeypatch.setattr(verify_module, constant, "tiny")
    assert main(["import-llm", str(make_model(SHAPE)), "--name", "tiny"]) == 0
    assert main(["shard", "--model", "tiny", "--ranks", "2"]) == 0
    assert main(["verify"]) == 0
    capsys.readouterr()
    path = shards_dir("tiny", 2) / "rank1.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert main(["verify"]) == ExitCode.ARTIFACT
    out = capsys.readouterr().out
    assert "broken\tshards/tiny/int8-tp2" in out
    assert "whole\tshards/tiny/int8\t" in out
    assert "rank1.safetensors is corrupted" in out
    assert "Rebuild with `python -m checkpoints shard --model tiny --ranks 2`" in out


def test_perplexity_ends_with_json(
    own_home: Path, make_model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["import-llm", str(make_model(SHAPE)), "--name", "tiny"])
    main(["quantize", "--model", "tiny"])
    text = tmp_path / "text.txt"
    text.write_text("w1 w2 w3 w4 " * 20)
    capsys.readouterr()
    assert main(["perplexity", "--model", "tiny", "--text", str(text)]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["tokens"] == 79
    assert report["loss_percent"] == pytest.approx(100 * (report["int8"] / report["imported"] - 1))
    text.write_text("w1")
    assert main(["perplexity", "--model", "tiny", "--text", str(text)]) == ExitCode.BAD_INPUT
    assert "needs at least 32" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["quantize", "--model", "nothing"], ExitCode.ARTIFACT, "models/nothing does not exist"),
        (["import-llm", "/nowhere/at/all", "--name", "x"], ExitCode.BAD_INPUT, "/nowhere/at/all does not exist"),
        (["perplexity", "--text", "/nowhere.txt"], ExitCode.BAD_INPUT, "cannot be read"),
    ],
)
def test_errors_are_one_line(
    own_home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: ExitCode, text: str
) -> None:
    assert main(arguments) == code
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["setup", "--ranks", "0"], ["shard"], []])
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
