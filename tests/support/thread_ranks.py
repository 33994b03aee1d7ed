"""The model on several ranks inside one process: a thread a rank, sums through shared memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from commentary_llm.artifacts.llama import read_config
from commentary_llm.generation.peers import RankInfo
from commentary_llm.generation.torch.config import model_config
from commentary_llm.generation.torch.kernels import select_kernels
from commentary_llm.generation.torch.kv_cache import KVCache
from commentary_llm.generation.torch.model import LlamaShard
from commentary_llm.generation.torch.protocol import StepPlan
from commentary_llm.generation.torch.runner import StepRunner
from commentary_llm.generation.torch.sizes import PaddedShard, padded_config
from commentary_llm.generation.torch.weights import ShardFile, ShardLoader

_TIMEOUT_S = 60


class ThreadCollectives:
    """Collectives between threads; `parts` and `barrier` are shared by all ranks."""

    def __init__(self, info: RankInfo, parts: list[torch.Tensor | None], barrier: threading.Barrier) -> None:
        self.info, self._parts, self._barrier = info, parts, barrier

    def _exchange(self, mine: torch.Tensor) -> list[torch.Tensor]:
        self._parts[self.info.rank] = mine.clone()
        self._barrier.wait(_TIMEOUT_S)
        parts = [part for part in self._parts if part is not None]
        self._barrier.wait(_TIMEOUT_S)
        return parts

    def all_reduce(self, partial: torch.Tensor) -> torch.Tensor:
        return torch.stack([part.float() for part in self._exchange(partial)]).sum(0)

    def gather(self, local: torch.Tensor) -> torch.Tensor | None:
        parts = self._exchange(local)
        return torch.cat(parts, dim=1) if self.info.rank == 0 else None


class ThreadRanks:
    """Runs step plans on all ranks at once."""

    def __init__(
        self,
        shards: Path,
        ranks: int,
        compute_dtype: str,
        slots: int = 4,
        max_context: int = 256,
        sizes: str | None = None,
    ) -> None:
        self._pool = ThreadPoolExecutor(ranks)
        parts: list[torch.Tensor | None] = [None] * ranks
        barrier = threading.Barrier(ranks)
        device = torch.device("cpu")
        small = model_config(read_config(shards), ranks, str(shards))
        config = small if sizes is None else padded_config(small, ranks, sizes)
        self._runners = []
        for rank in range(ranks):
            kernels = select_kernels(compute_dtype)
            file = ShardFile(shards / f"rank{rank}.safetensors", "rebuild")
            shard: ShardLoader = file if sizes is None else PaddedShard(file, small)
            weights = shard(config, kernels, device)
            cache = KVCache(config, slots, max_context, kernels.cache_dtype, device)
            collectives = ThreadCollectives(RankInfo(rank, ranks), parts, barrier)
            model = LlamaShard(config, weights, kernels, collectives, cache, device)
            self._runners.append(StepRunner(model, cache, config.group, device))

    def run(self, plan: StepPlan) -> torch.Tensor | None:
        """Rank 0's logits; checks that the other ranks return none."""
        calls: list[Callable[[], torch.Tensor | None]] = [lambda r=runner: r.logits(plan) for runner in self._runners]
        results = [future.result(_TIMEOUT_S) for future in [self._pool.submit(call) for call in calls]]
        assert all(result is None for result in results[1:])
        return results[0]

    def close(self) -> None:
        self._pool.shutdown()
