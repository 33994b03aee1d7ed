"""ONNX Runtime's CUDA provider over the CUDA double: the CPU provider computes, on what lies in the double's memory.

With the provider's rules: work goes to the stream that the session was given, bound addresses lie on the GPU and are
large enough, a run that captures does not synchronise, and a library that cannot be loaded leaves the CPU alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from cuda_double import CudaDouble

_REAL_SESSION = onnxruntime.InferenceSession
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class OrtDouble:
    """Put in the place of parts of the module `onnxruntime` by `install`."""

    def __init__(self, cuda: CudaDouble) -> None:
        self.cuda_ = cuda
        self.available_ = [_CUDA, _CPU]
        self.loads_ = True  # False: CUDA's libraries are missing
        self.refuses_ = ""  # why no session can be made
        self.fail_execution_ = False
        self.provider_options_: list[dict[str, str]] = []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: self.available_)
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
        monkeypatch.setattr(onnxruntime, "InferenceSession", self._session)

    def _session(self, path: str, sess_options: Any, providers: list[Any], enable_fallback: bool = True) -> Any:
        if providers == [_CPU]:
            return _REAL_SESSION(path, sess_options=sess_options, providers=providers)
        if providers == [_CUDA]:  # only to see what becomes of it
            if self.refuses_:
                raise RuntimeError(self.refuses_)
            return _REAL_SESSION(path, providers=[_CPU])
        assert not enable_fallback, "a failure of the GPU would become a run on the CPU"
        assert sess_options.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
        ((name, options),) = providers
        assert name == _CUDA
        assert options["use_tf32"] == "0"
        self.provider_options_.append(options)
        if self.refuses_:
            raise RuntimeError(self.refuses_)
        if not self.loads_:
            raise RuntimeError("This session contains graph nodes that are assigned to the default CPU EP")
        return Session(self, path, int(options["user_compute_stream"]))


class Session:
    def __init__(self, library: OrtDouble, path: str, stream: int) -> None:
        assert Path(path).is_file()
        self._library, self._stream = library, stream
        self.real_ = _REAL_SESSION(path, providers=[_CPU])
        for name in ("get_inputs", "get_outputs", "get_modelmeta"):
            setattr(self, name, getattr(self.real_, name))

    def get_providers(self) -> list[str]:
        return [_CUDA, _CPU]

    def run(self, names: list[str], feeds: dict[str, np.ndarray], run_options: Any) -> list[np.ndarray]:
        assert run_options.get_run_config_entry("gpu_graph_id") == "-1"
        assert not self._library.cuda_.capturing_(self._stream), "copies from and to the host cannot be captured"
        return list(self.real_.run(names, feeds))

    def io_binding(self) -> Binding:
        return Binding(self._library.cuda_)

    def run_with_iobinding(self, binding: Binding, run_options: Any) -> None:
        assert run_options.get_run_config_entry("gpu_graph_id") == "-1"
        assert run_options.get_run_config_entry("disable_synchronize_execution_providers") == "1"
        if self._library.fail_execution_:
            raise RuntimeError("Failed to allocate memory for requested buffer of size 7")
        cuda = self._library.cuda_

        def compute() -> None:
            feeds = {}
            for name, (dtype, shape, address) in binding.inputs_.items():
                size = int(np.prod(shape)) * dtype.itemsize
                feeds[name] = np.frombuffer(bytes(cuda.device_bytes_(address, size)[:size]), dtype).reshape(shape)
            names = list(binding.outputs_)
            for name, value in zip(names, self.real_.run(names, feeds), strict=True):
                dtype, shape, address = binding.outputs_[name]
                assert (value.dtype, value.shape) == (dtype, tuple(shape))
                cuda.device_bytes_(address, value.nbytes)[: value.nbytes] = value.tobytes()

        cuda.enqueue_(self._stream, compute)


class Binding:
    def __init__(self, cuda: CudaDouble) -> None:
        self._cuda = cuda
        self.inputs_: dict[str, tuple[np.dtype[Any], tuple[int, ...], int]] = {}
        self.outputs_: dict[str, tuple[np.dtype[Any], tuple[int, ...], int]] = {}

    def bind_input(self, name: str, device: str, number: int, dtype: Any, shape: tuple[int, ...], address: int) -> None:
        assert (device, number) == ("cuda", 0)
        self._cuda.device_bytes_(address, int(np.prod(shape)) * dtype.itemsize)
        self.inputs_[name] = (dtype, shape, address)

    def bind_output(
        self, name: str, device: str, number: int, dtype: Any, shape: tuple[int, ...], address: int
    ) -> None:
        assert (device, number) == ("cuda", 0)
        self._cuda.device_bytes_(address, int(np.prod(shape)) * dtype.itemsize)
        self.outputs_[name] = (dtype, shape, address)
