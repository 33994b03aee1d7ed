"""The `Generator` of the torch backend, on rank 0."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from commentary_llm.errors import ConfigError, EngineError, InputError

from ..handle import RequestHandle
from ..interface import GenerationHandle, GenerationRequest
from ..sampling import check_params
from .backend import TorchBackendConfig
from .loop import DecodeLoop

if TYPE_CHECKING:
    from mpi4py import MPI

log = logging.getLogger(__name__)

_SWITCH_INTERVAL_S = 0.0002


class TorchGenerator:
    """Generator over all ranks of `comm`. Thread-safe. A context manager: leaves by `close()`."""

    def __init__(self, config: TorchBackendConfig, comm: MPI.Comm | None) -> None:
        """Blocks until every rank has its shard. Raises ConfigError, ArtifactError, RankLostError."""
        if comm is not None and comm.Get_rank() != 0:
            raise ConfigError(f"the generator opens on rank 0; rank {comm.Get_rank()} has to serve_torch_generator")
        self._config = config
        self._ranks = 1 if comm is None else comm.Get_size()
        # Every torch and MPI call gives the interpreter lock away for a moment. With the default of 5 ms a busy thread
        # of the caller would keep it that long each time, several hundred times a token.
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_INTERVAL_S))
        self._loop = DecodeLoop(config, comm)
        backend, self._tokenizer = self._loop.start()
        self._description = (
            f"torch {backend.model_name}, INT8 weights, {config.compute_dtype}, {config.device}, "
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
        return self._submit(request)

    def _submit(self, request: GenerationRequest) -> RequestHandle:
        sampling = request.sampling
        check_params(sampling)
        prompt = tuple(self._tokenizer.encode(request.prefix + request.text))
        if not prompt:
            raise InputError("the prompt is empty, expected at least one token")
        if sampling.candidates > self._config.max_batch:
            raise InputError(f"{sampling.candidates} candidates do not fit max_batch {self._config.max_batch}")
        if len(prompt) + sampling.max_new_tokens > self._config.max_context:
            raise InputError(
                f"a prompt of {len(prompt)} tokens and {sampling.max_new_tokens} new ones exceed max_context "
                f"{self._config.max_context}; shorten the prompt or open the generator with more"
            )
        handle = RequestHandle(request, prompt)
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


def open_torch_generator(config: TorchBackendConfig, comm: MPI.Comm | None) -> TorchGenerator:
    """Opens the model on rank 0 while the other ranks of `comm` run `serve_torch_generator`; `comm` None: one rank.

    Raises ConfigError (wrong rank count, with both numbers), ArtifactError (shards missing, damaged or stale),
    RankLostError (another rank failed or did not come).
    """
    return TorchGenerator(config, comm)
