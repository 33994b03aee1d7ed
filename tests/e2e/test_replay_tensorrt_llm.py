"""The whole replay command on two ranks with the TensorRT-LLM backend over its double: the pipeline is the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import soundfile
import torch
from mpi_job import SUPPORT, JobResult, run_ranks
from transformers import LlamaConfig, LlamaForCausalLM

from checkpoints.importers.hf import import_hf
from checkpoints.recipes import IMPORT
from checkpoints.writer import write_artifact
from commentary_llm.artifacts.llama import TOKENIZER_FILES
from commentary_llm.ground.home import ASR_MODEL, LLM_MODEL, TTS_MODEL, clips_dir, models_dir
from commentary_llm.match import CardType, EventType, MatchEvent, MatchInfo
from commentary_llm.match.feeds.jsonl import write_jsonl
from commentary_llm.match.feeds.recording import Recording
from commentary_llm.session.record import CueRecord

pytestmark = [pytest.mark.models, pytest.mark.mpi, pytest.mark.timeout(600)]

JOB = SUPPORT / "trt_job.py"
MODEL = "one-layer"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real voice and tokenizer, and a model of one layer whose heads divide by two."""
    home, source = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("source")
    (home / "models").mkdir()
    for name in (ASR_MODEL, TTS_MODEL):
        (home / "models" / name).symlink_to(models_dir() / name)
    clips_dir().mkdir(parents=True, exist_ok=True)
    (home / "clips").symlink_to(clips_dir())  # openers are made once for all tests
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).half().save_pretrained(source)
    for name in TOKENIZER_FILES:
        if (models_dir() / LLM_MODEL / name).exists():
            shutil.copyfile(models_dir() / LLM_MODEL / name, source / name)
    with write_artifact(
        home / "models" / MODEL,
        kind="llama-hf",
        name=MODEL,
        command="python -m checkpoints import-llm",
        recipe=IMPORT,
        sources=(),
        dtype="F16",
        tools={},
    ) as artifact:
        import_hf(source, artifact.directory)
    return home


def run(home: Path, *arguments: object, **variables: str) -> JobResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMMENTARY_HOME", str(home))
        for name, value in variables.items():
            patch.setenv(name, value)
        return run_ranks(2, JOB, *map(str, arguments), timeout_s=240)


def event(event_id: str, kind: EventType, elapsed_s: float, **fields: object) -> MatchEvent:
    return MatchEvent(event_id=event_id, type=kind, period=1, elapsed_s=elapsed_s, **fields)  # type: ignore[arg-type]


def test_a_match_through_the_tensorrt_llm_backend(home: Path, small_match: MatchInfo, tmp_path: Path) -> None:
    events = (
        event("start", EventType.PERIOD_START, 0),
        event("goal", EventType.GOAL, 60, team="h", player="h4", assist="h7"),
        event("card", EventType.CARD, 90, team="a", player="a5", card=CardType.YELLOW),
        event("end", EventType.PERIOD_END, 150),
    )
    match, out = tmp_path / "small.jsonl", tmp_path / "out"
    write_jsonl(Recording(small_match, events), match)
    missing = run(home, "replay", "--backend", "tensorrt_llm", "--llm", MODEL, "--match", match, "--out", out)
    assert missing.exit_code == 3, missing.output
    assert f"engines build-llm --model {MODEL}" in missing.output
    assert missing.output.count("error:") == 1

    built = run(home, "build", "--model", MODEL)
    assert built.exit_code == 0, built.output
    replayed = run(
        home,
        "replay",
        "--backend",
        "tensorrt_llm",
        "--llm",
        MODEL,
        "--match",
        match,
        "--out",
        out,
        "--temperature",
        "1",
    )
    assert replayed.exit_code == 0, replayed.output
    assert "RULE BROKEN" not in replayed.output
    assert "Northport 1-0 Eastvale" in replayed.output
    lines = (out / "commentary.jsonl").read_text(encoding="utf-8").splitlines()
    records = {record.event_id: record for record in map(CueRecord.model_validate_json, lines)}
    for event_id in ("start", "goal", "card", "end"):
        record = records[event_id]
        assert record.text, record
        assert record.generated_tokens > 0 or record.source == "template"
    assert sum(record.generated_tokens for record in records.values()) > 20
    assert any(record.source == "model" for record in records.values())
    # The prompt's prefix was computed once, at the warm-up.
    assert all(record.cached_tokens >= 64 for record in records.values() if record.generated_tokens)
    assert soundfile.info(out / "commentary.wav").duration > 3
    assert "tensorrt_llm 1.2.1 one-layer, W8A16" in (out / "report.html").read_text(encoding="utf-8")
