"""Draws tokens from logits: greedy, or temperature and top-p with a generator of the candidate's own."""

from __future__ import annotations

import random
from collections.abc import Iterable

import torch

from commentary_llm.errors import InputError

from .interface import SamplingParams

_NUCLEUS = 256  # almost every nucleus is smaller: top-k of 49,152 takes 0.1 ms, sorting them 3 ms


def check_params(params: SamplingParams) -> None:
    """Raises InputError, naming the field, for values outside their range."""
    limits = (
        ("max_new_tokens", params.max_new_tokens >= 1, "1 or more"),
        ("temperature", 0 <= params.temperature < float("inf"), "0 or more"),
        ("top_p", 0 < params.top_p <= 1, "over 0, up to 1"),
        ("repetition_penalty", 0 < params.repetition_penalty < float("inf"), "over 0"),
        ("candidates", params.candidates >= 1, "1 or more"),
    )
    for name, ok, expected in limits:
        if not ok:
            raise InputError(f"sampling {name} is {getattr(params, name)}, expected {expected}")
    if any(not stop for stop in params.stop):
        raise InputError("sampling stop holds an empty string, which would end every text at once")


class Sampler:
    """One candidate's draws. The same seed, candidate and logits give the same tokens, whatever else is running."""

    def __init__(self, params: SamplingParams, candidate: int, prompt: Iterable[int]) -> None:
        self._params = params
        self._random = random.Random(f"{params.seed}/{candidate}")
        self._seen = set(prompt) if params.repetition_penalty != 1.0 else set()
        self._seen_ids = torch.tensor(sorted(self._seen), dtype=torch.int64)

    def draw(self, logits: torch.Tensor) -> int:
        """A token id from (vocabulary,) float32 logits, which are left as they are."""
        if self._params.repetition_penalty != 1.0:
            logits = self._penalized(logits)
        token = int(logits.argmax()) if self._params.temperature == 0 else self._sample(logits)
        if self._params.repetition_penalty != 1.0 and token not in self._seen:
            self._seen.add(token)
            self._seen_ids = torch.cat([self._seen_ids, torch.tensor([token])])
        return token

    def _penalized(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits of tokens seen in prompt or text made less likely (Keskar et al. 2019, arXiv:1909.05858, 4.1)."""
        seen = self._seen_ids.to(logits.device)
        values, penalty = logits[seen], self._params.repetition_penalty
        return logits.index_copy(0, seen, torch.where(values > 0, values / penalty, values * penalty))

    def _sample(self, logits: torch.Tensor) -> int:
        scaled = logits / self._params.temperature
        ids: torch.Tensor | None = None
        probabilities = torch.softmax(scaled, 0)
        if self._params.top_p < 1:
            probabilities, ids = self._nucleus(probabilities)
        mass = probabilities.double().cumsum(0)
        target = self._random.random() * float(mass[-1])
        index = min(int(torch.searchsorted(mass, target, right=True)), len(mass) - 1)
        return index if ids is None else int(ids[index])

    def _nucleus(self, probabilities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The smallest set of most likely tokens whose mass reaches top_p; always at least one."""
        count = min(_NUCLEUS, len(probabilities))
        values, ids = probabilities.topk(count)
        if float(values.sum()) < self._params.top_p:
            values, ids = probabilities.sort(descending=True)
        before = values.cumsum(0) - values
        kept = max(1, int((before < self._params.top_p).sum()))
        return values[:kept], ids[:kept]


def token_logprobs(logits: torch.Tensor, tokens: list[int]) -> list[float]:
    """Natural log-probability of one token per row of (rows, vocabulary) logits, at temperature 1, unpenalised."""
    chosen = logits.gather(1, torch.tensor(tokens, device=logits.device)[:, None])[:, 0]
    result: list[float] = (chosen - torch.logsumexp(logits, 1)).tolist()
    return result
