"""Draws tokens from logits: greedy, or temperature and top-p. The definition that every device follows.

Logits of tokens seen in prompt or text are made less likely first (Keskar et al. 2019, arXiv:1909.05858, 4.1).
Temperature 0 takes the largest, of equals the one of the lowest id. Else p = softmax(logits / temperature), and the
nucleus is the smallest set of most likely ids whose mass reaches top_p, with every id as likely as its least likely
member. In order of token id, the first of the nucleus is drawn whose cumulative mass, its own included, exceeds
`uniform(seed, candidate, index)` times the nucleus's mass.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from commentary_llm.generation.interface import SamplingParams
from commentary_llm.ground.errors import InputError

_NUCLEUS = 256  # almost every nucleus is smaller: top-k of 49,152 takes 0.1 ms, sorting them 3 ms
_MIX = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_64_BITS = (1 << 64) - 1


def uniform(seed: int, candidate: int, index: int) -> float:
    """In [0, 1), a multiple of 2**-24: what a candidate draws its token number `index` with. All modulo 2**64.

    A function of its counters instead of a generator with a state, so that every rank and device has it without
    telling the others. The finaliser, run twice, is that of SplitMix64 (Steele, Lea and Flood, "Fast splittable
    pseudorandom number generators", OOPSLA 2014, with the constants of Stafford's variant 13).
    """
    x = (seed * _MIX[0] + candidate * _MIX[1] + (index + 1) * _MIX[2]) & _64_BITS
    for _ in range(2):
        x = (x ^ x >> 30) * _MIX[1] & _64_BITS
        x = (x ^ x >> 27) * _MIX[2] & _64_BITS
        x ^= x >> 31
    return (x >> 40) / (1 << 24)


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
        self._params, self._candidate = params, candidate
        self._drawn = 0
        self._seen = set(prompt) if params.repetition_penalty != 1.0 else set()
        self._seen_ids = torch.tensor(sorted(self._seen), dtype=torch.int64)

    def draw(self, logits: torch.Tensor) -> int:
        """The next token id from (vocabulary,) float32 logits on the CPU, which are left as they are."""
        if self._params.repetition_penalty != 1.0:
            logits = self._penalized(logits)
        token = int(logits.argmax()) if self._params.temperature == 0 else self._sample(logits)
        self._drawn += 1
        if self._params.repetition_penalty != 1.0 and token not in self._seen:
            self._seen.add(token)
            self._seen_ids = torch.cat([self._seen_ids, torch.tensor([token])])
        return token

    def _penalized(self, logits: torch.Tensor) -> torch.Tensor:
        values, penalty = logits[self._seen_ids], self._params.repetition_penalty
        return logits.index_copy(0, self._seen_ids, torch.where(values > 0, values / penalty, values * penalty))

    def _sample(self, logits: torch.Tensor) -> int:
        probabilities = torch.softmax(logits / self._params.temperature, 0)
        ids: torch.Tensor | None = None
        if self._params.top_p < 1:
            ids = (probabilities >= self._least_likely(probabilities)).nonzero()[:, 0]
            probabilities = probabilities[ids]
        mass = probabilities.double().cumsum(0)
        target = uniform(self._params.seed, self._candidate, self._drawn) * float(mass[-1])
        index = int(torch.searchsorted(mass, target, right=True))
        return index if ids is None else int(ids[index])

    def _least_likely(self, probabilities: torch.Tensor) -> torch.Tensor:
        """The smallest probability in the nucleus, which has at least one member."""
        values = probabilities.topk(min(_NUCLEUS, len(probabilities))).values.double()
        if float(values.sum()) < self._params.top_p:
            values = probabilities.sort(descending=True).values.double()
        before = values.cumsum(0) - values
        return values[max(1, int((before < self._params.top_p).sum())) - 1]


def token_logprobs(logits: torch.Tensor, tokens: list[int]) -> list[float]:
    """Natural log-probability of one token per row of (rows, vocabulary) logits, at temperature 1, unpenalised."""
    chosen = logits.gather(1, torch.tensor(tokens, device=logits.device)[:, None])[:, 0]
    result: list[float] = (chosen - torch.logsumexp(logits, 1)).tolist()
    return result
