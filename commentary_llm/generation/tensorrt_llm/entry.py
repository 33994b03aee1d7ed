"""The backend `tensorrt_llm`: where it is installed and engines for this rank count fit every rank's GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commentary_llm.generation.interface import Generator
from commentary_llm.generation.registry import BACKENDS, ModelOptions
from commentary_llm.ground.errors import CommentaryError, ConfigError
from commentary_llm.ground.home import llm_engines_dir

if TYPE_CHECKING:
    from mpi4py import MPI

    from commentary_llm.generation.tensorrt_llm.config import TensorRTLLMConfig
    from commentary_llm.ground.device_turn import DeviceTurn


class TensorRTLLMBackend:
    """Engines built by `checkpoints engines build-llm`, run by TensorRT-LLM's executor."""

    auto_order = 10
    fitting = "installed, and the engines fit"

    def against(self, options: ModelOptions, rank: int, ranks: int) -> str:
        """Why this rank cannot run TensorRT-LLM, judged without importing it."""
        from commentary_llm.artifacts.machine import not_installed

        if (why := not_installed()) is not None:
            return why
        from commentary_llm.generation.tensorrt_llm.connect import fitting_engines

        try:
            fitting_engines(_config(options, ranks), rank, ranks)
        except CommentaryError as error:
            return str(error)
        return ""

    def open(self, options: ModelOptions, comm: MPI.Comm | None, turn: DeviceTurn | None) -> Generator:
        """See `Backend.open`. The executor makes way for nobody."""
        from commentary_llm.generation.tensorrt_llm.generator import open_tensorrt_llm_generator

        return open_tensorrt_llm_generator(_config(options, comm.Get_size() if comm is not None else 1), comm)

    def serve(self, options: ModelOptions, comm: MPI.Comm) -> None:
        """See `Backend.serve`."""
        from commentary_llm.generation.tensorrt_llm.worker import serve_tensorrt_llm_generator

        serve_tensorrt_llm_generator(_config(options, comm.Get_size()), comm)


def _config(options: ModelOptions, ranks: int) -> TensorRTLLMConfig:
    """Raises ConfigError for what engines cannot do."""
    if options.sizes is not None:
        raise ConfigError(
            f"llm_sizes is {options.sizes!r}: the torch backend alone pads a model, tensorrt_llm runs what was built"
        )
    from commentary_llm.generation.tensorrt_llm.config import TensorRTLLMConfig

    folder = options.engines if options.engines is not None else llm_engines_dir(options.model, ranks)
    return TensorRTLLMConfig(
        engine_dir=folder,
        model=options.model,
        kv_slots=options.kv_slots,
        batch_window_ms=options.batch_window_ms,
    )


BACKENDS.register("tensorrt_llm", TensorRTLLMBackend())
