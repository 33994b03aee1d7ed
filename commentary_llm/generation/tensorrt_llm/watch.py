"""Heartbeats between ranks: the executor notices no dead rank, it waits in a broadcast for ever.

All ranks exchange one word about every `ping_s`. A word that does not come within the bound, or a reason that another
rank reports, ends the job with that rank's name. The words also carry "closing", so that a follower can tell an
executor that was shut down from one that ended by itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from enum import IntEnum
from typing import NoReturn

import numpy as np

from commentary_llm.generation.peers import Peers
from commentary_llm.ground.errors import CommentaryError, RankLostError

log = logging.getLogger(__name__)

_BEAT_TAG = 32
_POLL_S = 0.1
_ANSWER_POLL_S = 0.005


class Word(IntEnum):
    """What a rank says of itself in a heartbeat."""

    ALIVE = 0
    CLOSING = 1


class Heartbeat:
    """The exchange itself; all calls from one thread a rank."""

    def __init__(self, peers: Peers) -> None:
        from mpi4py import MPI

        self.peers, self._testall = peers, MPI.Request.Testall

    def exchange(self, word: Word) -> bool:
        """Says `word` to all ranks and hears theirs; True when any is closing. Raises RankLostError."""
        peers, others = self.peers, self.peers.others
        mine = np.array([word], np.int64)
        theirs = np.zeros((peers.info.size, 1), np.int64)
        requests = [peers.comm.Irecv(theirs[rank], rank, _BEAT_TAG) for rank in others]
        requests += [peers.comm.Isend(mine, rank, _BEAT_TAG) for rank in others]
        # Asleep between polls, unlike `Peers.wait`: callers' threads need this core and the interpreter lock.
        limit_s = peers.timeouts.answer_s + peers.timeouts.ping_s
        deadline = time.perf_counter() + limit_s
        while not self._testall(requests) and time.perf_counter() < deadline:
            peers.raise_reported_failure()
            time.sleep(_ANSWER_POLL_S)
        peers.wait(requests, [*others, *others], f"a heartbeat that was due {limit_s:g} s ago", 0.0)
        return bool((theirs == Word.CLOSING).any())

    def rest(self, awake: Callable[[], bool]) -> None:
        """Waits until the next heartbeat is due or `awake` is true. On rank 0 raises RankLostError when told of one."""
        until = time.perf_counter() + self.peers.timeouts.ping_s
        while not awake() and (left_s := until - time.perf_counter()) > 0:
            self.peers.raise_reported_failure()
            time.sleep(min(_POLL_S, left_s))


class RankWatch:
    """Rank 0's heartbeats, on a thread of their own."""

    def __init__(self, peers: Peers, lost: Callable[[CommentaryError], None]) -> None:
        """`lost` is called once, on the watch's thread, with what became of another rank."""
        self._beat = Heartbeat(peers)
        self._lost = lost
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rank-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """Tells the other ranks that the executor is about to be shut down; whether they heard it in time."""
        self._closing.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while True:
                closing = self._closing.is_set()
                self._beat.exchange(Word.CLOSING if closing else Word.ALIVE)
                if closing:
                    return
                self._beat.rest(self._closing.is_set)
        except RankLostError as error:
            self._lost(error)


def end_follower(peers: Peers, error: BaseException) -> NoReturn:
    """Tells rank 0 why this rank ends, gives it time to close its outputs and end the job, then ends it from here."""
    if isinstance(error, RankLostError):
        reason = str(error)
    else:
        expected = isinstance(error, CommentaryError)
        text = str(error) if expected else f"{type(error).__name__}: {error}"
        reason = f"{peers.label(peers.info.rank)} failed: {text}"
        log.error("%s", reason, exc_info=None if expected else error)
    peers.report_failure(reason)
    time.sleep(2 * peers.timeouts.grace_s)
    peers.abort(reason)
