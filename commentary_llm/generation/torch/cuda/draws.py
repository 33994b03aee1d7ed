"""Tokens drawn on the GPU: every rank draws the same ones, from the whole rows of logits that each of them has."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from commentary_llm.generation.torch.cuda.library import MAX_DRAWS, DrawParameters, KernelLibrary, SlotState
from commentary_llm.generation.torch.protocol import SlotSampling
from commentary_llm.generation.torch.runner import Drawn
from commentary_llm.ground.errors import EngineError

_KEPT_LAUNCHES = 256  # whose results lie in host memory; far more than plans in flight have
_STAGES = 16  # buffers on their way to the GPU


class Staging:
    """Host memory from which int32 values are copied to the GPU without waiting for it."""

    def __init__(self, size: int, device: torch.device) -> None:
        self.size = size
        self._buffers = torch.zeros(_STAGES, size, dtype=torch.int32, pin_memory=True)
        self._copied: list[torch.cuda.Event | None] = [None] * _STAGES
        self._device, self._next = device, 0

    def copy(self, values: Sequence[int]) -> torch.Tensor:
        """(len(values),) int32 on the device, in order on the current stream."""
        buffer = self._buffers[self._next][: len(values)]
        before = self._copied[self._next]
        if before is not None:
            before.synchronize()  # plans run ahead of the GPU, and a buffer must not be written before it is read
        buffer.copy_(torch.tensor(values, dtype=torch.int32))
        on_device = buffer.to(self._device, non_blocking=True)
        self._copied[self._next] = copied = torch.cuda.Event()
        copied.record()
        self._next = (self._next + 1) % _STAGES
        return on_device


@dataclass(frozen=True)
class DrawnRow:
    """Where the results of one launch will be."""

    row: int
    slots: tuple[int, ...]


class DeviceDraws:
    """The samplers of all slots, on the GPU."""

    def __init__(
        self, kernels: KernelLibrary, slots: int, vocabulary: int, width: int, max_context: int, device: torch.device
    ) -> None:
        """`width` is the number of logits in a row, padding included."""
        self._kernels, self._vocabulary, self._width, self._device = kernels, vocabulary, width, device
        # Each slot's newest token; a step reads its input here.
        self.tokens = torch.zeros(slots, dtype=torch.int32, device=device)
        self._state_words = ctypes.sizeof(SlotState) // 4
        self._states = torch.zeros(slots, self._state_words, dtype=torch.int32, device=device)
        self._seen = torch.zeros(slots, vocabulary, dtype=torch.uint8, device=device)
        self._results = torch.zeros(_KEPT_LAUNCHES, MAX_DRAWS, 2, dtype=torch.int32, pin_memory=True)
        self._read = self._results.numpy()
        self._staging = Staging(max(max_context, self._state_words), device)
        needs_scratch = vocabulary > kernels.most_vocabulary
        self._scratch = torch.zeros(MAX_DRAWS, vocabulary, device=device) if needs_scratch else None
        self._launches = 0

    def begin(self, sampling: SlotSampling) -> None:
        """A sequence begins in a slot."""
        state = SlotState(
            sampling.seed % 2**64,
            *(sampling.temperature, sampling.top_p, sampling.repetition_penalty),
            *(sampling.candidate, 0, 0),
        )
        words = np.frombuffer(bytes(state), dtype=np.int32).tolist()
        self._states[sampling.slot].copy_(self._staging.copy(words))
        self._seen[sampling.slot].zero_()
        for first in range(0, len(sampling.seen), self._staging.size):
            ids = self._staging.copy(sampling.seen[first : first + self._staging.size])
            self._seen[sampling.slot].index_fill_(0, ids.long(), 1)

    def launch(self, logits: int, rows: Sequence[int], slots: Sequence[int], empty_rows: bool) -> list[DrawnRow]:
        """Queues a draw for each slot from a row of the logits at an address; `empty_rows` leaves a mailbox empty."""
        launched = []
        for first in range(0, len(slots), MAX_DRAWS):
            some = tuple(slots[first : first + MAX_DRAWS])
            row = self._launches % _KEPT_LAUNCHES
            self._launches += 1
            draws = DrawParameters()
            draws.logits, draws.states, draws.seen = logits, self._states.data_ptr(), self._seen.data_ptr()
            draws.tokens, draws.drawn = self.tokens.data_ptr(), self._results[row].data_ptr()
            draws.scratch = 0 if self._scratch is None else self._scratch.data_ptr()
            draws.rows[: len(some)] = list(rows[first : first + MAX_DRAWS])
            draws.slots[: len(some)] = list(some)
            draws.width, draws.vocabulary = self._width, self._vocabulary
            draws.count, draws.empty_rows = len(some), int(empty_rows)
            self._kernels.launch_draws(draws, torch.cuda.current_stream(self._device).cuda_stream)
            launched.append(DrawnRow(row, some))
        return launched

    def read(self, launched: Sequence[DrawnRow]) -> list[Drawn]:
        """What finished launches drew."""
        drawn = []
        for each in launched:
            values = self._read[each.row, : len(each.slots)]
            logprobs = values[:, 1].copy().view(np.float32).tolist()
            tokens = values[:, 0].tolist()
            drawn += [Drawn(*entry) for entry in zip(each.slots, tokens, logprobs, strict=True)]
        return drawn


class DeviceOutcome:
    """A plan that is queued: an event and the draws of each repeat."""

    def __init__(self, draws: DeviceDraws, repeats: Sequence[tuple[torch.cuda.Event, Sequence[DrawnRow]]]) -> None:
        self._draws, self._repeats = draws, repeats

    def draws(self, repeat: int) -> list[Drawn]:
        """See `Outcome.draws`."""
        event, launched = self._repeats[repeat]
        try:
            event.synchronize()
        except RuntimeError as error:  # a kernel gave up: another rank or block did not come within 2 s
            raise EngineError(f"a step failed on the GPU (is another rank gone?): {error}") from error
        return self._draws.read(launched)
