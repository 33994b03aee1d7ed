"""The executor bindings of TensorRT-LLM, checked before use. The one place of the backend that imports them.

nanobind classes have no signatures that `inspect` can read. So every class is constructed once with exactly the
keywords the backend uses (none of them needs a GPU), and every attribute and enum member it reads is looked up; what
this installation has otherwise is listed in one error.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from commentary_llm.artifacts.machine import TENSORRT_LLM_VERSION
from commentary_llm.generation.tensorrt_llm.installed import import_library
from commentary_llm.generation.tensorrt_llm.settings import Sampling, executor_config, executor_request
from commentary_llm.ground.errors import ConfigError

_ENUMS = {
    "ModelType": ("DECODER_ONLY",),
    "BatchingType": ("INFLIGHT",),
    "CommunicationType": ("MPI",),
    "CommunicationMode": ("LEADER",),
    "CapacitySchedulerPolicy": ("GUARANTEED_NO_EVICT",),
    "FinishReason": ("NOT_FINISHED", "END_ID", "STOP_WORDS", "LENGTH", "TIMED_OUT", "CANCELLED"),
}
_ATTRIBUTES = {
    "Executor": (
        "enqueue_requests",
        "await_responses",
        "cancel_request",
        "can_enqueue_requests",
        "shutdown",
    ),
    "Response": ("request_id", "has_error", "error_msg", "result"),
    "Result": ("is_final", "output_token_ids", "log_probs", "finish_reasons", "request_perf_metrics"),
}
_DOC_CHARACTERS = 600


def executor_bindings() -> Any:
    """The module `tensorrt_llm.bindings.executor`. Raises ConfigError: not installed, another version, or different."""
    import_library()
    try:
        bindings = importlib.import_module("tensorrt_llm.bindings.executor")
    except ImportError as error:
        raise ConfigError(
            f"tensorrt_llm {TENSORRT_LLM_VERSION} does not give tensorrt_llm.bindings.executor ({error}); its C++ "
            "library does not load here"
        ) from error
    faults = [f"{enum} is missing" for enum in (*_ENUMS, *_ATTRIBUTES) if not hasattr(bindings, enum)]
    for owner, names in (_ENUMS | _ATTRIBUTES).items():
        found = getattr(bindings, owner, None)
        faults += [f"{owner} has no {name}" for name in names if found is not None and not hasattr(found, name)]
    if not faults:
        faults += _probe("ExecutorConfig", bindings, lambda: executor_config(bindings, 8, 1024, 64, cuda_graphs=True))
        for sampling in (Sampling.greedy(), Sampling(0.7, 0.9, 1.05, 1)):
            faults += _probe("Request", bindings, partial(_any_request, bindings, sampling))
    if faults:
        raise ConfigError(
            f"tensorrt_llm {TENSORRT_LLM_VERSION} here differs from what this program was written for: "
            f"{'; '.join(faults)}"
        )
    return bindings


def _any_request(bindings: Any, sampling: Sampling) -> Any:
    """A request with every option the backend uses."""
    return executor_request(
        bindings,
        prompt=(1, 2),
        max_tokens=1,
        sampling=sampling,
        end_id=2,
        stop_words=[[3]],
        priority=0.5,
        allotted=timedelta(milliseconds=100),
    )


def _probe(what: str, bindings: Any, construct: Callable[[], object]) -> list[str]:
    """Why an object cannot be made with the backend's keywords, with the signature that the binding documents."""
    try:
        construct()
    except (TypeError, AttributeError, ValueError, RuntimeError) as error:
        documented = (getattr(vars(getattr(bindings, what)).get("__init__"), "__doc__", None) or "nothing").strip()
        return [f"{what}: {str(error).splitlines()[0]} (documented as: {documented[:_DOC_CHARACTERS]})"]
    return []
