"""Which backend generates, and its start on every rank."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from commentary_llm.generation.interface import Generator
from commentary_llm.generation.tensorrt_llm.config import TensorRTLLMConfig
from commentary_llm.ground.errors import CommentaryError, ConfigError

if TYPE_CHECKING:
    from mpi4py import MPI

    from commentary_llm.generation.torch.backend import TorchBackendConfig
    from commentary_llm.ground.device_turn import DeviceTurn

log = logging.getLogger(__name__)

BackendName = Literal["auto", "torch", "tensorrt_llm"]
BACKENDS: tuple[BackendName, ...] = ("auto", "torch", "tensorrt_llm")


@dataclass(frozen=True)
class BackendChoice:
    """The backend that generates, and why it and no other."""

    name: Literal["torch", "tensorrt_llm"]
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


def select_backend(name: str, engines: TensorRTLLMConfig | None = None, comm: MPI.Comm | None = None) -> BackendChoice:
    """Resolves "auto", the same on all ranks of `comm` (which all call this); logs the choice and why.

    "auto" means TensorRT-LLM where it is installed and engines for this rank count fit every rank's GPU, else torch.
    What is asked for by name is taken as it is: when it cannot run, opening it says why. Raises ConfigError.
    """
    if name not in BACKENDS:
        raise ConfigError(f"backend is {name!r}, expected one of {', '.join(BACKENDS)}")
    if name == "torch":
        choice = BackendChoice("torch", "as asked")
    elif name == "tensorrt_llm":
        choice = BackendChoice("tensorrt_llm", "as asked")
    else:
        choice = _choose(engines, comm)
    log.info("generation backend: %s", choice)
    return choice


def _choose(engines: TensorRTLLMConfig | None, comm: MPI.Comm | None) -> BackendChoice:
    several = comm is not None and comm.Get_size() > 1
    against = _against_tensorrt_llm(engines, comm.Get_rank() if comm else 0, comm.Get_size() if comm else 1)
    if comm is not None and several:
        from commentary_llm.generation.peers import Peers, RankTimeouts

        peers = Peers(comm, RankTimeouts())
        against = peers.agree(against)  # one rank that cannot keeps all from it
        peers.free()
    if against:
        return BackendChoice("torch", f"auto: {against}")
    return BackendChoice("tensorrt_llm", "auto: installed, and the engines fit")


def _against_tensorrt_llm(engines: TensorRTLLMConfig | None, rank: int, ranks: int) -> str:
    """Why this rank cannot run TensorRT-LLM; '' when it can."""
    from commentary_llm.artifacts.machine import not_installed

    if (why := not_installed()) is not None:
        return why
    if engines is None:
        return "tensorrt_llm is installed, but no engine directory was given"
    from commentary_llm.generation.tensorrt_llm.connect import fitting_engines

    try:
        fitting_engines(engines, rank, ranks)
    except CommentaryError as error:
        return str(error)
    return ""


def open_generator(
    backend: str,
    config: TorchBackendConfig,
    comm: MPI.Comm | None,
    *,
    engines: TensorRTLLMConfig | None = None,
    turn: DeviceTurn | None = None,
) -> Generator:
    """On rank 0: the generator, ready. `comm` None means one rank. Raises ConfigError and what the backend raises.

    `turn` is the voice's, on rank 0's GPU; the torch backend makes way for it there, TensorRT-LLM cannot.
    """
    if _resolved(backend, engines, comm) == "tensorrt_llm":
        from commentary_llm.generation.tensorrt_llm.generator import open_tensorrt_llm_generator

        return open_tensorrt_llm_generator(_given(engines), comm)
    from commentary_llm.generation.torch.generator import open_torch_generator

    return open_torch_generator(config, comm, turn if config.device == "cuda" else None)


def serve_generator(
    backend: str, config: TorchBackendConfig, comm: MPI.Comm, *, engines: TensorRTLLMConfig | None = None
) -> None:
    """On ranks above 0: serves until rank 0 closes its generator. Same arguments as there."""
    if _resolved(backend, engines, comm) == "tensorrt_llm":
        from commentary_llm.generation.tensorrt_llm.worker import serve_tensorrt_llm_generator

        serve_tensorrt_llm_generator(_given(engines), comm)
        return
    from commentary_llm.generation.torch.worker import serve_torch_generator

    serve_torch_generator(config, comm)


def _resolved(backend: str, engines: TensorRTLLMConfig | None, comm: MPI.Comm | None) -> str:
    """A choice made before is taken as it is, so that it is made and logged once."""
    return backend if backend in ("torch", "tensorrt_llm") else select_backend(backend, engines, comm).name


def _given(engines: TensorRTLLMConfig | None) -> TensorRTLLMConfig:
    if engines is None:
        raise ConfigError(
            "backend 'tensorrt_llm' needs the folder of its engines; give open_generator(engines=TensorRTLLMConfig(…))"
        )
    return engines
