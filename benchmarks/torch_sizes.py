"""Times a model of given sizes with random weights, by tokens alone: plans, messages, steps and draws, but no text."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence as AbstractSequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.generation import copy_bandwidth, read_bandwidth
from benchmarks.harness import summary_ms
from commentary_llm.generation.interface import SamplingParams
from commentary_llm.generation.peers import Peers, info_of
from commentary_llm.generation.torch.backend import RankBackend, TorchBackendConfig, make_backend
from commentary_llm.generation.torch.config import ModelConfig
from commentary_llm.generation.torch.plans import Plans
from commentary_llm.generation.torch.scheduler import ScheduledRequest
from commentary_llm.generation.torch.weights import RandomShard
from commentary_llm.generation.torch.worker import serve_plans

if TYPE_CHECKING:
    from mpi4py import MPI

BATCHES = (1, 2, 4, 8)
PREFILLS = (1, 32, 64, 128, 256)
_PROMPT, _CACHED, _NEW, _OUT = 256, 224, 32, 24  # an event: 32 new tokens over 224 cached, 24 out
_DECODED = 64
_WARM_UPS = 3


@dataclass(frozen=True)
class TokenRun:
    """Of each request, its tokens, and when they came: seconds from submission."""

    tokens: list[list[int]]
    times: list[list[float]]

    @property
    def first(self) -> float:
        """Until every request has its first token."""
        return max(times[0] for times in self.times)

    @property
    def last(self) -> float:
        return max(times[-1] for times in self.times)


class TokenLoop:
    """Rank 0's loop without text: requests of token ids in, one batch at a time; times out."""

    def __init__(self, config: TorchBackendConfig, backend: RankBackend) -> None:
        self._plans = Plans(config, backend)
        self._number = 0

    def run(self, prompts: AbstractSequence[tuple[int, ...]], new_tokens: int) -> TokenRun:
        """Greedy tokens for all prompts at once."""
        started, scheduler = time.perf_counter(), self._plans.scheduler
        tokens: dict[ScheduledRequest, list[int]] = {}
        times: dict[ScheduledRequest, list[float]] = {}
        for prompt in prompts:
            self._number += 1
            request = ScheduledRequest(self._number, prompt, SamplingParams(new_tokens, temperature=0.0))
            scheduler.add(request)
            tokens[request], times[request] = [], []
        while True:
            self._plans.fill()
            if not self._plans.in_flight:
                return TokenRun(list(tokens.values()), list(times.values()))
            for sequence, drawn in self._plans.read():
                scheduler.note_drawn(sequence, drawn.token)
                tokens[sequence.request].append(drawn.token)
                times[sequence.request].append(time.perf_counter() - started)
                if len(times[sequence.request]) == new_tokens:
                    scheduler.finish(sequence)

    def close(self) -> None:
        """Lets the other ranks go."""
        self._plans.close()


def bench_sizes(
    config: TorchBackendConfig, model: ModelConfig, name: str, comm: MPI.Comm | None, repeats: int = 30
) -> dict[str, Any] | None:
    """Times a model of these sizes on all ranks of `comm`; the figures on rank 0, None elsewhere.

    Each figure is of rank 0's clock, from submission to tokens in host memory; no rank is later, since all have part in
    every token. `decode`: milliseconds a token over 63 steps after 256 positions; `event`: 32 new tokens over 224
    cached, to the last of 24 out, and `event_first` to the first of them; `prefill`: to a new prompt's first token.
    """
    peers = Peers(comm, config.timeouts) if comm is not None and comm.Get_size() > 1 else None
    info = info_of(peers)

    def load() -> RankBackend:
        return make_backend(config, model, name, RandomShard(1 + info.rank), peers)

    if peers is not None and info.rank:
        serve_plans(config, peers, load)
        return None
    backend = load()
    loop = TokenLoop(config, backend)
    try:
        figures = _measure(loop, model.shape.vocabulary, config.max_batch, repeats)
    finally:
        loop.close()
    read = _weights_read(model)
    bandwidth = copy_bandwidth() if config.device == "cuda" else read_bandwidth(info.size) / info.size
    floor_s = read / bandwidth
    for decode in figures["decode"].values():
        decode["of_bandwidth"] = round(floor_s * 1e3 / decode["p50_ms"], 3)
    return {
        **figures,
        "device": torch.cuda.get_device_name() if config.device == "cuda" else "cpu",
        "bytes_read_per_step_and_rank": read,
        "bandwidth_gb_s_per_rank": round(bandwidth / 1e9, 1),
        "floor_ms_per_step": round(floor_s * 1e3, 3),
    }


def _measure(loop: TokenLoop, vocabulary: int, max_batch: int, repeats: int) -> dict[str, Any]:
    draw = random.Random(1)

    def fresh(count: int) -> tuple[int, ...]:
        return tuple(draw.randrange(vocabulary) for _ in range(count))

    decode, event, event_first, prefill = {}, {}, {}, {}
    for batch in [size for size in BATCHES if size <= max_batch]:
        steps, whole, first = [], [], []
        for repeat in range(-_WARM_UPS, repeats):
            long = loop.run([fresh(_PROMPT) for _ in range(batch)], _DECODED)
            if repeat >= 0:
                steps.append((long.last - long.first) / (_DECODED - 1))
        cached = fresh(_CACHED)
        for repeat in range(-_WARM_UPS, repeats):
            timing = loop.run([cached + fresh(_NEW) for _ in range(batch)], _OUT)
            if repeat >= 0:
                whole.append(timing.last)
                first.append(timing.first)
        decode[str(batch)], event[str(batch)] = summary_ms(steps), summary_ms(whole)
        event_first[str(batch)] = summary_ms(first)
    for count in PREFILLS:
        runs = [loop.run([fresh(count)], 1).last for _ in range(_WARM_UPS + repeats)]
        prefill[str(count)] = summary_ms(runs[_WARM_UPS:])
    return {"decode": decode, "event": event, "event_first": event_first, "prefill": prefill}


def _weights_read(model: ModelConfig) -> int:
    """Bytes of a rank's matrices that a step reads; of the embedding it reads a row."""
    embedding = 0 if model.shape.tied else model.local.vocabulary * model.local.hidden
    sizes = [size for size in model.local.tensors().values() if len(size) == 2]
    return sum(rows * inputs for rows, inputs in sizes) - embedding
