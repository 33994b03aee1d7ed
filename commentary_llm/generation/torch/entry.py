"""The backend `torch`: it runs everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commentary_llm.generation.interface import Generator
from commentary_llm.generation.registry import BACKENDS, ModelOptions
from commentary_llm.ground.home import shards_dir

if TYPE_CHECKING:
    from mpi4py import MPI

    from commentary_llm.generation.torch.backend import TorchBackendConfig
    from commentary_llm.ground.device_turn import DeviceTurn


class TorchBackend:
    """A LLaMA-family model from INT8 shards, on CPUs or Hopper GPUs."""

    auto_order = 100
    fitting = "it runs everywhere"

    def against(self, options: ModelOptions, rank: int, ranks: int) -> str:
        """Nothing: what is missing says itself when the model is opened."""
        return ""

    def open(self, options: ModelOptions, comm: MPI.Comm | None, turn: DeviceTurn | None) -> Generator:
        """See `Backend.open`. On the CPU nobody takes turns."""
        from commentary_llm.generation.torch.generator import open_torch_generator

        ranks = comm.Get_size() if comm is not None else 1
        return open_torch_generator(_config(options, ranks), comm, turn if options.device == "cuda" else None)

    def serve(self, options: ModelOptions, comm: MPI.Comm) -> None:
        """See `Backend.serve`."""
        from commentary_llm.generation.torch.worker import serve_torch_generator

        serve_torch_generator(_config(options, comm.Get_size()), comm)


def _config(options: ModelOptions, ranks: int) -> TorchBackendConfig:
    from commentary_llm.generation.torch.backend import TorchBackendConfig

    return TorchBackendConfig(
        shards=shards_dir(options.model, ranks),
        compute_dtype=options.compute_dtype,
        device=options.device,
        threads=options.threads,
        max_batch=options.max_batch,
        kv_slots=options.kv_slots,
        batch_window_ms=options.batch_window_ms,
        sizes=options.sizes,
    )


BACKENDS.register("torch", TorchBackend())
