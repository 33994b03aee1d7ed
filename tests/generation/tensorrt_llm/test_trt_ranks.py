"""Real two-rank jobs over the double: building, leader and follower, and every way in which a rank can go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mpi_job import SUPPORT, JobResult, run_ranks

pytestmark = pytest.mark.mpi
JOB = SUPPORT / "trt_job.py"
OPTIONS = ("--model", "llama3", "--max-batch-size", "4", "--max-seq-len", "256", "--max-num-tokens", "256")


def job(home: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str, **variables: str) -> JobResult:
    monkeypatch.setenv("COMMENTARY_HOME", str(home))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = run_ranks(2, JOB, *arguments)
    for name in variables:
        monkeypatch.delenv(name)
    assert ("RULE BROKEN" in result.output) == (arguments == ("rules",)), result.output
    return result


@pytest.fixture(scope="module")
def built(trt_home: Path) -> Path:
    """The home with engines for two ranks in it."""
    monkeypatch = pytest.MonkeyPatch()
    with monkeypatch.context() as patch:
        result = job(trt_home, patch, "build", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert "rank 1 of 2" in result.output
    assert "engine of rank 1" in result.output
    return trt_home


def test_engines_are_built_by_their_own_ranks(built: Path) -> None:
    folder = built / "engines" / "llama3" / "tensorrt-llm-tp2"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert {"rank0.engine", "rank1.engine", "config.json", "tokenizer/tokenizer.json"} <= manifest["files"].keys()
    assert manifest["ranks"] == 2
    assert manifest["gpu_compute_capability"] == "9.0"
    assert manifest["extra"]["gpu_name"].startswith("NVIDIA H100")
    assert manifest["tools"]["tensorrt_llm"] == "1.2.1"
    assert manifest["tools"]["tensorrt"] == "10.14.1.48"
    assert manifest["tools"]["cuda"] == "13.0"
    assert manifest["command"].startswith("mpirun -n 2 --bind-to none python -m checkpoints engines build-llm")
    assert "--max-seq-len 256" in manifest["command"]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["build_config"]["plugin_config"]["reduce_fusion"] is True
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".build")] == []
    for rank in range(2):
        assert json.loads((folder / f"rank{rank}.engine").read_text(encoding="utf-8"))["rank"] == rank


def test_smoothquant_is_calibrated_once_for_all_ranks(
    trt_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").symlink_to(trt_home / "models")
    result = job(tmp_path, monkeypatch, "build", *OPTIONS, "--quantization", "w8a8")
    assert result.exit_code == 0, result.output
    assert "calibration on 512 prompts" in result.output
    folder = tmp_path / "engines" / "llama3" / "tensorrt-llm-tp2"
    for rank in range(2):
        engine = json.loads((folder / f"rank{rank}.engine").read_text(encoding="utf-8"))
        assert engine["quant_algo"] == "W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN"
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["build_config"]["plugin_config"]["reduce_fusion"] is False


def test_building_on_unlike_gpus_is_refused_at_once(
    trt_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").symlink_to(trt_home / "models")
    result = job(tmp_path, monkeypatch, "build", *OPTIONS, PRETEND_GPU_1="NVIDIA H200")
    assert result.exit_code != 0
    assert "the ranks differ in GPU" in result.output
    assert result.output.count("error:") == 1, result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "engines" / "llama3" / "tensorrt-llm-tp2").exists()


def test_the_double_refuses_what_a_follower_may_not_call(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = job(built, monkeypatch, "rules")
    assert result.exit_code == 0, result.output
    assert "LEADS 0 True" in result.output
    assert "LEADS 1 False" in result.output
    for name in ("enqueue", "await", "cancel"):
        assert f"REFUSED {name}: [TensorRT-LLM][ERROR] With LEADER communication mode, only leader" in result.output
    assert "BLOCKED True" in result.output


def test_leader_and_follower_to_the_end(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = job(built, monkeypatch, "idle")
    assert result.exit_code == 0, result.output
    assert "OPEN tensorrt_llm 1.2.1 llama3, W8A16" in result.output
    assert "2 ranks" in result.output
    assert result.output.count("TEXT") == 9
    assert "second paragraph" not in result.output
    assert "CLOSED" in result.output
    assert "LEFT rank 1" in result.output


def test_a_program_that_fails_leaves_no_rank_waiting(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = job(built, monkeypatch, "raise")
    assert result.exit_code != 0
    assert "ZeroDivisionError: the program fails" in result.output
    assert "LEFT rank 1" in result.output


@pytest.mark.parametrize(
    ("mode", "named"),
    [
        ("kill-follower", ("rank 1 (", "it was told to stop (SIGTERM)", "CAUGHT RankLostError")),
        ("stop-follower", ("rank 1 (", "no longer answers", "CAUGHT RankLostError")),
        ("stop-leader", ("rank 0 (", "no longer answers")),
    ],
)
def test_a_lost_rank_ends_the_job_by_name(
    built: Path, monkeypatch: pytest.MonkeyPatch, mode: str, named: tuple[str, ...]
) -> None:
    result = job(built, monkeypatch, mode)
    assert result.exit_code != 0
    for text in named:
        assert text in result.output, result.output


def test_a_rank_stuck_in_a_step_is_noticed(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = job(built, monkeypatch, "hang", DOUBLE_HANG_RANK="1", DOUBLE_ENDLESS="1")
    assert result.exit_code != 0
    assert "silent" in result.output
    assert "CAUGHT RankLostError" in result.output


def test_a_rank_that_cannot_load_ends_the_others(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = job(built, monkeypatch, "text", DOUBLE_FAIL_LOAD_RANK="1")
    assert result.exit_code != 0
    assert "rank 1 (" in result.output
    assert "out of memory" in result.output


def test_rank_0_hears_why_another_cannot_start(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = job(built, monkeypatch, "text", PRETEND_GPU_1="NVIDIA H200")
    assert result.exit_code != 0
    told = next(line for line in result.output.splitlines() if "ArtifactError: rank 1 (" in line)
    assert "GPU NVIDIA H100 80GB HBM3 built them, NVIDIA H200 is here" in told
    assert "OPEN" not in result.output


def test_auto_takes_tensorrt_llm_only_where_it_fits_every_rank(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variables, expected in (
        ({}, "tensorrt_llm (auto: installed, and the engines fit)"),
        ({"PRETEND_GPU_1": "NVIDIA H200"}, "torch (auto: rank 1 ("),
    ):
        result = job(built, monkeypatch, "auto", **variables)
        assert result.exit_code == 0, result.output
        for rank in range(2):
            assert f"CHOICE {rank} {expected}" in result.output
