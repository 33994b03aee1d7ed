"""The benchmark of a model's sizes, on the CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.engine import decode_batches
from commentary_llm.settings import EngineConfig


def test_every_figure_is_there(small_sizes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [str(small_sizes), "--repeats", "2", "--out", str(tmp_path / "out.json"), "--ranks", "1"]
    assert main(["sizes", *options]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert json.loads((tmp_path / "out.json").read_text()) == found
    for name in ("decode", "event", "event_first"):
        assert set(found[name]) == {"1", "2", "4", "8"}
    for batch, event in found["event"].items():
        assert event["count"] == 2
        assert found["event_first"][batch]["p50_ms"] < event["p50_ms"]
    layer = 128 * (128 + 2 * 64) + 128 * 128 + 3 * 128 * 250
    assert found["bytes_read_per_step_and_rank"] == 2 * layer + 320 * 128


def test_what_is_wrong_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sizes", str(tmp_path / "none.json"), "--ranks", "1"]) == 2
    assert "expected llama-7b or a config.json" in capsys.readouterr().err
    (tmp_path / "broken.json").write_text("{")
    assert main(["sizes", str(tmp_path / "broken.json"), "--ranks", "1"]) == 2
    assert "is not JSON" in capsys.readouterr().err
    assert main(["sizes", "llama-7b", "--repeats", "0", "--ranks", "1"]) == 2
    assert "--repeats is 0" in capsys.readouterr().err


@pytest.mark.parametrize("candidates", range(1, 9))
def test_batches_fit_the_slots_that_the_engine_opens(candidates: int) -> None:
    # On a GPU, five candidates (the default) opened five slots, and eight were asked for.
    config = EngineConfig(device="cuda", candidates=candidates)
    batches = decode_batches(config)
    assert batches[:3] == [1, 2, 4]
    assert max(batches) <= config.station.llm.max_batch >= candidates
