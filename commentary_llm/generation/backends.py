"""Which backend generates, and its start on every rank."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from commentary_llm.errors import ConfigError

from .interface import Generator

if TYPE_CHECKING:
    from mpi4py import MPI

    from .torch_backend.backend import TorchBackendConfig

log = logging.getLogger(__name__)

BackendName = Literal["auto", "torch", "tensorrt_llm"]
BACKENDS: tuple[BackendName, ...] = ("auto", "torch", "tensorrt_llm")


def select_backend(name: str, engine_dir: Path | None = None) -> Literal["torch"]:
    """Resolves "auto" and checks that the backend can run here; logs the choice and why. Raises ConfigError.

    "auto" means TensorRT-LLM where it is installed and `engine_dir` holds engines for it, else torch.
    """
    if name not in BACKENDS:
        raise ConfigError(f"backend is {name!r}, expected one of {', '.join(BACKENDS)}")
    if name == "torch":
        log.info("generation backend: torch (as asked)")
        return "torch"
    if name == "auto":
        if importlib.util.find_spec("tensorrt_llm") is None:
            log.info("generation backend: torch (auto: tensorrt_llm is not installed)")
            return "torch"
        if engine_dir is None:
            log.info("generation backend: torch (auto: tensorrt_llm is installed, but no engine directory was given)")
            return "torch"
    raise ConfigError(
        f"backend {name!r} resolves to tensorrt_llm, and this build has no TensorRT-LLM backend yet; "
        "choose backend 'torch', which runs the same model"
    )


def open_generator(
    backend: str, config: TorchBackendConfig, comm: MPI.Comm | None, *, engine_dir: Path | None = None
) -> Generator:
    """On rank 0: the generator, ready. `comm` None means one rank. Raises as `open_torch_generator` and ConfigError."""
    select_backend(backend, engine_dir)
    from .torch_backend.generator import open_torch_generator

    return open_torch_generator(config, comm)


def serve_generator(
    backend: str, config: TorchBackendConfig, comm: MPI.Comm, *, engine_dir: Path | None = None
) -> None:
    """On ranks above 0: serves until rank 0 closes its generator. Same arguments as there."""
    select_backend(backend, engine_dir)
    from .torch_backend.worker import serve_torch_generator

    serve_torch_generator(config, comm)
