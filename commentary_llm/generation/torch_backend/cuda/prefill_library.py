"""The prefill kernels, compiled on first use by the machine's CUDA compiler and kept in the cache."""

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
from typing import Protocol

from commentary_llm.errors import ConfigError, EngineError
from commentary_llm.home import kernels_dir

from .library import MatrixView

log = logging.getLogger(__name__)

MAX_RANKS = 8  # as kMaxRanks, kMaxSpans, kMaxLogitRows of prefill_common.cuh
MAX_SPANS = 64
MAX_LOGIT_ROWS = 64
_SOURCES = Path(__file__).with_name("kernels")
_POINTER, _INT = ctypes.c_void_p, ctypes.c_int


class SpanView(ctypes.Structure):
    """`Span` of prefill_common.cuh."""

    _fields_ = [(name, _INT) for name in ("slot", "start", "count", "first")]


class PassParameters(ctypes.Structure):
    """`Pass` of prefill_common.cuh; its size is checked when the library is loaded."""

    _fields_ = [
        *((name, MatrixView) for name in ("qkv", "out", "gate_up", "down", "head")),
        *((name, _POINTER) for name in ("embedding", "embedding_scale", "input_norm", "post_norm", "final_norm")),
        *((name, _POINTER) for name in ("rotation", "cache", "x", "sums", "digits", "digit_scales")),
        *((name, _POINTER) for name in ("query", "attended")),
        *((name, _POINTER * MAX_RANKS) for name in ("parts", "logits", "arrivals")),
        ("token_ids", _POINTER),
        ("sums_bytes", ctypes.c_int64),
        *((name, _INT) for name in ("layers", "hidden", "heads", "kv_heads", "head_dim", "max_context")),
        *((name, _INT) for name in ("cache_slots", "max_tokens", "rank", "ranks", "first_id", "local_vocabulary")),
        *((name, _INT) for name in ("tokens", "span_count", "logit_count", "exchanges")),
        ("arrived", ctypes.c_uint),
        ("epsilon", ctypes.c_float),
        ("spans", SpanView * MAX_SPANS),
        ("logit_rows", _INT * MAX_LOGIT_ROWS),
    ]


class MatrixSizes(Protocol):
    """Of a packed matrix, see layout.py."""

    @property
    def tiles(self) -> int: ...
    @property
    def chunks(self) -> int: ...
    @property
    def inputs(self) -> int: ...


class PrefillLibrary:
    """The compiled kernels' functions. Each raises EngineError when CUDA refuses it."""

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        size = library.prefill_bytes()
        if size != ctypes.sizeof(PassParameters):
            raise EngineError(
                f"{path} takes parameters of {size} bytes, expected {ctypes.sizeof(PassParameters)}: it was built from "
                "other sources; delete it, and it is built again"
            )
        library.prefill_run.argtypes = [_POINTER, _POINTER]
        library.prefill_multiply.argtypes = [
            *(_POINTER, _INT, _INT, _POINTER, _INT),
            *(_INT, _INT, _POINTER, _POINTER, _POINTER),
        ]
        self._library = library

    def prepare(self) -> None:
        """Loads the kernels onto the current device. To be called once before the first pass."""
        self._check(self._library.prefill_prepare(), "preparing the prefill kernels")

    def digit_blocks(self, rows: int) -> int:
        """Blocks of 8 columns that the digits of so many rows take: a block is 512 bytes for every 64 inputs."""
        return int(self._library.prefill_digit_blocks(rows))

    def run(self, parameters: PassParameters, stream: int) -> None:
        """Queues a pass on a CUDA stream and returns; counts the pass's exchanges in `parameters`."""
        what = f"starting a prefill pass of {parameters.tokens} tokens"
        self._check(self._library.prefill_run(ctypes.byref(parameters), stream), what)

    def multiply(
        self,
        matrix: MatrixSizes,
        weights: int,
        digits: int,
        rows: int,
        splits: int,
        packed: int,
        sums: int,
        stream: int,
    ) -> None:
        """Queues one product, for tests.

        `weights` as layout.py packs them; `digits` (2 * rows, inputs) int8, the two of a row neighbours; `packed` is
        scratch of chunks / 2 * digit_blocks(rows) * 512 bytes; `sums` gets (rows, tiles * 16) float32, both digits
        joined, when `splits` is 1, otherwise (splits, rows, tiles * 16, 2) int32. All are device addresses.
        """
        sizes = (matrix.tiles, matrix.chunks, digits, matrix.inputs)
        code = self._library.prefill_multiply(weights, *sizes, rows, splits, packed, sums, stream)
        self._check(code, f"multiplying {rows} rows")

    def _check(self, code: int, what: str) -> None:
        if code:
            raise EngineError(f"{what}: CUDA error {code}")


def load_prefill_library(capability: tuple[int, int]) -> PrefillLibrary:
    """The kernels for GPUs of this compute capability. Raises ConfigError without a fitting GPU or compiler."""
    if capability != (9, 0):
        raise ConfigError(
            f"the GPU's compute capability is {capability[0]}.{capability[1]}; the torch backend's kernels are written "
            "for 9.0 (H100, H200); use backend 'tensorrt_llm' or device 'cpu'"
        )
    sources = sorted(_SOURCES.glob("prefill*.cu*"))
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in sources)).hexdigest()[:16]
    target = kernels_dir() / f"prefill-sm90a-{digest}.so"
    if not target.exists():
        build(_SOURCES / "prefill.cu", target)
    return PrefillLibrary(target)


def build(source: Path, target: Path) -> None:
    """Compiles one source into a shared library. Raises ConfigError without a compiler, EngineError when it fails."""
    compiler = os.environ.get("NVCC") or shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if compiler is None:
        raise ConfigError(
            "device 'cuda' needs CUDA's compiler nvcc (12.3 or newer) to build its kernels once, and there is none on "
            "the PATH or in /usr/local/cuda/bin; install the CUDA toolkit, or set NVCC to its path"
        )
    started = time.perf_counter()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        built = Path(scratch, target.name)
        command = [
            *(compiler, "-gencode=arch=compute_90a,code=sm_90a", "-O3", "-std=c++17", "--split-compile=0"),
            *("-Xcompiler", "-fPIC", "-shared", "-o", str(built), str(source)),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise EngineError(f"nvcc could not build {source}:\n{' '.join(command)}\n{result.stderr.strip()}")
        built.replace(target)
    log.info("%s built in %.0f s: %s", source.name, time.perf_counter() - started, target)
