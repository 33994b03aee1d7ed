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
    # Sequences of full length that the KV cache has room for, in blocks: what running ones leave keeps prefixes, those
    # used longest ago go first. None: twice a full batch. All of the GPU's memory, the library's default, would leave
    # none for the speech networks on rank 0.
    kv_slots: int | None = None
    batch_window_ms: float = 0.0  # how long the first of several requests waits for the others, 0 to 10
    cuda_graphs: bool = True
    stall_s: float = 30.0  # running requests without a token for so long: another rank is stuck in a collective
    drain_s: float = 5.0  # at close: until cancelled requests have ended
    shutdown_s: float = 20.0  # at close: until the executor has ended on all ranks
    # Loading 70 GB of engines takes minutes. Heartbeats may be late while rank 0 loads speech engines.
    timeouts: RankTimeouts = field(default_factory=lambda: RankTimeouts(start_s=600.0, answer_s=10.0))

    def __post_init__(self) -> None:
        if self.max_waiting < 1:
            raise ConfigError(f"max_waiting is {self.max_waiting}, expected 1 or more")
        if not 0 <= self.batch_window_ms <= 10:
            raise ConfigError(f"batch_window_ms is {self.batch_window_ms}, expected 0 to 10")
