"""The other ranks of the job: who they are, and waits on them that always end.

Every wait polls non-blocking requests up to a bound, so a rank that was killed, stopped or stuck is noticed and named
by whoever waits for it. A rank that fails sends its reason to rank 0, which tells the caller before the job ends.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from commentary_llm.ground.errors import RankLostError

if TYPE_CHECKING:
    from mpi4py import MPI

log = logging.getLogger(__name__)

PLAN_TAG, REDUCE_TAG, GATHER_TAG, BARRIER_TAG, LABEL_TAG, FAILURE_TAG, FAULT_TAG, REGION_TAG = range(1, 9)
_LABEL_BYTES, _FAILURE_BYTES = 256, 4096
_SPINS = 200  # about 60 µs: longer than two ranks usually differ in a layer
_SLEEP_AFTER_S = 0.05  # a peer this late is not computing the same layer: stop using its core
_SLEEP_S = 0.0005
_FAILURE_POLL_S = 0.05


@dataclass(frozen=True)
class RankInfo:
    """Which of the tensor-parallel ranks this process is."""

    rank: int
    size: int


def info_of(peers: Peers | None) -> RankInfo:
    """Of this process; without peers it is the only rank."""
    return RankInfo(0, 1) if peers is None else peers.info


@dataclass(frozen=True)
class RankTimeouts:
    """Bounds of the waits between ranks, in seconds."""

    start_s: float = 120.0  # until every rank has loaded its shard
    answer_s: float = 4.0  # a step of 256 tokens takes under 0.5 s on two cores
    ping_s: float = 1.0  # how often idle ranks are asked whether they live
    grace_s: float = 2.0  # between telling the caller and ending the job, so that outputs can be closed


class Peers:
    """A duplicate communicator, so that no message here meets another library's. All calls from one thread a rank."""

    def __init__(self, comm: MPI.Comm, timeouts: RankTimeouts) -> None:
        """Blocks until every rank has come (`start_s`). Raises RankLostError."""
        from mpi4py import MPI

        self._mpi = MPI
        self.timeouts = timeouts
        self.info = RankInfo(comm.Get_rank(), comm.Get_size())
        self._labels = [f"rank {rank}" for rank in range(self.info.size)]
        self._connected = False  # until then the new communicator must not be touched
        self.comm, request = comm.Idup()
        self.wait([request], [None], "the start of the job", timeouts.start_s)
        self._connected = True
        self._exchange_labels()

    @property
    def others(self) -> list[int]:
        return [rank for rank in range(self.info.size) if rank != self.info.rank]

    @property
    def local_rank(self) -> int:
        """How many lower ranks run on the same host: which of its GPUs is this rank's."""
        hosts = [label.split("(")[1].split(",")[0] for label in self._labels]
        return hosts[: self.info.rank].count(hosts[self.info.rank])

    def label(self, rank: int) -> str:
        """ "rank 1 (host, pid 4242)"."""
        return self._labels[rank]

    def wait(
        self,
        requests: Sequence[MPI.Request],
        ranks: Sequence[int | None],
        what: str,
        timeout_s: float | None = None,
    ) -> None:
        """Polls until all `requests` are complete; `ranks` says whom each waits for (None: everybody).

        Spins briefly, then yields the core between polls, then sleeps. Raises RankLostError past `timeout_s` (by
        default `answer_s`), naming the missing ranks, or when rank 0 is told of a failure elsewhere.
        """
        testall = self._mpi.Request.Testall
        for _ in range(_SPINS):
            if testall(requests):
                return
        started = time.perf_counter()
        limit_s = self.timeouts.answer_s if timeout_s is None else timeout_s
        next_check_s = _FAILURE_POLL_S
        while not testall(requests):
            waited_s = time.perf_counter() - started
            if waited_s < _SLEEP_AFTER_S:
                os.sched_yield()
                continue
            time.sleep(_SLEEP_S)
            if waited_s >= next_check_s:
                next_check_s = waited_s + _FAILURE_POLL_S
                self.raise_reported_failure()
            if waited_s > limit_s:
                self._raise_missing(requests, ranks, what, waited_s)

    def _raise_missing(
        self, requests: Sequence[MPI.Request], ranks: Sequence[int | None], what: str, waited_s: float
    ) -> NoReturn:
        late = [rank for request, rank in zip(requests, ranks, strict=True) if not request.Test()]
        missing = sorted({rank for rank in late if rank is not None})
        names = ", ".join(self.label(rank) for rank in missing) or "another rank"
        raise RankLostError(
            f"{names} no longer answers: {self.label(self.info.rank)} waited {waited_s:.1f} s for it in {what}; "
            "the job ends, start it again"
        )

    def barrier(self, what: str, timeout_s: float | None = None) -> None:
        """Returns when every rank has come here. Raises RankLostError."""
        mine, theirs = np.zeros(1, np.int64), np.zeros((self.info.size, 1), np.int64)
        requests = [self.comm.Irecv(theirs[rank], rank, BARRIER_TAG) for rank in self.others]
        requests += [self.comm.Isend(mine, rank, BARRIER_TAG) for rank in self.others]
        self.wait(requests, [*self.others, *self.others], what, timeout_s)

    def report_failure(self, reason: str) -> None:
        """Tells rank 0, from another rank, why this one ends; gives up after `grace_s`."""
        message = np.frombuffer(reason.encode()[:_FAILURE_BYTES], dtype=np.uint8)
        request = self.comm.Isend(message, 0, FAILURE_TAG)
        deadline = time.perf_counter() + self.timeouts.grace_s
        while not request.Test() and time.perf_counter() < deadline:
            time.sleep(_SLEEP_S)

    def raise_reported_failure(self) -> None:
        """On rank 0: raises RankLostError with what another rank reported, if one did."""
        if self.info.rank or not self._connected:
            return
        status = self._mpi.Status()
        if self.comm.Iprobe(self._mpi.ANY_SOURCE, FAILURE_TAG, status):
            message = np.zeros(_FAILURE_BYTES, np.uint8)
            self.comm.Recv(message, status.Get_source(), FAILURE_TAG, status)
            raise RankLostError(message[: status.Get_count(self._mpi.BYTE)].tobytes().decode(errors="replace"))

    def abort(self, reason: str) -> NoReturn:
        """Prints `reason` and ends every rank of the job with exit code 1."""
        print(f"commentary-llm: {reason}", file=sys.stderr, flush=True)
        self.comm.Abort(1)
        raise AssertionError("MPI_Abort returned")

    def free(self) -> None:
        """Gives the duplicate communicator back; all ranks call it after a barrier."""
        self.comm.Free()

    def _exchange_labels(self) -> None:
        text = f"rank {self.info.rank} ({socket.gethostname()}, pid {os.getpid()})"
        self._labels = self.exchange_text(text, LABEL_TAG, _LABEL_BYTES)

    def agree(self, fault: str) -> str:
        """Every rank says what keeps it from starting ('' for nothing); all get the first fault, with its rank's name.

        So that a rank that cannot start takes the others with it at once. Raises RankLostError.
        """
        faults = self.exchange_text(fault, FAULT_TAG, _FAILURE_BYTES)
        return next((f"{self.label(rank)}: {text}" for rank, text in enumerate(faults) if text), "")

    def exchange_text(self, text: str, tag: int, capacity_bytes: int) -> list[str]:
        """One text a rank, cut to the capacity, in rank order. Raises RankLostError past `start_s`."""
        mine = text.encode()[:capacity_bytes].ljust(capacity_bytes, b"\0")
        return [theirs.rstrip(b"\0").decode(errors="replace") for theirs in self.exchange_bytes(mine, tag)]

    def exchange_bytes(self, mine: bytes, tag: int) -> list[bytes]:
        """As many bytes from every rank, in rank order. Raises RankLostError past `start_s`."""
        rank = self.info.rank
        rows = np.zeros((self.info.size, len(mine)), np.uint8)
        rows[rank] = np.frombuffer(mine, np.uint8)
        requests = [self.comm.Irecv(rows[other], other, tag) for other in self.others]
        requests += [self.comm.Isend(rows[rank], other, tag) for other in self.others]
        self.wait(requests, [*self.others, *self.others], "the start of the job", self.timeouts.start_s)
        return [row.tobytes() for row in rows]


class PersistentExchange:
    """Sends one buffer to all other ranks and receives theirs, with requests set up once for one size."""

    def __init__(self, peers: Peers, mine: Any, theirs: dict[int, Any], tag: int, what: str) -> None:
        """`mine` goes to all others; `theirs` are the buffers to fill, by rank. Buffers stay alive and in place."""
        comm, others = peers.comm, peers.others
        self._peers, self._what = peers, what
        self._requests = [comm.Recv_init(theirs[rank], rank, tag) for rank in others]
        self._requests += [comm.Send_init(mine, rank, tag) for rank in others]
        self._ranks: Sequence[int | None] = [*others, *others]
        self._start = peers._mpi.Prequest.Startall

    def run(self) -> None:
        """One exchange. Raises RankLostError."""
        self._start(self._requests)
        self._peers.wait(self._requests, self._ranks, self._what)
