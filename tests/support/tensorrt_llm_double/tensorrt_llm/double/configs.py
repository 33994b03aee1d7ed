"""Configuration classes with the real keywords, defaults and refusals."""

from __future__ import annotations

from typing import Any

from .enums import BatchingType, CapacitySchedulerPolicy, CommunicationMode, CommunicationType
from .rules import control


def expect(name: str, value: Any, kind: type, optional: bool = True) -> Any:
    """nanobind converts nothing: a value of another type is a TypeError."""
    if value is None and optional:
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{name}: incompatible function arguments, got {value!r}, expected {kind.__name__}")
    return value


class SchedulerConfig:
    def __init__(
        self,
        capacity_scheduler_policy: CapacitySchedulerPolicy = CapacitySchedulerPolicy.GUARANTEED_NO_EVICT,
        context_chunking_policy: Any = None,
        dynamic_batch_config: Any = None,
    ) -> None:
        self.capacity_scheduler_policy = expect(
            "capacity_scheduler_policy", capacity_scheduler_policy, CapacitySchedulerPolicy, False
        )


class KvCacheConfig:
    def __init__(
        self,
        enable_block_reuse: bool = True,
        max_tokens: int | None = None,
        max_attention_window: Any = None,
        sink_token_length: int | None = None,
        free_gpu_memory_fraction: float | None = None,
        host_cache_size: int | None = None,
        onboard_blocks: bool = True,
        cross_kv_cache_fraction: float | None = None,
        secondary_offload_min_priority: int | None = None,
        event_buffer_max_size: int = 0,
        *,
        enable_partial_reuse: bool = True,
        copy_on_partial_reuse: bool = True,
    ) -> None:
        self.enable_block_reuse = expect("enable_block_reuse", enable_block_reuse, bool, False)
        self.max_tokens = expect("max_tokens", max_tokens, int)
        self.free_gpu_memory_fraction = expect("free_gpu_memory_fraction", free_gpu_memory_fraction, float)


class ParallelConfig:
    def __init__(
        self,
        communication_type: CommunicationType = CommunicationType.MPI,
        communication_mode: CommunicationMode = CommunicationMode.LEADER,
        device_ids: list[int] | None = None,
        participant_ids: list[int] | None = None,
        orchestrator_config: Any = None,
        num_nodes: int | None = None,
    ) -> None:
        expect("communication_type", communication_type, CommunicationType, False)
        self.communication_mode = expect("communication_mode", communication_mode, CommunicationMode, False)


class ExtendedRuntimePerfKnobConfig:
    def __init__(self, multi_block_mode: bool = True, enable_context_fmha_fp32_acc: bool = False) -> None:
        self.multi_block_mode, self.enable_context_fmha_fp32_acc = multi_block_mode, enable_context_fmha_fp32_acc
        self.cuda_graph_mode, self.cuda_graph_cache_size = False, 0


class ExecutorConfig:
    def __init__(
        self,
        max_beam_width: int = 1,
        scheduler_config: SchedulerConfig | None = None,
        kv_cache_config: KvCacheConfig | None = None,
        enable_chunked_context: bool = False,
        normalize_log_probs: bool = True,
        iter_stats_max_iterations: int = 1000,
        request_stats_max_iterations: int = 0,
        batching_type: BatchingType = BatchingType.INFLIGHT,
        max_batch_size: int | None = None,
        max_num_tokens: int | None = None,
        parallel_config: ParallelConfig | None = None,
        peft_cache_config: Any = None,
        logits_post_processor_config: Any = None,
        decoding_config: Any = None,
        use_gpu_direct_storage: bool = False,
        gpu_weights_percent: float = 1.0,
        max_queue_size: int | None = None,
        extended_runtime_perf_knob_config: ExtendedRuntimePerfKnobConfig | None = None,
        debug_config: Any = None,
        recv_poll_period_ms: int = 0,
        max_seq_idle_microseconds: int = 180_000_000,
    ) -> None:
        """__init__(self, max_beam_width: int = 1, scheduler_config: SchedulerConfig, …) -> None"""
        given = {name: value for name, value in locals().items() if name != "self"}
        if control.without and given.get(control.without) is not None:
            raise TypeError(f"__init__(): incompatible function arguments: {control.without}")
        self.max_batch_size = expect("max_batch_size", max_batch_size, int)
        self.max_queue_size = expect("max_queue_size", max_queue_size, int)
        self.kv_cache_config = expect("kv_cache_config", kv_cache_config, KvCacheConfig) or KvCacheConfig()
        self.parallel_config = expect("parallel_config", parallel_config, ParallelConfig) or ParallelConfig()
        self.scheduler_config = expect("scheduler_config", scheduler_config, SchedulerConfig) or SchedulerConfig()
        self.enable_chunked_context = expect("enable_chunked_context", enable_chunked_context, bool, False)
        self.extended_runtime_perf_knob_config = expect(
            "extended_runtime_perf_knob_config", extended_runtime_perf_knob_config, ExtendedRuntimePerfKnobConfig
        )
        if batching_type is BatchingType.STATIC:
            raise RuntimeError("Static batching type is deprecated")
