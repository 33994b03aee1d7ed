"""The double of TensorRT-LLM on this machine: its path, and GPUs that torch seems to see."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch

DOUBLE = Path(__file__).with_name("tensorrt_llm_double")
GPU_NAME = "NVIDIA H100 80GB HBM3"


@contextmanager
def pretend(
    gpus: int = 2, name: str = GPU_NAME, capability: tuple[int, int] = (9, 0), cuda: str | None = "13.0"
) -> Iterator[None]:
    """`import tensorrt_llm` gives the double, and torch sees `gpus` GPUs of one kind; all undone at the end."""
    current = [0]
    before = list(sys.path)
    sys.path.insert(0, str(DOUBLE))
    patches = [
        mock.patch.object(torch.cuda, "device_count", return_value=gpus),
        mock.patch.object(torch.cuda, "get_device_name", return_value=name),
        mock.patch.object(torch.cuda, "get_device_capability", return_value=capability),
        mock.patch.object(torch.cuda, "set_device", side_effect=lambda index: current.__setitem__(0, index)),
        mock.patch.object(torch.cuda, "current_device", side_effect=lambda: current[0]),
        mock.patch.object(torch.version, "cuda", cuda),
    ]
    try:
        for patch in patches:
            patch.start()
        yield
    finally:
        for patch in patches:
            patch.stop()
        sys.path[:] = before
        for module in [each for each in sys.modules if each.split(".")[0] == "tensorrt_llm"]:
            del sys.modules[module]
