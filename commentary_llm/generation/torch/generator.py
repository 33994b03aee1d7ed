"""The `Generator` of the torch backend, on rank 0."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from commentary_llm.generation.handle import RequestHandle, handle_for, pass_tokens_on_promptly
from commentary_llm.generation.interface import GenerationHandle, GenerationRequest
from commentary_llm.generation.torch.backend import TorchBackendConfig
from commentary_llm.generation.torch.loop import DecodeLoop
from commentary_llm.ground.errors import ConfigError, EngineError, InputError

if TYPE_CHECKING:
    from mpi4py import MPI

    from commentary_llm.ground.device_turn import DeviceTurn

log = logging.getLogger(__name__)


class TorchGenerator:
    """Generator over all ranks of `comm`. Thread-safe. A context manager: leaves by `close()`."""

    def __init__(self, config: TorchBackendConfig, comm: MPI.Comm | None, turn: DeviceTurn | None = None) -> None:
        """Blocks until every rank has its shard. Raises ConfigError, ArtifactError, RankLostError."""
        if comm is not None and comm.Get_rank() != 0:
            raise ConfigError(f"the generator opens on rank 0; rank {comm.Get_rank()} has to serve_torch_generator")
        self._config = config
        self._ranks = 1 if comm is None else comm.Get_size()
        pass_tokens_on_promptly()
        self._loop = DecodeLoop(config, comm, turn)
        backend, self._tokenizer = self._loop.start()
        self._description = (
            f"torch {backend.model_name}, INT8 weights, {backend.compute_dtype}, {config.device}, "
            f"{self._ranks} rank{'s' if self._ranks > 1 else ''}"
        )
        self.weight_bytes, self.cache_bytes = backend.weight_bytes, backend.cache_bytes

    @property
    def description(self) -> str:
        return self._description

    def chat(self, system: str, turns: list[tuple[str, str]]) -> str:
        """See `Generator.chat`."""
        return self._tokenizer.chat(system, turns)

    def count_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text))

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        """See `Generator.submit`. Raises InputError for a prompt or parameters that can never run, EngineError."""
        sampling, handle = request.sampling, handle_for(request, self._tokenizer)
        if sampling.candidates > self._config.max_batch:
            raise InputError(f"{sampling.candidates} candidates do not fit max_batch {self._config.max_batch}")
        if handle.prompt_tokens + sampling.max_new_tokens > self._config.max_context:
            raise InputError(
                f"a prompt of {handle.prompt_tokens} tokens and {sampling.max_new_tokens} new ones exceed max_context "
                f"{self._config.max_context}; shorten the prompt or open the generator with more"
            )
        self._loop.submit(handle)
        return handle

    def cancel(self, handle: GenerationHandle) -> None:
        """See `Generator.cancel`."""
        if not isinstance(handle, RequestHandle):
            raise EngineError(f"cancel was given a {type(handle).__name__}, expected a handle of this generator")
        self._loop.cancel(handle)

    def close(self) -> None:
        """See `Generator.close`."""
        self._loop.close()

    def __enter__(self) -> TorchGenerator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_torch_generator(
    config: TorchBackendConfig, comm: MPI.Comm | None, turn: DeviceTurn | None = None
) -> TorchGenerator:
    """Opens the model on rank 0 while the other ranks of `comm` run `serve_torch_generator`; `comm` None: one rank.

    `turn`: of rank 0's GPU; who has it is let past, between plans.

    Raises ConfigError (wrong rank count, with both numbers), ArtifactError (shards missing, damaged or stale),
    RankLostError (another rank failed or did not come).
    """
    return TorchGenerator(config, comm, turn)
