"""What engines depend on: the GPUs this process sees and the libraries installed. Imports no TensorRT-LLM."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from commentary_llm.ground.errors import ConfigError

TENSORRT_LLM_VERSION = "1.2.1"  # the last line with the TensorRT backend; names and rules here are those of 1.2.1
_TENSORRT_PACKAGES = ("tensorrt", "tensorrt_cu13", "tensorrt_cu12")


@dataclass(frozen=True)
class Gpu:
    """One GPU as CUDA numbers it in this process."""

    index: int
    name: str
    compute_capability: str  # "9.0"

    @property
    def sm(self) -> int:
        """90 for compute capability 9.0."""
        return int(self.compute_capability.replace(".", ""))


def visible_gpus() -> list[Gpu]:
    """The GPUs that this process may use; none without CUDA."""
    import torch

    found = []
    for index in range(torch.cuda.device_count()):
        major, minor = torch.cuda.get_device_capability(index)
        found.append(Gpu(index, torch.cuda.get_device_name(index), f"{major}.{minor}"))
    return found


def visibility() -> str:
    """Which GPUs the process was given, to compare between ranks of one host."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "all")


def not_installed() -> str | None:
    """Why TensorRT-LLM cannot be used here, judged without importing it (that takes seconds and starts MPI)."""
    if importlib.util.find_spec("tensorrt_llm") is None:
        return "tensorrt_llm is not installed"
    found = _version("tensorrt_llm")
    if found != TENSORRT_LLM_VERSION:
        return f"tensorrt_llm {found or 'of unknown version'} is installed, this program uses {TENSORRT_LLM_VERSION}"
    return None


def library_versions() -> dict[str, str]:
    """Versions that an engine is tied to: tensorrt_llm, tensorrt, cuda. Raises ConfigError when one is not there."""
    import torch

    found = {
        "tensorrt_llm": _version("tensorrt_llm"),
        "tensorrt": next(filter(None, map(_version, _TENSORRT_PACKAGES)), None),
        "cuda": torch.version.cuda,
    }
    missing = [name for name, value in found.items() if value is None]
    if missing:
        raise ConfigError(
            f"no version of {', '.join(missing)} found; expected tensorrt_llm {TENSORRT_LLM_VERSION} with the TensorRT "
            "it brings and a CUDA build of torch, as in NVIDIA's TensorRT-LLM image"
        )
    return {name: value for name, value in found.items() if value is not None}


def gpu_of_rank(rank: int, gpus_per_node: int, gpus: list[Gpu]) -> Gpu:
    """The GPU the executor gives a rank: number `rank % gpus_per_node`. Raises ConfigError when it is not visible."""
    index = rank % gpus_per_node
    if index >= len(gpus):
        raise ConfigError(
            f"rank {rank} is to use GPU {index}, but {len(gpus)} GPUs are visible to it (CUDA_VISIBLE_DEVICES: "
            f"{visibility()}); let every rank of a host see all of its GPUs, at least one for each rank"
        )
    return gpus[index]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
