"""The ranks of a model: who leads, and broadcasts in which a follower waits for as long as it takes."""

from __future__ import annotations

import os
import pickle
import time
from typing import Any

import numpy as np

_POLL_S = 0.0005


class Ranks:
    """The session communicator made of MPI's world; without a launcher there is one rank."""

    def __init__(self) -> None:
        self.rank, self.size, self._comm = 0, 1, None
        if "OMPI_COMM_WORLD_SIZE" not in os.environ:
            return
        from mpi4py import MPI

        if MPI.Query_thread() != MPI.THREAD_MULTIPLE:
            raise RuntimeError("MPI was initialised without THREAD_MULTIPLE")
        self._world = MPI.COMM_WORLD
        self.rank, self.size = self._world.Get_rank(), self._world.Get_size()

    def connect(self) -> None:
        """Blocks until every rank of the world has come here."""
        if self.size > 1:
            group = self._world.Get_group()
            self._comm = self._world.Create_group(group, tag=1000)

    def broadcast(self, value: Any = None) -> Any:
        """Rank 0's value on every rank; waits without a bound, as MPI_Bcast does."""
        if self._comm is None:
            return value
        data = np.frombuffer(pickle.dumps(value), np.uint8) if self.rank == 0 else np.empty(0, np.uint8)
        size = np.array([len(data)], np.int64)
        self._wait(self._comm.Ibcast(size, root=0))
        buffer = data.copy() if self.rank == 0 else np.empty(int(size[0]), np.uint8)
        self._wait(self._comm.Ibcast(buffer, root=0))
        return pickle.loads(buffer.tobytes())

    def reduce(self) -> None:
        """Stands for a step's all-reduces: nobody goes on before all have come."""
        if self._comm is not None:
            self._wait(self._comm.Ibarrier())

    @staticmethod
    def _wait(request: Any) -> None:
        while not request.Test():
            time.sleep(_POLL_S)
