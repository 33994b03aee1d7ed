"""One response of the executor, read by its rules, in this project's terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from commentary_llm.generation.interface import FinishReason
from commentary_llm.ground.errors import CommentaryError, EngineError, InputError

_FETCH_ERROR = "error when fetching new request"  # of this request alone
_STEP_ERRORS = ("forwardAsync", "forwardSync")  # of a step: other ranks may not have failed with this one
_INPUT_ERRORS = ("exceeds maximum input length", "sampling config", "Incorrect sampling")


@dataclass(frozen=True)
class Piece:
    """New tokens of one sequence. `final`: the executor is done with it; `finish` is None while it goes on."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    final: bool
    finish: FinishReason | None
    reused_blocks: int  # of the prompt's KV blocks; 0 where the library does not say


class StepFailed(EngineError):
    """A step failed in the executor: the ranks can no longer be trusted to be in step."""


def error_of(message: str) -> CommentaryError:
    """The error of an error response, told apart by what the caller can do."""
    if any(name in message for name in _STEP_ERRORS):
        return StepFailed(f"TensorRT-LLM failed in a step: {message}")
    if any(text in message for text in _INPUT_ERRORS):
        return InputError(f"TensorRT-LLM refused the request: {message}")
    where = "refused the request" if _FETCH_ERROR in message else "failed"
    return EngineError(f"TensorRT-LLM {where}: {message}")


def read_piece(bindings: Any, result: Any, tokens_before: int) -> Piece:
    """Reads a result of one beam. `tokens_before`: tokens of this sequence in earlier responses.

    Raises EngineError when it does not hold what was asked for.
    """
    tokens = tuple(result.output_token_ids[0]) if result.output_token_ids else ()
    final = bool(result.is_final)
    return Piece(
        tokens,
        _logprobs(result.log_probs, tokens_before, len(tokens)),
        final,
        _finish_reason(bindings, result.finish_reasons) if final else None,
        _reused_blocks(result.request_perf_metrics),
    )


def _logprobs(log_probs: Any, before: int, count: int) -> tuple[float, ...]:
    """Of the new tokens: the executor repeats those of all tokens so far; a list of the new ones alone is taken too."""
    if count == 0:
        return ()
    values = list(log_probs[0]) if log_probs else []
    if len(values) >= before + count:
        return tuple(float(value) for value in values[before : before + count])
    if len(values) == count:
        return tuple(float(value) for value in values)
    raise EngineError(
        f"a response of TensorRT-LLM has {len(values)} log-probabilities for {count} new tokens after {before}; "
        f"expected {before + count} or {count}"
    )


def _finish_reason(bindings: Any, reasons: Any) -> FinishReason:
    reason = reasons[0] if reasons else bindings.FinishReason.NOT_FINISHED
    known = {
        bindings.FinishReason.END_ID: FinishReason.STOP,
        bindings.FinishReason.STOP_WORDS: FinishReason.STOP,
        bindings.FinishReason.LENGTH: FinishReason.LENGTH,
        bindings.FinishReason.TIMED_OUT: FinishReason.DEADLINE,
        bindings.FinishReason.CANCELLED: FinishReason.CANCELLED,
    }
    if reason not in known:
        raise EngineError(f"TensorRT-LLM ended a sequence with finish reason {reason}, expected one of {list(known)}")
    return known[reason]


def _reused_blocks(metrics: Any) -> int:
    cache = getattr(metrics, "kv_cache_metrics", None)
    return int(getattr(cache, "num_reused_blocks", 0) or 0)
