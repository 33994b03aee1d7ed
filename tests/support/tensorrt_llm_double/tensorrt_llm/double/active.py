"""One running sequence of the double, the same on every rank."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from .enums import FinishReason
from .requests import Request
from .responses import Response, Result
from .rules import control
from .script import logprob, next_token


@dataclass
class Active:
    """`allotted_time_ms` counts from here: a queued request has no clock."""

    number: int
    request: Request
    max_tokens: int
    reused_blocks: int
    tokens: list[int] = field(default_factory=list)
    sent: int = 0
    reason: FinishReason = FinishReason.NOT_FINISHED
    started_s: float = field(default_factory=time.monotonic)

    @property
    def finished(self) -> bool:
        return self.reason is not FinishReason.NOT_FINISHED

    def timed_out(self) -> bool:
        allotted = self.request.allotted_time_ms
        return allotted is not None and time.monotonic() - self.started_s >= allotted.total_seconds()

    def step(self, script: dict[str, Any]) -> None:
        """Draws one token and looks whether it is the last."""
        request = self.request
        seed = 0 if request.sampling_config.greedy else request.sampling_config.seed
        token = next_token(script, request.input_token_ids, seed, len(self.tokens), control.endless)
        if token == request.end_id:
            if control.end_token_in_output:
                self.tokens.append(token)
            self.reason = FinishReason.END_ID
            return
        self.tokens.append(token)
        if any(self.tokens[-len(words) :] == words for words in request.stop_words):
            self.reason = FinishReason.STOP_WORDS
        elif len(self.tokens) == self.max_tokens:
            self.reason = FinishReason.LENGTH

    def stop(self) -> None:
        """Cancelled or timed out, as the loop found."""
        timed_out = self.timed_out() and not control.timed_out_as_cancelled
        self.reason = FinishReason.TIMED_OUT if timed_out else FinishReason.CANCELLED

    def response(self) -> Response | None:
        """What is new, never the prompt; None when nothing is."""
        new = self.tokens[self.sent :]
        if not new and not self.finished:
            return None
        if not self.request.streaming:
            raise RuntimeError("the double streams alone")
        values = [logprob(token, at) for at, token in enumerate(self.tokens)]
        if control.logprobs_of_new_tokens_alone:
            values = values[self.sent :]
        log_probs = [values] if self.request.output_config.return_log_probs else None
        self.sent = len(self.tokens)
        metrics = None
        if self.request.output_config.return_perf_metrics:
            metrics = SimpleNamespace(kv_cache_metrics=SimpleNamespace(num_reused_blocks=self.reused_blocks))
        return Response(self.number, None, Result(new, log_probs, self.finished, self.reason, metrics))
