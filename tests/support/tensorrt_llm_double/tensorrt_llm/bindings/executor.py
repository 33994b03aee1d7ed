"""`tensorrt_llm.bindings.executor`, as far as it is used."""

from tensorrt_llm.double.configs import (
    ExecutorConfig,
    ExtendedRuntimePerfKnobConfig,
    KvCacheConfig,
    ParallelConfig,
    SchedulerConfig,
)
from tensorrt_llm.double.enums import (
    BatchingType,
    CapacitySchedulerPolicy,
    CommunicationMode,
    CommunicationType,
    FinishReason,
    ModelType,
)
from tensorrt_llm.double.executor import Executor
from tensorrt_llm.double.requests import OutputConfig, Request, SamplingConfig
from tensorrt_llm.double.responses import Response, Result

__all__ = [
    "BatchingType",
    "CapacitySchedulerPolicy",
    "CommunicationMode",
    "CommunicationType",
    "Executor",
    "ExecutorConfig",
    "ExtendedRuntimePerfKnobConfig",
    "FinishReason",
    "KvCacheConfig",
    "ModelType",
    "OutputConfig",
    "ParallelConfig",
    "Request",
    "Response",
    "Result",
    "SamplingConfig",
    "SchedulerConfig",
]
