"""Tokens: the `Generator` interface and its backends."""

from commentary_llm.generation.interface import (
    Completion,
    FinishReason,
    GenerationHandle,
    GenerationRequest,
    Generator,
    SamplingParams,
    TokenChunk,
)

__all__ = [
    "Completion",
    "FinishReason",
    "GenerationHandle",
    "GenerationRequest",
    "Generator",
    "SamplingParams",
    "TokenChunk",
]
