"""Real jobs under mpirun: the same tokens on any rank count, and the death of a rank."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mpi_job import SUPPORT, run_ranks

pytestmark = pytest.mark.mpi
JOB = SUPPORT / "rank_job.py"


def test_same_tokens_on_any_rank_count_and_when_every_rank_draws(tiny_shards: dict[int, Path]) -> None:
    found = []
    for ranks, mode in ((1, "tokens"), (2, "tokens"), (3, "tokens"), (4, "tokens"), (2, "ahead-tokens")):
        job = run_ranks(ranks, JOB, mode, str(tiny_shards[ranks]))
        assert job.exit_code == 0, job.output
        found.append(json.loads(next(line for line in job.output.splitlines() if line.startswith("[[["))))
    assert found[1:] == found[:-1]


@pytest.mark.parametrize(
    ("mode", "named"),
    [
        ("raise", r"the sabotaged step"),
        ("ahead-raise", r"the sabotaged step"),
        ("stop", "no longer answers"),
        ("stop-idle", "no longer answers"),
    ],
)
def test_lost_rank_ends_the_job_by_name(tiny_shards: dict[int, Path], mode: str, named: str) -> None:
    job = run_ranks(2, JOB, mode, str(tiny_shards[2]), timeout_s=25)
    assert job.exit_code != 0
    assert "rank 1 (" in job.output
    assert named in job.output
    assert "CAUGHT RankLostError" in job.output  # the caller had time to close its outputs


def test_killed_rank_ends_the_job(tiny_shards: dict[int, Path]) -> None:
    job = run_ranks(2, JOB, "kill", str(tiny_shards[2]), timeout_s=25)
    assert job.exit_code != 0
    assert "rank 1" in job.output


def test_wrong_rank_count_under_mpirun(tiny_shards: dict[int, Path]) -> None:
    job = run_ranks(2, JOB, "tokens", str(tiny_shards[3]), timeout_s=40)
    assert job.exit_code != 0
    assert "2 MPI ranks are running" in job.output
    assert "--ranks 2" in job.output
