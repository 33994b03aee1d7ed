"""Enums of the executor bindings."""

from enum import Enum

ModelType = Enum("ModelType", ["DECODER_ONLY", "ENCODER_ONLY", "ENCODER_DECODER"])
BatchingType = Enum("BatchingType", ["STATIC", "INFLIGHT"])
CommunicationType = Enum("CommunicationType", ["MPI"])
CommunicationMode = Enum("CommunicationMode", ["LEADER", "ORCHESTRATOR"])
CapacitySchedulerPolicy = Enum("CapacitySchedulerPolicy", ["MAX_UTILIZATION", "GUARANTEED_NO_EVICT", "STATIC_BATCH"])
FinishReason = Enum(
    "FinishReason", ["NOT_FINISHED", "END_ID", "STOP_WORDS", "LENGTH", "TIMED_OUT", "CANCELLED"], start=0
)
