"""Ranks above 0: do what rank 0 says until it says stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from commentary_llm.generation.peers import Peers
from commentary_llm.generation.torch.backend import RankBackend, TorchBackendConfig, connect, load_backend
from commentary_llm.generation.torch.protocol import Kind, PlanReceiver
from commentary_llm.ground.errors import CommentaryError, ConfigError, RankLostError

if TYPE_CHECKING:
    from mpi4py import MPI

log = logging.getLogger(__name__)


def serve_torch_generator(config: TorchBackendConfig, comm: MPI.Comm) -> None:
    """Serves rank 0's generator from any other rank of `comm`; blocks, and returns when rank 0 closes it.

    `config` has to be that of rank 0. Raises ConfigError or ArtifactError before ranks have met; a failure after that
    is reported to rank 0 and ends the whole job (MPI abort), since the others cannot go on without this rank.
    """
    if comm.Get_rank() == 0:
        raise ConfigError("rank 0 opens the generator and the others serve it; serve_torch_generator ran on rank 0")
    manifest, peers = connect(config, comm)
    assert peers is not None
    serve_plans(config, peers, lambda: load_backend(config, manifest, peers))


def serve_plans(config: TorchBackendConfig, peers: Peers, load: Callable[[], RankBackend]) -> None:
    """Runs what rank 0 plans until it says stop. A failure is reported to rank 0 and ends the job."""
    try:
        runner = load().runner
        receiver = PlanReceiver(peers, config.message_capacity)
        while True:
            kind, plan = receiver.receive()
            if kind is Kind.STOP:
                peers.barrier("closing")
                break
            if kind is Kind.PING:
                peers.barrier("a ping")
            elif plan is not None:
                runner.run(plan)
    except BaseException as error:
        _fail(peers, error)
        raise
    peers.free()


def _fail(peers: Peers, error: BaseException) -> None:
    """Tells rank 0, gives it time to close its outputs and end the job, then ends it from here."""
    if isinstance(error, RankLostError):
        reason = str(error)
    else:
        text = str(error) if isinstance(error, CommentaryError) else f"{type(error).__name__}: {error}"
        reason = f"{peers.label(peers.info.rank)} failed: {text}"
        log.error("%s", reason, exc_info=error)
    peers.report_failure(reason)
    time.sleep(2 * peers.timeouts.grace_s)
    peers.abort(reason)
