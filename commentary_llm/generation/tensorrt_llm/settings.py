"""From this project's terms to the executor's: its configuration, sampling, one request. The bindings are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from commentary_llm.generation.interface import SamplingParams
from commentary_llm.ground.errors import ConfigError

_GRAPHS_KEPT = 64  # CUDA graphs, one for each batch composition met
_CACHE_SHARE = 0.9  # of the GPU memory that is free; the smaller of this and the number of tokens counts


@dataclass(frozen=True)
class Sampling:
    """How one sequence is drawn, in the library's terms. `temperature` 0 is greedy."""

    temperature: float
    top_p: float
    repetition_penalty: float
    seed: int

    @classmethod
    def greedy(cls) -> Sampling:
        return cls(0.0, 1.0, 1.0, 0)

    @classmethod
    def of(cls, params: SamplingParams, candidate: int) -> Sampling:
        """Candidate `candidate` of a request: the same seed and candidate are drawn alike in any batch."""
        return cls(params.temperature, params.top_p, params.repetition_penalty, params.seed * 1_000_003 + candidate)


def executor_config(bindings: Any, max_batch: int, cache_tokens: int, max_queue: int, *, cuda_graphs: bool) -> Any:
    """The executor's configuration: in-flight batching, leader mode, prefix reuse, chunked prompts, no statistics."""
    knobs = bindings.ExtendedRuntimePerfKnobConfig(multi_block_mode=True, enable_context_fmha_fp32_acc=False)
    if cuda_graphs:  # attributes only, no keywords
        knobs.cuda_graph_mode = True
        knobs.cuda_graph_cache_size = _GRAPHS_KEPT
        if not knobs.cuda_graph_mode or knobs.cuda_graph_cache_size != _GRAPHS_KEPT:
            raise ConfigError("tensorrt_llm did not keep cuda_graph_mode; start with cuda_graphs off")
    return bindings.ExecutorConfig(
        max_beam_width=1,
        scheduler_config=bindings.SchedulerConfig(
            capacity_scheduler_policy=bindings.CapacitySchedulerPolicy.GUARANTEED_NO_EVICT
        ),
        kv_cache_config=bindings.KvCacheConfig(
            enable_block_reuse=True, max_tokens=cache_tokens, free_gpu_memory_fraction=_CACHE_SHARE
        ),
        enable_chunked_context=True,  # Python's default is False
        iter_stats_max_iterations=0,
        batching_type=bindings.BatchingType.INFLIGHT,
        max_batch_size=max_batch,
        parallel_config=bindings.ParallelConfig(
            communication_type=bindings.CommunicationType.MPI, communication_mode=bindings.CommunicationMode.LEADER
        ),
        max_queue_size=max_queue,
        extended_runtime_perf_knob_config=knobs,
    )


def executor_request(
    bindings: Any,
    *,
    prompt: Sequence[int],
    max_tokens: int,
    sampling: Sampling,
    end_id: int,
    stop_words: list[list[int]],
    priority: float,
    allotted: timedelta | None,
) -> Any:
    """One sequence to generate, streamed. `end_id` -1: none ends it. `allotted` counts from when it starts to run."""
    options: dict[str, Any] = {"seed": sampling.seed}
    if sampling.temperature == 0:
        options["top_k"] = 1
    else:
        options.update(temperature=sampling.temperature, top_p=sampling.top_p)
    if sampling.repetition_penalty != 1.0:
        options["repetition_penalty"] = sampling.repetition_penalty
    extra: dict[str, Any] = {}
    if stop_words:
        extra["stop_words"] = stop_words
    if allotted is not None:
        extra["allotted_time_ms"] = allotted
    return bindings.Request(
        list(prompt),
        max_tokens,
        streaming=True,
        sampling_config=bindings.SamplingConfig(1, **options),
        output_config=bindings.OutputConfig(
            return_log_probs=True, exclude_input_from_output=True, return_perf_metrics=True
        ),
        end_id=end_id,
        pad_id=max(end_id, 0),
        priority=priority,
        **extra,
    )


def priority_of(priority: int) -> float:
    """The executor's priority in (0, 1) for any of ours: order is kept, 0 becomes its default of 0.5."""
    return 0.5 + 0.5 * priority / (1 + abs(priority))
