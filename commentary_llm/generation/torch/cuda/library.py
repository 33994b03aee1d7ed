"""The kernels, compiled on first use by the machine's CUDA compiler and kept in the cache."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import shutil
import subprocess
import time
from pathlib import Path

from commentary_llm.ground.errors import ConfigError, EngineError
from commentary_llm.ground.files import written_aside
from commentary_llm.ground.home import kernels_dir

log = logging.getLogger(__name__)

_SOURCES = Path(__file__).with_name("kernels")
MAX_RANKS = 8  # as kMaxRanks, kMaxTokens of device.cuh and kMaxDraws of draw.cu
MAX_TOKENS = 8
MAX_DRAWS = 16
_POINTER, _INT = ctypes.c_void_p, ctypes.c_int


class MatrixView(ctypes.Structure):
    """`Matrix` of device.cuh."""

    _fields_ = [("weights", _POINTER), ("scales", _POINTER), ("tiles", _INT), ("chunks", _INT), ("inputs", _INT)]


class StepParameters(ctypes.Structure):
    """`Step` of device.cuh; its size is checked when the library is loaded."""

    _fields_ = [
        ("matrices", MatrixView * 5),
        *((name, _POINTER) for name in ("embedding", "embedding_scale", "input_norm", "post_norm", "final_norm")),
        *((name, _POINTER) for name in ("rotation", "cache", "tokens", "heads_box", "attended_box", "activated_box")),
        *((name, _POINTER * MAX_RANKS) for name in ("out_box", "down_box", "logits")),
        *((name, _INT * MAX_TOKENS) for name in ("positions", "slots")),
        *(
            (name, _INT)
            for name in (
                "count",
                "count_before",
                "layers",
                "hidden",
                "head_dim",
                "heads",
                "kv_heads",
                "max_context",
                "cache_slots",
            )
        ),
        *((name, _INT) for name in ("splits", "rank", "ranks", "first_id", "local_vocabulary")),
        *((name, _INT) for name in ("layer_half", "down_half", "ring_stages")),
        ("workers", _INT * 6),
        ("epsilon", ctypes.c_float),
    ]


class SlotState(ctypes.Structure):
    """`SlotState` of draw.cu."""

    _fields_ = [
        ("seed", ctypes.c_uint64),
        *((name, ctypes.c_float) for name in ("temperature", "top_p", "penalty")),
        *((name, _INT) for name in ("candidate", "drawn", "unused")),
    ]


class DrawParameters(ctypes.Structure):
    """`Draws` of draw.cu."""

    _fields_ = [
        *((name, _POINTER) for name in ("logits", "states", "seen", "tokens", "drawn", "scratch")),
        *((name, _INT * MAX_DRAWS) for name in ("rows", "slots")),
        *((name, _INT) for name in ("width", "vocabulary", "count", "empty_rows")),
    ]


class KernelLibrary:
    """The compiled kernels' functions. Each raises EngineError, with CUDA's words, when CUDA refuses it."""

    def __init__(self, path: Path) -> None:
        self._library = library = ctypes.CDLL(str(path))
        library.peers_error.restype = ctypes.c_char_p
        library.step_most_tokens.argtypes = [_POINTER, _INT]
        library.step_most_clusters.argtypes = [_POINTER, _INT, _INT, _POINTER]
        library.step_launch.argtypes = [_POINTER, _INT, _INT, _INT, _POINTER]
        library.draws_launch.argtypes = [_POINTER, _POINTER]
        library.peers_allocate.argtypes = [ctypes.c_size_t, _POINTER, _POINTER]
        library.peers_open.argtypes = [_POINTER, _POINTER]
        library.peers_fill.argtypes = [_POINTER, _INT, ctypes.c_size_t]
        for size, structure in (
            (library.step_bytes(), StepParameters),
            (library.draws_bytes(), DrawParameters),
            (library.draws_state_bytes(), SlotState),
        ):
            if size != ctypes.sizeof(structure):
                raise EngineError(
                    f"{path}: {structure.__name__} has {size} bytes, expected {ctypes.sizeof(structure)}: it was built "
                    "from other sources; delete it, and it is built again"
                )

    def most_tokens(self, step: StepParameters, head_dim: int) -> int:
        """The most tokens that one step can take: 8, 4, 2 or 1; 0 when the model's rows are too long."""
        return int(self._library.step_most_tokens(ctypes.byref(step), head_dim))

    def most_clusters(self, step: StepParameters, tokens: int, head_dim: int) -> int:
        """How many clusters of blocks the current device runs at a time."""
        clusters = _INT()
        code = self._library.step_most_clusters(ctypes.byref(step), tokens, head_dim, ctypes.byref(clusters))
        self._check(code, f"asking for clusters of the step kernel for {tokens} tokens of head size {head_dim}")
        return clusters.value

    def launch_step(self, step: StepParameters, tokens: int, head_dim: int, clusters: int, stream: int) -> None:
        """Queues a step of up to `tokens` (1, 2, 4, 8) on a CUDA stream and returns."""
        code = self._library.step_launch(ctypes.byref(step), tokens, head_dim, clusters, stream)
        self._check(code, f"starting a step of {tokens} tokens of head size {head_dim} on {clusters} clusters")

    @property
    def most_vocabulary(self) -> int:
        """The largest vocabulary that draws without scratch memory."""
        return int(self._library.draws_most_in_shared())

    def launch_draws(self, draws: DrawParameters, stream: int) -> None:
        """Queues draws on a CUDA stream and returns."""
        self._check(self._library.draws_launch(ctypes.byref(draws), stream), f"starting {draws.count} draws")

    def allocate(self, size: int) -> tuple[int, bytes]:
        """`size` bytes on the current device and the handle by which another process opens them."""
        memory, handle = _POINTER(), ctypes.create_string_buffer(self._library.peers_handle_bytes())
        code = self._library.peers_allocate(size, ctypes.byref(memory), handle)
        self._check(code, f"allocating {size / 1e6:.0f} MB that other ranks can reach")
        return int(memory.value or 0), handle.raw

    def open(self, handle: bytes) -> int:
        """The address here of what another process on this host allocated."""
        memory = _POINTER()
        code = self._library.peers_open(ctypes.create_string_buffer(handle, len(handle)), ctypes.byref(memory))
        self._check(code, "opening another rank's GPU memory")
        return int(memory.value or 0)

    def fill(self, address: int, byte: int, size: int) -> None:
        self._check(self._library.peers_fill(address, byte, size), "filling memory")

    def _check(self, code: int, what: str) -> None:
        if code:
            raise EngineError(f"{what}: CUDA error {code} ({self._library.peers_error(code).decode()})")


