"""The benchmark of a model's sizes, on the CPU."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from benchmarks.engine import decode_batches
from benchmarks.sizes import run_bench_sizes
from commentary_llm.generation.torch.sizes import KNOWN_SIZES
from commentary_llm.ground.errors import ConfigError
from commentary_llm.settings import EngineConfig, Settings

SMALL = {
    **KNOWN_SIZES["llama-7b"],
    "hidden_size": 128,
    "intermediate_size": 250,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 320,
}


def bench(weights: str, repeats: int = 2, out: Path | None = None) -> int:
    args = argparse.Namespace(random_weights=weights, repeats=repeats, out=out)
    return run_bench_sizes(args, Settings(), None)


def test_every_figure_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    assert bench(str(tmp_path / "config.json"), out=tmp_path / "out.json") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert json.loads((tmp_path / "out.json").read_text()) == found
    for name in ("decode", "event", "event_first"):
        assert set(found[name]) == {"1", "2", "4", "8"}
    for batch, event in found["event"].items():
        assert event["count"] == 2
        assert found["event_first"][batch]["p50_ms"] < event["p50_ms"]
    layer = 128 * (128 + 2 * 64) + 128 * 128 + 3 * 128 * 250
    assert found["bytes_read_per_step_and_rank"] == 2 * layer + 320 * 128


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected llama-7b or a config\.json"):
        bench(str(tmp_path / "none.json"))
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        bench(str(tmp_path / "broken.json"))
    with pytest.raises(ConfigError, match="--repeats is 0"):
        bench("llama-7b", repeats=0)


@pytest.mark.parametrize("candidates", range(1, 9))
def test_batches_fit_the_slots_that_the_engine_opens(candidates: int) -> None:
    # On a GPU, five candidates (the default) opened five slots, and eight were asked for.
    config = EngineConfig(device="cuda", candidates=candidates)
    batches = decode_batches(config)
    assert batches[:3] == [1, 2, 4]
    assert max(batches) <= config.station.llm.max_batch >= candidates
