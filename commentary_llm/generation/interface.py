"""The one door to any language model: prompts in, token text out. Knows nothing of football, MPI or CUDA."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


@dataclass(frozen=True)
class SamplingParams:
    """How tokens are drawn. `temperature` 0 is greedy; then `top_p` and `seed` have no effect."""

    max_new_tokens: int = 48
    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    candidates: int = 1  # completions of the same prompt, decoded in one batch


@dataclass(frozen=True)
class GenerationRequest:
    """One prompt. `prefix` + `text` is what the model reads; `prefix` is worth keeping in the KV cache for the next."""

    prefix: str
    text: str
    sampling: SamplingParams = SamplingParams()
    priority: int = 0  # higher is decoded first when the batch is full
    deadline_ms: float | None = None  # from submit; past it the request ends with FinishReason.DEADLINE


class FinishReason(str, Enum):
    STOP = "stop"  # end-of-text token or a stop string
    LENGTH = "length"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"


@dataclass(frozen=True)
class TokenChunk:
    """Text that became final with one decode step of one candidate; '' when bytes of a character are still missing."""

    candidate: int
    text: str
    logprob: float  # natural log, summed over the chunk's tokens, under the unpenalised temperature-1 distribution
    tokens: int
    finish_reason: FinishReason | None = None


@dataclass(frozen=True)
class Completion:
    """One finished candidate. `text` excludes the stop string."""

    candidate: int
    text: str
    token_ids: tuple[int, ...]
    logprob: float
    finish_reason: FinishReason


class GenerationHandle(Protocol):
    """A request in flight; its own iterator. Thread-safe: submit in one thread, read in another."""

    def __iter__(self) -> Iterator[TokenChunk]:
        """Chunks of all candidates as they come; ends when all are finished. Raises EngineError/RankLostError."""
        ...

    def result(self, timeout_s: float | None = None) -> list[Completion]:
        """Blocks until all candidates are finished; ordered by candidate. Raises TimeoutError past `timeout_s`."""
        ...

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt."""
        ...

    @property
    def cached_tokens(self) -> int:
        """How many of them were already in the KV cache (0 until prefill has run)."""
        ...


class Generator(Protocol):
    """A model ready on rank 0. Ranks above 0 serve it and never see this interface."""

    @property
    def description(self) -> str:
        """Backend, model, dtype, ranks: one line for logs and reports."""
        ...

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that rank 0 reads for one decode step."""
        ...

    def chat(self, system: str, turns: list[tuple[str, str]]) -> str:
        """Renders `system` and (role, content) turns with the model's chat template, up to the assistant's turn.

        Without a template: plain text, one paragraph a turn.
        """
        ...

    def count_tokens(self, text: str) -> int: ...

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        """Queues a request without blocking. Raises BusyError when the queue is full, InputError when too long."""
        ...

    def cancel(self, handle: GenerationHandle) -> None:
        """Ends a request with FinishReason.CANCELLED; its slot is free by the next decode step."""
        ...

    def close(self) -> None:
        """Stops all ranks within a bound and frees the model. Idempotent."""
        ...
