"""How voices are opened, by the kind that their manifest names. Each kind registers itself, in an entry module here."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from asr_tts.interfaces import SpeechTextOf, Synthesizer
from commentary_llm.ground.device_turn import DeviceTurn
from commentary_llm.ground.registry import Registry


class OpenVoice(Protocol):
    """Loads a voice from its folder."""

    def __call__(
        self, folder: Path, *, texts: SpeechTextOf, runtime: str, device: str, threads: int, turn: DeviceTurn | None
    ) -> Synthesizer:
        """`texts`: what each language needs to be spoken. `runtime`, `device` and `threads` as in `open_runtime`.

        `turn`: of the GPU where others make way for the voice. Raises ArtifactError, ConfigError.
        """
        ...


VOICES: Registry[OpenVoice] = Registry("kind of voice", "asr_tts.synthesizer")
