"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import onnxruntime

from asr_tts.interfaces import Tensor
from asr_tts.runtime.feeds import check_feeds
from asr_tts.runtime.network import Network
from asr_tts.runtime.onnx_session import ORT_ERRORS, check_file, precision_of, session_options, specs_of
from asr_tts.runtime.profiles import METADATA_KEY, parse_profiles, zeros
from commentary_llm.ground.errors import ArtifactError, ConfigError, EngineError


class OnnxRuntime(Network):
    """`SpeechRuntime` over one `onnxruntime.InferenceSession` on the CPU.

    The session holds the weights once and creates an execution context for each `run` in progress, so several
    threads may run it at the same time and share the weights.

    `threads` is the number of threads one `run` uses, the caller's included. Raises ArtifactError when the file is
    missing or not a valid network, ConfigError when `threads` is below 1.
    """

    def __init__(self, path: Path | str, *, threads: int = 1, name: str | None = None) -> None:
        path = Path(path)
        self._name = name or path.stem
        if threads < 1:
            raise ConfigError(f"network {self._name!r}: threads is {threads}; expected 1 or more")
        check_file(self._name, path)
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), sess_options=session_options(threads), providers=["CPUExecutionProvider"]
            )
        except ORT_ERRORS as error:
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
        self._inputs = specs_of(self._name, self._session.get_inputs())
        self._outputs = specs_of(self._name, self._session.get_outputs())
        self._profiles = parse_profiles(self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY))
        self._output_names = [spec.name for spec in self._outputs]
        self._threads = threads

    @property
    def description(self) -> str:
        threads = f"{self._threads} thread{'s' if self._threads > 1 else ''}"
        precision = precision_of(self._inputs + self._outputs)
        return f"{self._name}: ONNX Runtime {onnxruntime.__version__}, CPU, {threads}, {precision}"

    def run(self, feeds: Mapping[str, Tensor], keep: Collection[str] = ()) -> dict[str, Tensor]:
        """Runs the network once: every input by name in, every output by name out. Blocks; thread-safe.

        Host memory is where this runtime works, so `keep` changes nothing. Raises EngineError naming the network and
        the tensor when an input is missing, unknown, of another dtype or shape than `inputs` and `profiles` say, or
        when the network itself fails.
        """
        check_feeds(self._name, self._inputs, self._profiles, feeds)
        try:
            values = self._session.run(self._output_names, dict(feeds))
        except ORT_ERRORS as error:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in feeds.items())
            raise EngineError(f"network {self._name!r} failed on inputs {shapes}: {error}") from error
        return dict(zip(self._output_names, values, strict=True))

    def warm_up(self) -> None:
        """Runs every profile once on zeros."""
        for profile in self._profiles:
            self.run(zeros(self._inputs, profile))
