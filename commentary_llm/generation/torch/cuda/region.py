"""Memory that every rank's GPU can write: the mailboxes through which the kernels of several ranks talk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from commentary_llm.generation.peers import REGION_TAG, Peers
from commentary_llm.generation.torch.cuda.library import KernelLibrary
from commentary_llm.ground.errors import ConfigError, EngineError

_ALIGNMENT = 1024
EMPTY = 0xFF  # of every byte of a mailbox that nobody has written, see kernels/mailbox.cuh


class PeerRegion:
    """One allocation of this rank, cut into named parts, and where the same parts of all ranks lie, seen from here.

    It lives as long as the process: peers may still write to it when this rank is done.
    """

    def __init__(self, kernels: KernelLibrary, parts: Mapping[str, tuple[int, int]]) -> None:
        """`parts`: name -> (bytes, value of each byte at first). On the current device. Raises EngineError."""
        self._kernels = kernels
        self._offsets: dict[str, int] = {}
        size = 0
        for name, (part_bytes, _) in parts.items():
            self._offsets[name] = size
            size += -(-part_bytes // _ALIGNMENT) * _ALIGNMENT
        self.size_bytes = size
        self.base, self.handle = kernels.allocate(size)
        for name, (part_bytes, value) in parts.items():
            kernels.fill(self.base + self._offsets[name], value, part_bytes)
        self._bases: list[int] = [self.base]

    def connect(self, bases: Sequence[int]) -> None:
        """Tells where the regions of all ranks begin, in rank order; for ranks that share a process."""
        self._bases = list(bases)

    def meet(self, peers: Peers) -> None:
        """Opens the regions of the other ranks. All ranks call it. Raises ConfigError where GPUs cannot reach peers."""
        handles = peers.exchange_bytes(self.handle, REGION_TAG)
        fault = ""
        bases: list[int] = []
        for rank, handle in enumerate(handles):
            if rank == peers.info.rank:
                bases.append(self.base)
                continue
            try:
                bases.append(self._kernels.open(handle))
            except EngineError as error:
                fault = f"it cannot reach the memory of {peers.label(rank)}'s GPU: {error}"
                break
        if fault := peers.agree(fault):
            raise ConfigError(f"{fault}; device 'cuda' with several ranks needs GPUs with peer access on one host")
        self._bases = bases

    def addresses(self, name: str) -> list[int]:
        """Of a part, on every rank."""
        return [base + self._offsets[name] for base in self._bases]

    def own(self, name: str) -> int:
        return self.base + self._offsets[name]

    def tensor(self, name: str, shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
        """This rank's part as a float32 tensor."""
        return torch.as_tensor(_CudaArray(self.own(name), shape), device=device)


class _CudaArray:
    """https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html"""

    def __init__(self, address: int, shape: tuple[int, ...]) -> None:
        self.__cuda_array_interface__: dict[str, Any] = {
            "shape": shape,
            "typestr": "<f4",
            "data": (address, False),
            "version": 3,
        }
