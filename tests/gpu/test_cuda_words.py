"""The default model on GPUs says what it says on the CPU."""

from __future__ import annotations

import json

import pytest
import torch
from mpi_job import SUPPORT, run_ranks

JOB = SUPPORT / "cuda_words_job.py"


def _tokens(ranks: int, device: str) -> list[list[int]]:
    result = run_ranks(ranks, JOB, device, timeout_s=300)
    assert result.exit_code == 0, result.output
    tokens: list[list[int]] = json.loads(next(line for line in result.output.splitlines() if line.startswith("[[")))
    return tokens


@pytest.mark.gpu
@pytest.mark.models
@pytest.mark.parametrize("ranks", [1, 2])
def test_greedy_words_are_the_cpus(ranks: int) -> None:
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() != (9, 0):
        pytest.skip("needs a GPU of compute capability 9.0")
    if torch.cuda.device_count() < ranks:
        pytest.skip(f"needs {ranks} GPUs")
    assert _tokens(ranks, "cuda") == _tokens(ranks, "cpu")
