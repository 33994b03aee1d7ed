"""The MPI world this process belongs to, and the word rank 0 gives before the others start to serve."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from commentary_llm.ground.errors import RankLostError

if TYPE_CHECKING:
    from mpi4py import MPI

# Set by the launchers of Open MPI, PMIx, MPICH/Intel MPI (Hydra) and Slurm for every process they start.
_LAUNCHER_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "SLURM_STEP_NUM_TASKS")
_POLL_S = 0.01


def world() -> MPI.Comm | None:
    """MPI's world under a launcher; None for a process started by itself, which needs no MPI at all."""
    if not any(name in os.environ for name in _LAUNCHER_VARIABLES):
        return None
    from mpi4py import MPI

    return MPI.COMM_WORLD


def go_ahead(comm: MPI.Comm | None, exit_code: int = 0, *, timeout_s: float = 120.0) -> int:
    """Rank 0 says whether the job goes on (0) or with which code all ranks leave; every rank returns that.

    All ranks of `comm` call it; `exit_code` counts on rank 0. It lets rank 0 refuse bad input before the others have
    loaded anything. Raises RankLostError when not all ranks come within `timeout_s`.
    """
    if comm is None or comm.Get_size() == 1:
        return exit_code
    word = np.array([exit_code], np.int64)
    request = comm.Ibcast(word, root=0)
    deadline = time.perf_counter() + timeout_s
    while not request.Test():
        if time.perf_counter() > deadline:
            raise RankLostError(
                f"rank {comm.Get_rank()} of {comm.Get_size()}: the other ranks did not come within {timeout_s:g} s"
            )
        time.sleep(_POLL_S)
    return int(word[0])


def leave(main: Callable[[], int]) -> NoReturn:
    """Runs the program and ends the process with its exit code.

    Where TensorRT-LLM was loaded, MPI is finalised here and the process ends at once: that library's static MPI
    communicators may corrupt the heap when they are destroyed after MPI (mended after 1.2.1), and a crash then would
    hide that the program had done its work.
    """
    try:
        code: int | str | None = main()
    except SystemExit as stop:
        code = stop.code
    if "tensorrt_llm" not in sys.modules:
        sys.exit(code)
    from mpi4py import MPI

    if isinstance(code, str):
        print(code, file=sys.stderr)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    if MPI.Is_initialized() and not MPI.Is_finalized():
        MPI.Finalize()
    os._exit(code if isinstance(code, int) else int(code is not None))
