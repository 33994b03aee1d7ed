"""The backends that generate tokens, which of them does, and what each is opened with.

A backend is a folder of this room with an `entry.py`, which registers it here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from commentary_llm.generation.interface import Generator
from commentary_llm.ground.errors import ConfigError
from commentary_llm.ground.registry import Registry

if TYPE_CHECKING:
    from mpi4py import MPI

    from commentary_llm.ground.device_turn import DeviceTurn

log = logging.getLogger(__name__)

AUTO = "auto"


@dataclass(frozen=True)
class ModelOptions:
    """What any backend is opened with; the same on every rank. A backend refuses what it cannot do, by name."""

    model: str  # its folder's name in the cache
    engines: Path | None  # folder of what was built from it; None: that of `model` in the cache
    device: str  # "cpu" or "cuda"
    compute_dtype: str  # "auto", "int8" or "float32"
    threads: int  # CPU threads a rank
    max_batch: int  # sequences decoded at once
    kv_slots: int | None  # sequences whose keys and values are kept; None: as the backend sees fit
    batch_window_ms: float  # how long requests may wait for others, to share a step; 0 to 10
    sizes: str | None  # compute at the sizes of this model, the weights padded with zeros


class Backend(Protocol):
    """A way to run a language model on all ranks of a job."""

    @property
    def auto_order(self) -> int | None:
        """`auto` asks in this order, from the smallest, and takes the first that fits; None: only by name."""
        ...

    @property
    def fitting(self) -> str:
        """Why `auto` takes it when nothing is against it, for the log."""
        ...

    def against(self, options: ModelOptions, rank: int, ranks: int) -> str:
        """Why this rank cannot run it; '' when it can. Loads nothing."""
        ...

    def open(self, options: ModelOptions, comm: MPI.Comm | None, turn: DeviceTurn | None) -> Generator:
        """On rank 0: the generator, ready. `comm` None means one rank.

        `turn` is the voice's, on rank 0's GPU; a backend that can makes way for it there. Raises ConfigError,
        ArtifactError, RankLostError.
        """
        ...

    def serve(self, options: ModelOptions, comm: MPI.Comm) -> None:
        """On ranks above 0: serves until rank 0 closes its generator. Same options as there."""
        ...


BACKENDS: Registry[Backend] = Registry("backend", "commentary_llm.generation")


def backend_choices() -> tuple[str, ...]:
    """What may be asked for: `auto`, and each backend by its name."""
    return (AUTO, *BACKENDS.names())


@dataclass(frozen=True)
class BackendChoice:
    """The backend that generates, and why it and no other."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


def select_backend(name: str, options: ModelOptions, comm: MPI.Comm | None = None) -> BackendChoice:
    """Resolves "auto", the same on all ranks of `comm` (which all call this); logs the choice and why.

    "auto" takes the first backend, in their `auto_order`, that fits every rank. What is asked for by name is taken as
    it is: when it cannot run, opening it says why. Raises ConfigError for an unknown name.
    """
    if name == AUTO:
        choice = _first_fitting(options, comm)
    else:
        BACKENDS.get(name)
        choice = BackendChoice(name, "as asked")
    log.info("generation backend: %s", choice)
    return choice


def _first_fitting(options: ModelOptions, comm: MPI.Comm | None) -> BackendChoice:
    rank, ranks = (comm.Get_rank(), comm.Get_size()) if comm is not None else (0, 1)
    found = [(name, BACKENDS.get(name)) for name in BACKENDS.names()]
    ordered = sorted((backend.auto_order, name, backend) for name, backend in found if backend.auto_order is not None)
    passed_over: list[str] = []
    with _agreement(comm) as agree:
        for _, name, backend in ordered:
            against = agree(backend.against(options, rank, ranks))
            if not against:
                return BackendChoice(name, f"auto: {'; '.join(passed_over) or backend.fitting}")
            passed_over.append(against)
    raise ConfigError(f"no backend can run here: {'; '.join(passed_over)}")


@contextmanager
def _agreement(comm: MPI.Comm | None) -> Iterator[Callable[[str], str]]:
    """What is against something on any rank: one that cannot keeps all from it."""
    if comm is None or comm.Get_size() == 1:
        yield lambda against: against
        return
    from commentary_llm.generation.peers import Peers, RankTimeouts

    peers = Peers(comm, RankTimeouts())
    try:
        yield peers.agree
    finally:
        peers.free()
