"""The GPU's runner under the real scheduler, messages between ranks included; and the same job on the CPU."""

from __future__ import annotations

import json

import pytest
import torch
from mpi_job import SUPPORT, run_ranks

JOB = SUPPORT / "cuda_runner_job.py"
LEAST_SAME = 0.97  # of the tokens; the others were as good as the best to within a percent


def _run(ranks: int, shape: str, device: str) -> None:
    result = run_ranks(ranks, JOB, shape, device, timeout_s=300)
    assert result.exit_code == 0, result.output
    found = json.loads(next(line for line in result.output.splitlines() if line.startswith("{")))
    assert found["ranks"] == ranks
    assert found["same"] >= LEAST_SAME * found["checked"] > 0, found


@pytest.mark.gpu
@pytest.mark.parametrize("shape", ["small", "large"])
@pytest.mark.parametrize("ranks", [1, 2])
def test_greedy_tokens_are_the_cpus(ranks: int, shape: str) -> None:
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() != (9, 0):
        pytest.skip("needs a GPU of compute capability 9.0")
    if torch.cuda.device_count() < ranks:
        pytest.skip(f"needs {ranks} GPUs")
    _run(ranks, shape, "cuda")


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_the_check_itself_on_the_cpu(ranks: int) -> None:
    _run(ranks, "small", "cpu")
