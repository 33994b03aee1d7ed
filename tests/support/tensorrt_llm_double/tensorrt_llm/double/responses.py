"""Responses, with their rule: the result is there if there is no error, the message if there is one."""

from __future__ import annotations

from typing import Any

from .enums import FinishReason
from .rules import refuse


class Result:
    """Read-only, as the binding's."""

    is_final: bool = False
    output_token_ids: Any = None
    log_probs: Any = None
    finish_reasons: Any = None
    request_perf_metrics: Any = None
    sequence_index: int = 0
    is_sequence_final: bool = False

    def __init__(self, tokens: list[int], log_probs: Any, final: bool, reason: FinishReason, metrics: Any) -> None:
        vars(self).update(
            output_token_ids=[tokens],
            log_probs=log_probs,
            is_final=final,
            is_sequence_final=final,
            finish_reasons=[reason],
            request_perf_metrics=metrics,
            sequence_index=0,
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"property '{name}' of 'Result' object has no setter")


class Response:
    def __init__(self, request_id: int, error: str | None, result: Result | None) -> None:
        self._request_id, self._error, self._result = request_id, error, result

    @property
    def request_id(self) -> int:
        return self._request_id

    def has_error(self) -> bool:
        return self._error is not None

    @property
    def error_msg(self) -> str:
        if self._error is None:
            refuse("error_msg of a response without an error")
        return self._error

    @property
    def result(self) -> Result:
        if self._result is None:
            refuse("result of an error response")
        return self._result
