"""One rank's model made ready: manifest checked, ranks met, shard loaded, cache allocated."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from commentary_llm.artifacts.llama import read_config
from commentary_llm.artifacts.manifest import Manifest, load_manifest, read_manifest
from commentary_llm.generation.peers import Peers, RankTimeouts, info_of
from commentary_llm.generation.torch.collectives import Collectives, MpiCollectives, SoloCollectives
from commentary_llm.generation.torch.config import ModelConfig, model_config
from commentary_llm.generation.torch.kernels import cpu_compute_dtype, select_kernels
from commentary_llm.generation.torch.kv_cache import KVCache
from commentary_llm.generation.torch.model import LlamaShard
from commentary_llm.generation.torch.protocol import message_capacity
from commentary_llm.generation.torch.runner import HostRunner, Runner, StepRunner
from commentary_llm.generation.torch.sizes import PaddedShard, padded_config
from commentary_llm.generation.torch.weights import ShardFile, ShardLoader
from commentary_llm.ground.errors import ArtifactError, CommentaryError, ConfigError

if TYPE_CHECKING:
    from mpi4py import MPI

log = logging.getLogger(__name__)

_PREFIXES = 16
_CACHE_BYTES = {"cpu": 2 << 30, "cuda": 16 << 30}


@dataclass(frozen=True)
class TorchBackendConfig:
    """Options of the torch backend; the same on every rank."""

    shards: Path  # as `commentary_llm.ground.home.shards_dir` names it
    compute_dtype: str = "auto"  # "int8", or "float32" (exact, four bytes a weight); auto: see `cpu_compute_dtype`
    device: str = "cpu"  # or "cuda": each rank on a GPU of its own, of compute capability 9.0
    max_batch: int = 8  # candidates that decode together
    kv_slots: int | None = None  # sequences whose keys and values are kept; None: see `kv_slots_of`
    max_context: int = 1024  # tokens of prompt and completion together
    max_step_tokens: int = 256  # prompts are computed in chunks of up to this many tokens
    max_waiting: int = 64  # requests queued beyond those running; more are refused
    steps_ahead: int = 4  # decode steps a plan, where the device draws; news and the voice wait for about two plans
    threads: int = 1  # torch threads a rank
    sizes: str | None = None  # pad the model with zeros to these sizes, for timing: a name of `sizes.KNOWN_SIZES`
    # An idle loop waits so long after a request for others that share its first step. Four requests within 3 ms of each
    # other ended after 3.7 s with 0, 3.0 s with 2 and 2.8 s with 5 ms (default model, two busy cores); four submitters
    # that never rest get as many lines with any. But of 8 matches with 8 events a minute each, two ask within 5 ms once
    # in 200 times, and all others would wait in vain: hence 0.
    batch_window_ms: float = 0.0
    timeouts: RankTimeouts = field(default_factory=RankTimeouts)

    def __post_init__(self) -> None:
        least_values = {"max_batch": 1, "max_context": 2, "max_waiting": 1, "steps_ahead": 1, "threads": 1}
        for name, least in least_values.items():
            if getattr(self, name) < least:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected {least} or more")
        if self.kv_slots is not None and self.kv_slots < self.max_batch:
            raise ConfigError(f"kv_slots is {self.kv_slots}, expected max_batch {self.max_batch} or more")
        if not 0 <= self.batch_window_ms <= 10:
            raise ConfigError(f"batch_window_ms is {self.batch_window_ms}, expected 0 to 10")
        if self.device not in ("cpu", "cuda"):
            raise ConfigError(f"device is {self.device!r}, expected 'cpu' or 'cuda'")
        if self.device == "cuda" and self.compute_dtype == "float32":
            raise ConfigError(f"compute_dtype is {self.compute_dtype!r}, and device 'cuda' computes in 'int8' alone")
        if self.max_step_tokens <= self.max_batch:
            raise ConfigError(
                f"max_step_tokens is {self.max_step_tokens}, expected more than max_batch {self.max_batch}"
            )

    @property
    def message_capacity(self) -> int:
        return message_capacity(self.max_batch, self.max_step_tokens, self.max_context)


@dataclass(frozen=True)
class RankBackend:
    """What one rank runs steps with. `peers` is None when there is one rank."""

    runner: Runner
    peers: Peers | None
    model: ModelConfig
    model_name: str
    compute_dtype: str
    weight_bytes: int
    slots: int  # of the KV cache
    cache_bytes: int


def slot_bytes(config: TorchBackendConfig, model: ModelConfig) -> int:
    """Bytes of a rank's KV cache that one sequence of `max_context` tokens takes."""
    local, number_bytes = model.local, 2 if config.device == "cuda" else 4
    return number_bytes * local.layers * 2 * local.kv_heads * local.head_dim * config.max_context


