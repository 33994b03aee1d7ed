"""The way to a running executor, the same on every rank: checks first, then all construct it at the same time."""

from __future__ import annotations

import logging
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from commentary_llm.artifacts.machine import Gpu, gpu_of_rank, library_versions, visibility, visible_gpus
from commentary_llm.artifacts.tensorrt_llm import EngineFacts, check_engines, engine_facts
from commentary_llm.generation.peers import Peers
from commentary_llm.generation.tensorrt_llm.config import TensorRTLLMConfig
from commentary_llm.generation.tensorrt_llm.library import executor_bindings
from commentary_llm.generation.tensorrt_llm.settings import executor_config
from commentary_llm.ground.errors import ArtifactError, CommentaryError, ConfigError, EngineError

if TYPE_CHECKING:
    from mpi4py import MPI

log = logging.getLogger(__name__)

_VISIBILITY_TAG, _VISIBILITY_BYTES = 31, 1024


@dataclass(frozen=True)
class Rank:
    """One rank, checked and met with the others; nothing is loaded yet. `peers` is None when there is one rank."""

    rank: int
    ranks: int
    facts: EngineFacts
    gpu: Gpu
    bindings: Any
    peers: Peers | None

    @property
    def label(self) -> str:
        return self.peers.label(self.rank) if self.peers is not None else "rank 0"


def fitting_engines(config: TensorRTLLMConfig, rank: int, ranks: int) -> tuple[EngineFacts, Gpu]:
    """The engines and this rank's GPU, if they belong together. Raises ConfigError, ArtifactError.

    Imports no TensorRT-LLM: what is installed is judged by its package's version.
    """
    facts = engine_facts(config.engine_dir, ranks, config.model)
    gpu = gpu_of_rank(rank, facts.gpus_per_node, visible_gpus())
    check_engines(config.engine_dir, facts, rank, gpu, library_versions())
    return facts, gpu


def connect(config: TensorRTLLMConfig, comm: MPI.Comm | None) -> Rank:
    """Checks library, engines and GPU of this rank and meets the others; none goes on if one cannot.

    Raises ConfigError, ArtifactError (on every rank, whoever has the fault), RankLostError.
    """
    if comm is None or comm.Get_size() == 1:
        bindings = executor_bindings()
        facts, gpu = fitting_engines(config, 0, 1)
        _kv_slots(config, facts)
        return Rank(0, 1, facts, gpu, bindings, None)
    _check_threads()
    rank, ranks = comm.Get_rank(), comm.Get_size()
    own: CommentaryError | None = None
    ready: tuple[EngineFacts, Gpu, Any] | None = None
    try:
        bindings = executor_bindings()
        facts, gpu = fitting_engines(config, rank, ranks)
        _kv_slots(config, facts)
        ready = facts, gpu, bindings
    except CommentaryError as error:
        own = error
    peers = Peers(comm, config.timeouts)
    try:
        fault = peers.agree("" if own is None else str(own))
        if ready is None or fault:
            raise own if own is not None else ArtifactError(fault)
        _check_visibility(peers)
    except CommentaryError:
        peers.free()
        raise
    return Rank(rank, ranks, ready[0], ready[1], ready[2], peers)


def open_executor(config: TensorRTLLMConfig, member: Rank) -> Any:
    """Loads this rank's engine: `Executor(...)`, which returns when all ranks have come.

    Blocks for as long as loading takes, with the interpreter lock held: no other thread runs and no signal is handled
    meanwhile. A failure ends the whole job, since the other ranks wait inside their constructors. Raises EngineError
    with one rank.
    """
    bindings, options = member.bindings, member.facts.options
    cache_tokens = _kv_slots(config, member.facts) * options.max_seq_len
    started = time.perf_counter()
    try:
        executor = bindings.Executor(
            str(config.engine_dir),
            bindings.ModelType.DECODER_ONLY,
            executor_config(
                bindings, options.max_batch_size, cache_tokens, config.max_waiting, cuda_graphs=config.cuda_graphs
            ),
        )
        leads = executor.can_enqueue_requests()
        if leads != (member.rank == 0):
            raise EngineError(f"rank {member.rank} {'leads' if leads else 'follows'}, expected rank 0 alone to lead")
    except Exception as error:
        reason = f"{member.label} could not load {config.engine_dir}: {type(error).__name__}: {error}"
        if member.peers is not None:
            member.peers.abort(reason)
        raise EngineError(reason) from error
    if member.peers is not None:
        member.peers.barrier("loading the engines", config.timeouts.start_s)
    log.info(
        "%s of %d: %s on %s, engines ready in %.1f s",
        *(member.label, member.ranks, member.facts.model, member.gpu.name, time.perf_counter() - started),
    )
    return executor


def _kv_slots(config: TensorRTLLMConfig, facts: EngineFacts) -> int:
    """Sequences of full length in the KV cache. Raises ConfigError when a full batch would not fit."""
    batch = facts.options.max_batch_size
    slots = 2 * batch if config.kv_slots is None else config.kv_slots
    if slots < batch:
        raise ConfigError(
            f"kv_slots is {slots}, expected {batch} or more: the engines decode so many sequences at once"
        )
    return slots


def _check_threads() -> None:
    from mpi4py import MPI

    if MPI.Query_thread() != MPI.THREAD_MULTIPLE:
        raise ConfigError(
            "MPI was initialised without THREAD_MULTIPLE, but the executor and the rank watch call it from threads of "
            "their own; use an MPI library built with thread support and leave mpi4py's default"
        )


def _check_visibility(peers: Peers) -> None:
    """Raises ConfigError when ranks of one host see different GPUs: direct access between GPUs would be lost."""
    texts = peers.exchange_text(f"{socket.gethostname()}\n{visibility()}", _VISIBILITY_TAG, _VISIBILITY_BYTES)
    seen: dict[str, set[str]] = {}
    for text in texts:
        host, _, gpus = text.partition("\n")
        seen.setdefault(host, set()).add(gpus)
    for host, different in seen.items():
        if len(different) > 1:
            raise ConfigError(
                f"the ranks on {host} see different GPUs (CUDA_VISIBLE_DEVICES: {', '.join(sorted(different))}); let "
                "every rank see all GPUs of its host, TensorRT-LLM gives rank r number r"
            )
