"""What it gains to decode lines of several matches in one batch: cues a second with work always waiting."""

from __future__ import annotations

import itertools
from collections import deque
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.generation import prompt_of
from commentary_llm.generation.interface import GenerationHandle, GenerationRequest, Generator, SamplingParams

# An event, as in DESIGN section 10: so many new tokens over so many that its match has in the cache, so many out.
_CACHED, _NEW, _OUT = 224, 32, 24
_WAIT_S = 300.0
_TURNS = 3


def batching_gain(
    generator: Generator, *, matches: int, lines: int, candidates: int, together: int, seconds: float = 60.0
) -> dict[str, Any]:
    """Lines of `matches` different prompts: one at a time with `candidates` completions in its batch, and `lines` at a
    time with `together` completions each; three times in turn, for `seconds` each way. Figures are medians; `gain` is
    that of the second way against the first in the same turn.
    """
    prefixes = [prompt_of(generator.count_tokens, _CACHED, 7000 + match) + "\n" for match in range(matches)]
    _cues_per_s(generator, prefixes, 1, 1, 0.0)  # each match's prefix is in the cache, as far as there is room
    turns = [
        (
            _cues_per_s(generator, prefixes, 1, candidates, seconds / _TURNS),
            _cues_per_s(generator, prefixes, lines, together, seconds / _TURNS),
        )
        for _ in range(_TURNS)
    ]
    return {
        "one_line_cues_per_s": round(median(alone for alone, _ in turns), 3),
        "one_line_candidates": candidates,
        "lines": lines,
        "lines_cues_per_s": round(median(batched for _, batched in turns), 3),
        "lines_candidates": together,
        "matches": matches,
        "gain": round(median(batched / alone for alone, batched in turns), 3),
    }


def _cues_per_s(generator: Generator, prefixes: list[str], lines: int, candidates: int, seconds: float) -> float:
    """Finished lines a second with `lines` in flight, of one match after the other; at least one line of each."""
    numbers = itertools.count()

    def submit() -> GenerationHandle:
        number = next(numbers)
        text = prompt_of(generator.count_tokens, _NEW, 90_000 + number)
        sampling = SamplingParams(_OUT, temperature=0.9, top_p=0.95, seed=number, candidates=candidates)
        return generator.submit(GenerationRequest(prefixes[number % len(prefixes)], text, sampling))

    flight: deque[GenerationHandle] = deque()
    finished, started = 0, perf_counter()
    while finished < len(prefixes) or perf_counter() - started < seconds:
        while len(flight) < lines:
            flight.append(submit())
        flight.popleft().result(_WAIT_S)
        finished += 1
    took_s = perf_counter() - started
    for handle in flight:
        handle.result(_WAIT_S)
    return finished / took_s
