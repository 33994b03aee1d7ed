"""The libraries that can run the speech networks. Each registers itself here, in an entry module of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from asr_tts.interfaces import SpeechRuntime
from commentary_llm.ground.registry import Registry

DEVICES = ("cpu", "cuda")
# What a runtime opens: a model as it was imported, its graphs with fixed shapes, or engines built for one kind of GPU.
Networks = Literal["imported", "graphs", "engines"]


class Runtime(Protocol):
    """A library that runs networks."""

    @property
    def suffix(self) -> str:
        """Of a network's file: "onnx" or "engine"."""
        ...

    def networks(self, device: str) -> Networks:
        """What it opens to run on `device`."""
        ...

    def check(self, device: str) -> None:
        """Raises ConfigError when the library lacks what it needs for `device`."""
        ...

    def open(self, path: Path, *, device: str, threads: int, name: str | None, stage: str) -> SpeechRuntime:
        """See `asr_tts.runtime.open_runtime`."""
        ...


RUNTIMES: Registry[Runtime] = Registry("speech runtime", "asr_tts.runtime")


def engine_runtimes() -> tuple[str, ...]:
    """Those that open nothing but engines, which `python -m checkpoints engines build --runtime NAME` makes."""
    return tuple(name for name in RUNTIMES.names() if RUNTIMES.get(name).networks("cuda") == "engines")
