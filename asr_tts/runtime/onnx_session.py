"""What both ONNX Runtime runtimes, on the CPU and on a GPU, need of the library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from asr_tts.interfaces import TensorSpec
from commentary_llm.ground.errors import ArtifactError

# ONNX Runtime's exceptions share no base of their own below Exception; what its C++ throws besides is a RuntimeError.
ORT_ERRORS: tuple[type[Exception], ...] = (
    *(error for error in vars(ort_state).values() if isinstance(error, type) and issubclass(error, Exception)),
    RuntimeError,
)

_DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(bool)": np.dtype(np.bool_),
}


def session_options(threads: int) -> Any:
    """Options of a session whose runs use `threads` CPU threads, the caller's included, one node after the other.

    Threads do not spin while they wait for work: the speech networks stand beside MPI ranks, which need the same cores.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # what it would print is raised as well, with the reason
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def check_file(network: str, path: Path) -> None:
    """Raises ArtifactError when there is no file."""
    if not path.is_file():
        raise ArtifactError(f"network {network!r}: no file {path}; `python -m checkpoints verify` says what is missing")


def specs_of(network: str, values: list[Any]) -> tuple[TensorSpec, ...]:
    """A session's inputs or outputs. Raises ArtifactError for a type that no network of ours has."""
    specs = []
    for value in values:
        dtype = _DTYPES.get(value.type)
        if dtype is None:
            raise ArtifactError(
                f"network {network!r}: {value.name!r} is a {value.type}; expected one of {', '.join(_DTYPES)}"
            )
        shape = tuple(size if isinstance(size, int) else -1 for size in value.shape)
        specs.append(TensorSpec(value.name, dtype, shape))
    return tuple(specs)


def precision_of(specs: tuple[TensorSpec, ...]) -> str:
    """The float types among a network's inputs and outputs, such as float32."""
    floats = {spec.dtype.name for spec in specs if spec.dtype.kind == "f"}
    return "/".join(sorted(floats)) or "integer"
