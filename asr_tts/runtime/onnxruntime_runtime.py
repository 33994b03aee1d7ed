"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from asr_tts.interfaces import Tensor, TensorSpec
from asr_tts.runtime.feeds import check_feeds
from asr_tts.runtime.profiles import METADATA_KEY, Profile, parse_profiles, zeros
from commentary_llm.errors import ArtifactError, ConfigError, EngineError

# ONNX Runtime's exceptions share no base of their own below Exception.
_ORT_ERRORS: tuple[type[Exception], ...] = tuple(
    error for error in vars(ort_state).values() if isinstance(error, type) and issubclass(error, Exception)
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


class OnnxRuntime:
    """`SpeechRuntime` over one `onnxruntime.InferenceSession` on the CPU.

    The session holds the weights once and creates an execution context for each `run` in progress, so several
    threads may run it at the same time and share the weights. Threads do not spin while they wait for work: the
    speech networks stand beside MPI ranks, which need the same cores.

    `threads` is the number of threads one `run` uses, the caller's included. Raises ArtifactError when the file is
    missing or not a valid network, ConfigError when `threads` is below 1.
    """

    def __init__(self, path: Path | str, *, threads: int = 1, name: str | None = None) -> None:
        path = Path(path)
        self._name = name or path.stem
        if threads < 1:
            raise ConfigError(f"network {self._name!r}: threads is {threads}; expected 1 or more")
        if not path.is_file():
            raise ArtifactError(
                f"network {self._name!r}: no file {path}; `python -m checkpoints verify` says what is missing"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4  # what it would print is raised as well, with the reason
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except _ORT_ERRORS as error:
            raise ArtifactError(
                f"network {self._name!r}: {path} does not load in ONNX Runtime {onnxruntime.__version__}: {error}; "
                "`python -m checkpoints setup` rebuilds it"
            ) from error
        providers = self._session.get_providers()
        if providers != ["CPUExecutionProvider"]:
            raise EngineError(
                f"network {self._name!r}: ONNX Runtime chose the providers {providers}; "
                "expected CPUExecutionProvider alone"
            )
        self._inputs = tuple(self._spec(value) for value in self._session.get_inputs())
        self._outputs = tuple(self._spec(value) for value in self._session.get_outputs())
        self._profiles = parse_profiles(self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY))
        self._output_names = [spec.name for spec in self._outputs]
        self._threads = threads

    def _spec(self, value: Any) -> TensorSpec:
        dtype = _DTYPES.get(value.type)
        if dtype is None:
            raise ArtifactError(
                f"network {self._name!r}: {value.name!r} is a {value.type}; expected one of {', '.join(_DTYPES)}"
            )
        shape = tuple(size if isinstance(size, int) else -1 for size in value.shape)
        return TensorSpec(value.name, dtype, shape)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._outputs

    @property
    def description(self) -> str:
        floats = {spec.dtype.name for spec in self._inputs + self._outputs if spec.dtype.kind == "f"}
        threads = f"{self._threads} thread{'s' if self._threads > 1 else ''}"
        precision = "/".join(sorted(floats)) or "integer"
        return f"{self._name}: ONNX Runtime {onnxruntime.__version__}, CPU, {threads}, {precision}"

    @property
    def profiles(self) -> tuple[Profile, ...]:
        return self._profiles

    def run(self, feeds: Mapping[str, Tensor], keep: Collection[str] = ()) -> dict[str, Tensor]:
        """Runs the network once: every input by name in, every output by name out. Blocks; thread-safe.

        Host memory is where this runtime works, so `keep` changes nothing. Raises EngineError naming the network and
        the tensor when an input is missing, unknown, of another dtype or shape than `inputs` and `profiles` say, or
        when the network itself fails.
        """
        check_feeds(self._name, self._inputs, self._profiles, feeds)
        try:
            values = self._session.run(self._output_names, dict(feeds))
        except _ORT_ERRORS as error:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in feeds.items())
            raise EngineError(f"network {self._name!r} failed on inputs {shapes}: {error}") from error
        return dict(zip(self._output_names, values, strict=True))

    def warm_up(self) -> None:
        """Runs every profile once on zeros."""
        for profile in self._profiles:
            self.run(zeros(self._inputs, profile))