def kv_slots_of(config: TorchBackendConfig, model: ModelConfig) -> int:
    """Slots of the KV cache, the same on every rank: as configured, else a full batch and the prefixes of 16 matches.

    Of the prefixes as many as fit 2 GiB a rank on a CPU and 16 GiB on a GPU, slots at their full length. What is never
    written takes no memory on a CPU: a prefix of 230 tokens of the default model 11 MB (one rank of one).
    """
    if config.kv_slots is not None:
        return config.kv_slots
    fitting = _CACHE_BYTES[config.device] // slot_bytes(config, model)
    return max(config.max_batch, min(config.max_batch + _PREFIXES, fitting))


def check_shards(config: TorchBackendConfig, rank: int, ranks: int) -> Manifest:
    """The manifest of shards made for `ranks`; of this rank's own every byte is checked (0.1 s for 70 MB).

    Raises ConfigError with both numbers when the rank counts differ, else ArtifactError.
    """
    manifest = read_manifest(config.shards, f"python -m checkpoints shard --ranks {ranks}")
    if manifest.ranks != ranks:
        raise ConfigError(
            f"{ranks} MPI ranks are running but {config.shards} is cut for {manifest.ranks}; start "
            f"{manifest.ranks} ranks or run `python -m checkpoints shard --model {manifest.name} --ranks {ranks}` and "
            "use those shards"
        )
    own = (f"rank{rank}.safetensors",)
    return load_manifest(config.shards, kind="llama-int8-shards", ranks=ranks, hash_files=own, command=manifest.command)


def connect(config: TorchBackendConfig, comm: MPI.Comm | None) -> tuple[Manifest, Peers | None]:
    """Checks this rank's shards and meets the other ranks; none starts if one cannot.

    Raises ConfigError, ArtifactError (on every rank, whosever shard it is), RankLostError.
    """
    if comm is None or comm.Get_size() == 1:
        return check_shards(config, 0, 1), None
    rank, ranks = comm.Get_rank(), comm.Get_size()
    manifest, own = None, None
    try:
        manifest = check_shards(config, rank, ranks)
    except CommentaryError as error:
        own = error
    peers = Peers(comm, config.timeouts)
    fault = peers.agree("" if own is None else str(own))
    if manifest is None or fault:
        peers.free()
        raise own if own is not None else ArtifactError(fault)
    return manifest, peers


def load_backend(config: TorchBackendConfig, manifest: Manifest, peers: Peers | None) -> RankBackend:
    """Loads this rank's shard and waits until every rank has. Call on the thread that runs the steps."""
    info = info_of(peers)
    model = model_config(read_config(config.shards), info.size, str(config.shards))
    file = ShardFile(config.shards / f"rank{info.rank}.safetensors", manifest.command)
    if config.sizes is None:
        return make_backend(config, model, manifest.name, file, peers)
    big = padded_config(model, info.size, config.sizes)
    return make_backend(config, big, f"{manifest.name} at {config.sizes}'s sizes", PaddedShard(file, model), peers)


