"""The step kernel, compiled on first use by the machine's CUDA compiler and kept in the cache."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from commentary_llm.errors import ConfigError, EngineError
from commentary_llm.home import kernels_dir

log = logging.getLogger(__name__)

_SOURCES = Path(__file__).with_name("kernels")
_MAX_RANKS = 8
_POINTER, _INT = ctypes.c_void_p, ctypes.c_int


class MatrixView(ctypes.Structure):
    """`Matrix` of device.cuh."""

    _fields_ = [("weights", _POINTER), ("scales", _POINTER), ("tiles", _INT), ("stages", _INT), ("inputs", _INT)]


class StepParameters(ctypes.Structure):
    """`Step` of device.cuh; its size is checked when the kernel is loaded."""

    _fields_ = [
        *((name, MatrixView) for name in ("qkv", "out", "gate_up", "down", "head")),
        *((name, _POINTER) for name in ("embedding", "embedding_scale", "input_norm", "post_norm", "final_norm")),
        *((name, _POINTER) for name in ("rotation", "cache", "x", "query", "activated", "split_sums")),
        *((name, _POINTER * _MAX_RANKS) for name in ("part_out", "part_down", "logits", "world_arrivals")),
        *((name, _POINTER) for name in ("grid_arrivals", "generation", "token_ids", "positions", "slots")),
        *((name, _INT) for name in ("layers", "hidden", "heads", "kv_heads", "max_context", "cache_slots", "splits")),
        *((name, _INT) for name in ("rank", "ranks", "first_id", "local_vocabulary", "with_head")),
        *((name, _INT) for name in ("ring_stages", "copies_in_flight")),
        ("epsilon", ctypes.c_float),
    ]


class StepLibrary:
    """The compiled kernel's three functions."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        size = self._library.step_bytes()
        if size != ctypes.sizeof(StepParameters):
            raise EngineError(
                f"{path} takes parameters of {size} bytes, expected {ctypes.sizeof(StepParameters)}: it was built from "
                "other sources; delete it, and it is built again"
            )
        self._library.step_most_tokens.argtypes = [_POINTER, _INT]
        self._library.step_launch.argtypes = [_POINTER, _INT, _INT, _POINTER]

    def most_tokens(self, step: StepParameters, head_dim: int) -> int:
        """The most tokens that one launch can take: 8, 4, 2 or 1; 0 when the model's rows are too long."""
        return int(self._library.step_most_tokens(ctypes.byref(step), head_dim))

    def launch(self, step: StepParameters, tokens: int, head_dim: int, stream: int) -> None:
        """Queues a step on a CUDA stream and returns. Raises EngineError when CUDA refuses it."""
        code = self._library.step_launch(ctypes.byref(step), tokens, head_dim, stream)
        if code:
            raise EngineError(
                f"the step kernel did not start: CUDA error {code} for {tokens} tokens of head size {head_dim}"
            )


def load_step_library(capability: tuple[int, int]) -> StepLibrary:
    """The kernel for GPUs of this compute capability. Raises ConfigError without a fitting GPU or compiler."""
    if capability != (9, 0):
        raise ConfigError(
            f"the GPU's compute capability is {capability[0]}.{capability[1]}; the torch backend's kernel is written "
            "for 9.0 (H100, H200); use backend 'tensorrt_llm' or device 'cpu'"
        )
    sources = sorted(path for path in _SOURCES.iterdir() if path.suffix in (".cu", ".cuh"))
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in sources)).hexdigest()[:16]
    target = kernels_dir() / f"step-sm90a-{digest}.so"
    if not target.exists():
        _build(target)
    return StepLibrary(target)


def _build(target: Path) -> None:
    compiler = os.environ.get("NVCC") or shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if compiler is None:
        raise ConfigError(
            "device 'cuda' needs CUDA's compiler nvcc (12.3 or newer) to build its kernel once, and there is none on "
            "the PATH or in /usr/local/cuda/bin; install the CUDA toolkit, or set NVCC to its path"
        )
    started = time.perf_counter()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        built = Path(scratch, target.name)
        command = [
            *(compiler, "-gencode=arch=compute_90a,code=sm_90a", "-O3", "-std=c++17", "--split-compile=0"),
            *("-Xcompiler", "-fPIC", "-shared", "-o", str(built), str(_SOURCES / "step.cu")),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise EngineError(f"nvcc could not build the step kernel:\n{' '.join(command)}\n{result.stderr.strip()}")
        built.replace(target)
    log.info("step kernel built in %.0f s: %s", time.perf_counter() - started, target)
