"""Options of the TensorRT-LLM backend. Imports nothing of the library."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from commentary_llm.generation.peers import RankTimeouts
from commentary_llm.ground.errors import ConfigError


@dataclass(frozen=True)
class TensorRTLLMConfig:
    """The same on every rank."""

    engine_dir: Path  # as `commentary_llm.ground.home.llm_engines_dir` names it
    model: str  # name of the model, for messages that say how to build its engines
    max_waiting: int = 64  # sequences queued beyond those running; more are refused
    # The KV cache holds this many times what a full batch needs; the rest keeps prefixes. All of the GPU's memory, the
    # library's default, would leave none for the speech networks on rank 0.
    cache_batches: int = 2
    cuda_graphs: bool = True
    stall_s: float = 30.0  # running requests without a token for so long: another rank is stuck in a collective
    drain_s: float = 5.0  # at close: until cancelled requests have ended
    shutdown_s: float = 20.0  # at close: until the executor has ended on all ranks
    # Loading 70 GB of engines takes minutes. Heartbeats may be late while rank 0 loads speech engines.
    timeouts: RankTimeouts = field(default_factory=lambda: RankTimeouts(start_s=600.0, answer_s=10.0))

    def __post_init__(self) -> None:
        for name, least in (("max_waiting", 1), ("cache_batches", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected {least} or more")
