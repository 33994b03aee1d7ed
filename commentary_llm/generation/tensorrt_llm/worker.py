"""Ranks above 0: the executor's follower, which blocks until rank 0 shuts it down, and still hears signals."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from commentary_llm.generation.peers import Peers
from commentary_llm.generation.tensorrt_llm.config import TensorRTLLMConfig
from commentary_llm.generation.tensorrt_llm.connect import connect, open_executor
from commentary_llm.generation.tensorrt_llm.watch import Heartbeat, Word, end_follower
from commentary_llm.ground.errors import ConfigError, EngineError

if TYPE_CHECKING:
    from mpi4py import MPI


def serve_tensorrt_llm_generator(config: TensorRTLLMConfig, comm: MPI.Comm) -> None:
    """Serves rank 0's generator from any other rank of `comm`; blocks, and returns when rank 0 closes it.

    `config` has to be that of rank 0. SIGTERM and SIGINT end the job, after rank 0 was told. Raises ConfigError or
    ArtifactError before engines are loaded; a failure after that ends the whole job (MPI abort).
    """
    if comm.Get_rank() == 0:
        raise ConfigError(
            "rank 0 opens the generator and the others serve it; serve_tensorrt_llm_generator ran on rank 0"
        )
    member = connect(config, comm)
    peers = member.peers
    assert peers is not None
    try:
        with _stop_signals() as stopped:
            executor = open_executor(config, member)
            _follow(executor, peers, stopped, config)
            del executor
            peers.barrier("closing", config.shutdown_s)
    except BaseException as error:
        end_follower(peers, error)
    peers.free()


def _follow(executor: Any, peers: Peers, stopped: list[str], config: TensorRTLLMConfig) -> None:
    """Waits in `shutdown()`, on a thread, until the leader has called it too; heartbeats and signals meanwhile."""
    failure: list[BaseException] = []

    def wait() -> None:
        try:
            executor.shutdown()  # on a follower this only joins its execution thread, without the interpreter lock
        except BaseException as error:
            failure.append(error)

    waiting = threading.Thread(target=wait, name="executor-follower", daemon=True)
    waiting.start()
    beat = Heartbeat(peers)
    while not beat.exchange(Word.ALIVE):
        beat.rest(lambda: bool(stopped) or not waiting.is_alive())
        if stopped:
            raise EngineError(f"it was told to stop ({stopped[0]})")
        if not waiting.is_alive():
            # The leader says that it is closing before it shuts down, so the next word has to be that.
            if not failure and beat.exchange(Word.ALIVE):
                break
            raise EngineError("its executor ended by itself") from next(iter(failure), None)
    deadline = time.perf_counter() + config.shutdown_s
    while waiting.is_alive() and time.perf_counter() < deadline:
        waiting.join(0.1)
    if failure:
        raise EngineError(f"shutting the executor down failed: {failure[0]}") from failure[0]
    if waiting.is_alive():
        raise EngineError(f"its executor did not shut down within {config.shutdown_s:g} s")


@contextmanager
def _stop_signals() -> Iterator[list[str]]:
    """Names of the signals received that ask this rank to stop; only in the main thread can they be caught."""
    received: list[str] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    handlers = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
