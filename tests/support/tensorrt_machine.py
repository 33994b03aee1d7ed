"""A machine with a GPU that is none: the doubles in the place of the packages."""

from __future__ import annotations

import hashlib
import sys
import types
from pathlib import Path

import onnx
import pytest
from cuda_double import CudaDouble
from tensorrt_double import TensorRtDouble, serialize

from asr_tts.runtime.cuda import Stage
from asr_tts.runtime.engine_card import EngineCard
from asr_tts.runtime.profiles import METADATA_KEY, parse_profiles
from asr_tts.runtime.tensorrt_library import open_library

VERSION = "9.9.9.9"


class Machine:
    """A machine with a GPU, CUDA and both flavours of TensorRT, all doubles."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.cuda = CudaDouble()
        self.install()

    def install(self, version: str = VERSION) -> None:
        """Puts the doubles in the place of the packages; again after a change of the machine."""
        self.rtx = TensorRtDouble(self.cuda, version)
        self.classic = TensorRtDouble(self.cuda, version, rtx=False)
        bindings = types.ModuleType("cuda.bindings")
        bindings.runtime = self.cuda  # type: ignore[attr-defined]
        for name, module in (
            ("cuda", types.ModuleType("cuda")),
            ("cuda.bindings", bindings),
            ("tensorrt_rtx", self.rtx),
            ("tensorrt", self.classic),
        ):
            self._monkeypatch.setitem(sys.modules, name, module)
        open_library.cache_clear()
        Stage._all.clear()

    @staticmethod
    def write_engine(folder: Path, name: str, model: onnx.ModelProto, library: str = "tensorrt_rtx") -> Path:
        """An engine of `model` with its card, as a builder leaves them."""
        path = folder / f"{name}.engine"
        plan = serialize(model, VERSION)
        path.write_bytes(plan)
        names = {1: "float32", 7: "int64", 10: "float16"}

        def tensors(values: list[onnx.ValueInfoProto]) -> dict[str, tuple[str, tuple[int, ...]]]:
            return {
                value.name: (
                    names[value.type.tensor_type.elem_type],
                    tuple(size.dim_value or -1 for size in value.type.tensor_type.shape.dim),
                )
                for value in values
            }

        EngineCard(
            library=library,
            library_version=VERSION,
            compute_capability="8.9",
            precision="fp32",
            sha256=hashlib.sha256(plan).hexdigest(),
            source=f"{name}.onnx",
            source_sha256="",
            inputs=tensors(list(model.graph.input)),
            outputs=tensors(list(model.graph.output)),
            profiles=parse_profiles(next(p.value for p in model.metadata_props if p.key == METADATA_KEY)),
            command="python -m checkpoints engines build --out here",
        ).write(path)
        return path
