"""What the stadium microphone has heard, for the prompt."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from asr_tts.recognizer.listener import StreamEar
from commentary_llm.ground.errors import ConfigError
from commentary_llm.match import MatchEvent

_WINDOW_S = 10.0


class Hearing(Protocol):
    """The source of the rolling transcript."""

    def heard(self, event: MatchEvent, stream_s: float) -> str:
        """What was heard around (replay) or until (live) this moment; '' when nothing was."""
        ...

    def push(self, samples: np.ndarray) -> None:
        """Live sound: (N,) float32 mono 16 kHz. Raises ConfigError where none is expected."""
        ...

    def close(self) -> None: ...


class Silence:
    """No stadium audio."""

    def push(self, samples: np.ndarray) -> None:
        raise ConfigError("the engine was started without a recogniser; use EngineConfig(listen=True)")

    def heard(self, event: MatchEvent, stream_s: float) -> str:
        return ""

    def close(self) -> None:
        pass


class LiveHearing:
    """The newest words of a recogniser that runs all the time; never waits."""

    def __init__(self, ear: StreamEar) -> None:
        self._ear = ear

    def push(self, samples: np.ndarray) -> None:
        self._ear.push(samples)

    def heard(self, event: MatchEvent, stream_s: float) -> str:
        return self._ear.transcript(stream_s, _WINDOW_S).text

    def close(self) -> None:
        self._ear.close()
