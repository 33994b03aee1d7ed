"""What the command `choices` prints, for people and for shell scripts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from toy_registries import register_toy_backend

from commentary_llm.commands.choices import KINDS
from commentary_llm.commands.cli import main
from commentary_llm.ground.home import ASR_MODEL, TTS_MODEL

REPO = Path(__file__).resolve().parents[2]
# What takes seconds to load.
HEAVY = ("torch", "transformers", "onnxruntime", "onnx", "tensorrt", "piper", "kloppy")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("backends", ["auto", "tensorrt_llm", "torch"]),
        ("runtimes", ["onnxruntime", "tensorrt", "tensorrt_rtx"]),
        ("voices", [TTS_MODEL]),
        ("recognizers", [ASR_MODEL]),
        ("languages", ["en"]),
        ("personas", ["neutral", "excited", "dry", "blind_listener"]),
    ],
)
def test_one_a_line(
    kind: str,
    expected: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COMMENTARY_HOME", str(tmp_path))
    assert main(["choices", kind]) == 0
    assert capsys.readouterr().out.splitlines() == expected


def test_all_kinds_at_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    register_toy_backend(monkeypatch)
    assert main(["choices"]) == 0
    out = capsys.readouterr().out
    assert [line[:-1] for line in out.splitlines() if not line.startswith(" ")] == list(KINDS)
    assert "  toy\n" in out


def test_what_is_no_kind_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["choices", "voice"]) == 2
    assert "did you mean 'voices'?" in capsys.readouterr().err
    assert main(["choices", "voices", "--llm"]) == 2


def test_no_model_library_is_loaded_for_choices_or_settings() -> None:
    code = (
        "import sys; from commentary_llm.commands.cli import main; main(['choices']); "
        "main(['replay', '--show-settings']); "
        f"print('loaded', [name for name in {HEAVY} if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO, check=True, timeout=120
    )
    assert told.stdout.splitlines()[-1] == "loaded []"