def make_backend(
    config: TorchBackendConfig, model: ModelConfig, name: str, shard: ShardLoader, peers: Peers | None
) -> RankBackend:
    """Loads this rank's part of a model and waits until every rank has. Call on the thread that runs the steps."""
    started = time.perf_counter()
    torch.set_num_threads(config.threads)
    if config.max_context > model.max_positions:
        raise ConfigError(f"max_context is {config.max_context}, the model knows {model.max_positions} positions")
    slots = kv_slots_of(config, model)
    runner: Runner
    if config.device == "cuda":
        compute_dtype = "int8"
        runner, weight_bytes, cache_bytes = _cuda_runner(config, model, shard, peers)
    else:
        compute_dtype = cpu_compute_dtype(config.compute_dtype)
        runner, weight_bytes, cache_bytes = _cpu_runner(config, model, shard, peers, compute_dtype)
    if peers is not None:
        peers.barrier("loading the model", config.timeouts.start_s)
    info = info_of(peers)
    log.info(
        "rank %d of %d: %s, %s, %.0f MB weights, %d sequences of cache in %.0f MB, ready in %.1f s",
        *(info.rank, info.size, name, compute_dtype, weight_bytes / 1e6, slots, cache_bytes / 1e6),
        time.perf_counter() - started,
    )
    return RankBackend(runner, peers, model, name, compute_dtype, weight_bytes, slots, cache_bytes)


def _cpu_runner(
    config: TorchBackendConfig, model: ModelConfig, load: ShardLoader, peers: Peers | None, compute_dtype: str
) -> tuple[Runner, int, int]:
    """The runner on this host's CPU, bytes of weights and of cache."""
    device, kernels = torch.device("cpu"), select_kernels(compute_dtype)
    collectives: Collectives = SoloCollectives() if peers is None else MpiCollectives(peers)
    weights = load(model, kernels, device)
    cache = KVCache(model, kv_slots_of(config, model), config.max_context, kernels.cache_dtype, device)
    shard = LlamaShard(model, weights, kernels, collectives, cache, device)
    return HostRunner(StepRunner(shard, cache, model.group, device)), weights.size_bytes, cache.size_bytes


def _cuda_runner(
    config: TorchBackendConfig, model: ModelConfig, load: ShardLoader, peers: Peers | None
) -> tuple[Runner, int, int]:
    """The runner on this rank's GPU, bytes of weights and of cache. Raises ConfigError on every rank if one cannot."""
    from commentary_llm.generation.torch.cuda.decode import RawMatrices
    from commentary_llm.generation.torch.cuda.runner import CudaRunner

    index = 0 if peers is None else peers.local_rank
    fault = _against_gpu(config, model, index)
    if peers is not None:
        fault = peers.agree(fault)
    if fault:
        raise ConfigError(fault)
    device = torch.device("cuda", index)
    weights = load(model, RawMatrices(), device)
    runner = CudaRunner(
        model, weights, kv_slots_of(config, model), config.max_context, config.max_step_tokens, device, peers
    )
    return runner, weights.size_bytes, runner.cache_bytes


def _against_gpu(config: TorchBackendConfig, model: ModelConfig, index: int) -> str:
    """Why the host's GPU number `index` cannot hold this rank; '' when it can, and then its memory budget is logged."""
    if not torch.cuda.is_available():
        return "device is 'cuda', and torch sees no CUDA GPU; use device 'cpu'"
    if index >= torch.cuda.device_count():
        return (
            f"it is number {index} on its host, which shows {torch.cuda.device_count()} GPUs; each rank needs its own"
        )
    local, name = model.local, torch.cuda.get_device_name(index)
    weight_bytes = sum(math.prod(shape) for shape in local.tensors().values())
    cache_bytes = kv_slots_of(config, model) * slot_bytes(config, model)
    free_bytes, total_bytes = torch.cuda.mem_get_info(index)
    log.info(
        "GPU %d, %s: %.1f of %.1f GB free; weights %.1f GB (twice while they are packed), cache %.1f GB",
        *(index, name, free_bytes / 1e9, total_bytes / 1e9, weight_bytes / 1e9, cache_bytes / 1e9),
    )
    if 2 * weight_bytes + cache_bytes > free_bytes:
        return (
            f"{name} has {free_bytes / 1e9:.1f} GB free, and the weights (twice while they are packed) and the cache "
            f"take {(2 * weight_bytes + cache_bytes) / 1e9:.1f} GB; lower kv_slots or max_context, or use more ranks"
        )
    return ""
