"""The prefill kernels' functions in the compiled library."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Protocol

from commentary_llm.generation.torch.cuda.library import MAX_RANKS, MatrixView, built_library
from commentary_llm.ground.errors import EngineError

MAX_SPANS = 64  # as kMaxSpans, kMaxLogitRows of prefill_common.cuh
MAX_LOGIT_ROWS = 64
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
    """The prefill kernels for GPUs of this compute capability. Raises what `built_library` raises."""
    return PrefillLibrary(built_library(capability))