def load_kernels(capability: tuple[int, int]) -> KernelLibrary:
    """The decode kernels for GPUs of this compute capability. Raises what `built_library` raises."""
    return KernelLibrary(built_library(capability))


def built_library(capability: tuple[int, int]) -> Path:
    """All kernels for GPUs of this compute capability, built if need be.

    Raises ConfigError without a fitting GPU or compiler, EngineError when the compiler fails.
    """
    if capability != (9, 0):
        raise ConfigError(
            f"the GPU's compute capability is {capability[0]}.{capability[1]}; the torch backend's kernels are written "
            "for 9.0 (H100, H200); use backend 'tensorrt_llm' or device 'cpu'"
        )
    sources = sorted(path for path in _SOURCES.iterdir() if path.suffix in (".cu", ".cuh"))
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in sources)).hexdigest()[:16]
    target = kernels_dir() / f"kernels-sm90a-{digest}.so"
    if not target.exists():
        _build([path for path in sources if path.suffix == ".cu"], target)
    return target


def _build(sources: list[Path], target: Path) -> None:
    compiler = os.environ.get("NVCC") or shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if compiler is None:
        raise ConfigError(
            "device 'cuda' needs CUDA's compiler nvcc (12.3 or newer) to build its kernels once, and there is none on "
            "the PATH or in /usr/local/cuda/bin; install the CUDA toolkit, or set NVCC to its path"
        )
    started = time.perf_counter()
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(target) as built:
        command = [
            *(compiler, "-gencode=arch=compute_90a,code=sm_90a", "-O3", "-std=c++17", "--threads=0"),
            *("--split-compile=0", "-Xcompiler", "-fPIC", "-shared", "-o", str(built), *map(str, sources)),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise EngineError(f"nvcc could not build the kernels:\n{' '.join(command)}\n{result.stderr.strip()}")
    log.info("GPU kernels built in %.0f s: %s", time.perf_counter() - started, target)
