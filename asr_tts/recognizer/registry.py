"""How recognisers are opened, by the kind that their manifest names. Each kind registers itself, in an entry module."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from asr_tts.interfaces import Recognizer
from commentary_llm.ground.registry import Registry


class OpenRecognizer(Protocol):
    """Loads a recogniser from its folder."""

    def __call__(self, folder: Path, *, runtime: str, device: str, threads: int, window_s: float | None) -> Recognizer:
        """`runtime`, `device` and `threads` as in `open_runtime`; `window_s`: what its networks were built for, if so.

        Raises ArtifactError, ConfigError.
        """
        ...


RECOGNIZERS: Registry[OpenRecognizer] = Registry("kind of recogniser", "asr_tts.recognizer")
