"""The installed TensorRT-LLM: imported only when its version is the one that is known."""

from __future__ import annotations

import importlib
from typing import Any

from commentary_llm.artifacts.machine import TENSORRT_LLM_VERSION, not_installed
from commentary_llm.ground.errors import ConfigError


def import_library() -> Any:
    """The module `tensorrt_llm`, of the one version that is known. Raises ConfigError."""
    if (why := not_installed()) is not None:
        raise ConfigError(f"{why}; install it from NVIDIA's package index or use NVIDIA's TensorRT-LLM image")
    try:
        module = importlib.import_module("tensorrt_llm")
    except (ImportError, OSError, RuntimeError) as error:
        raise ConfigError(
            f"tensorrt_llm is installed but does not import ({type(error).__name__}: {error}); its CUDA, TensorRT and "
            "MPI libraries have to be those it was built with"
        ) from error
    found = getattr(module, "__version__", "unknown")
    if found != TENSORRT_LLM_VERSION:
        raise ConfigError(f"tensorrt_llm {found} was imported, this program uses {TENSORRT_LLM_VERSION}")
    return module


def find(module: str, name: str) -> Any:
    """`module.name` of the library. Raises ConfigError when this release has it elsewhere."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"tensorrt_llm {TENSORRT_LLM_VERSION} was expected to have {module}.{name}: {error}; this installation "
            "differs from the release"
        ) from error
