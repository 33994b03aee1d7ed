"""Measures a generator on this machine: decode, prefill, and the memory bandwidth that bounds decode."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks.harness import summary_ms
from commentary_llm.generation.interface import GenerationRequest, Generator, SamplingParams

_READ_BYTES = 256 << 20  # well past every cache
_READ_S = 1.0
_COPY_BYTES = 1 << 30
_WAIT_S = 300.0
_WORDS = ("the", "ball", "goes", "wide", "to", "left", "and", "back", "middle", "where", "nobody", "is", "near", "it")


def read_bandwidth(processes: int) -> float:
    """Bytes per second that `processes` together read from memory, one thread each (numpy sums over 256 MiB)."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(_read_loop, range(processes), timeout=_WAIT_S))


def _read_loop(_: int) -> float:
    data = np.ones(_READ_BYTES // 8, dtype=np.int64)
    data.sum()
    started, rounds = time.perf_counter(), 0
    while time.perf_counter() - started < _READ_S:
        data.sum()
        rounds += 1
    return rounds * _READ_BYTES / (time.perf_counter() - started)


def copy_bandwidth() -> float:
    """Bytes per second that a copy within the GPU's memory reads and writes."""
    import torch

    source = torch.zeros(_COPY_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    target.copy_(source)
    begin.record()
    for _ in range(10):
        target.copy_(source)
    end.record()
    end.synchronize()
    return 10 * 2 * _COPY_BYTES / (begin.elapsed_time(end) / 1e3)


def prompt_of(count_tokens: Callable[[str], int], tokens: int, seed: int) -> str:
    """Text of `tokens` tokens or just under, different for every seed from its first word on."""
    words = [f"{seed}"]
    rng = np.random.default_rng(seed)
    while True:
        words.append(str(rng.choice(_WORDS)))
        if count_tokens(" ".join(words)) > tokens:
            return " ".join(words[:-1])


def decode_step_times(generator: Generator, batch: int, tokens: int, repeats: int = 3) -> list[float]:
    """Seconds between decode steps of `batch` candidates of one prompt, after prefill; short candidates end earlier."""
    gaps: list[float] = []
    for repeat in range(repeats + 1):  # the first one warms up
        sampling = SamplingParams(tokens, temperature=1.0 if batch > 1 else 0.0, seed=repeat, candidates=batch)
        prompt = prompt_of(generator.count_tokens, 64, 1000 + repeat)
        step = dict.fromkeys(range(batch), 0)
        steps: list[float] = []
        for chunk in generator.submit(GenerationRequest("", prompt, sampling)):
            step[chunk.candidate] += 1
            if step[chunk.candidate] > len(steps):
                steps.append(time.perf_counter())
        if repeat:
            gaps += np.diff(steps[1:]).tolist()
    return gaps


def prefill_times(generator: Generator, tokens: int, repeats: int = 8) -> list[float]:
    """Seconds from submit to the first token of prompts that share nothing with each other."""
    durations = []
    for repeat in range(repeats + 1):
        request = GenerationRequest(
            "", prompt_of(generator.count_tokens, tokens, 10_000 * tokens + repeat), SamplingParams(max_new_tokens=1)
        )
        started = time.perf_counter()
        generator.submit(request).result(_WAIT_S)
        if repeat:
            durations.append(time.perf_counter() - started)
    return durations


def bench_generator(
    generator: Generator,
    *,
    weight_bytes_per_rank: int,
    bandwidth_per_rank: float,
    batches: Sequence[int],
    prefills: Sequence[int] = (64, 256),
    new_tokens: int = 64,
) -> dict[str, Any]:
    """Decode per batch size and prefill per length, with the time that reading the weights alone would take.

    The ceiling: every decode step reads all of a rank's weights once, at `bandwidth_per_rank` bytes per second.
    """
    return {
        "what": generator.description,
        "decode": {str(batch): summary_ms(decode_step_times(generator, batch, new_tokens)) for batch in batches},
        "prefill": {str(tokens): summary_ms(prefill_times(generator, tokens)) for tokens in prefills},
        "bytes_read_per_step_and_rank": weight_bytes_per_rank,
        "bandwidth_gb_s_per_rank": round(bandwidth_per_rank / 1e9, 2),
        "ceiling_ms_per_step": round(weight_bytes_per_rank / bandwidth_per_rank * 1000, 3),
    }
