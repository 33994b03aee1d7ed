"""Speech as the engine sees it: PCM windows to transcripts, text to PCM chunks, and what runs the networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and shape of a network's input or output; -1 where the size may vary."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]


class SpeechRuntime(Protocol):
    """One loaded network. `run` may be called from several threads; implementations hand out execution contexts."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def description(self) -> str:
        """Runtime, device, precision: one line for logs and reports."""
        ...

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs the network once on host arrays. Raises EngineError naming the network and the bad tensor."""
        ...


@dataclass(frozen=True)
class AudioChunk:
    """Mono PCM, float32 in [-1, 1]."""

    samples: np.ndarray
    sample_rate_hz: int

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate_hz


@dataclass(frozen=True)
class SpeechStyle:
    """How a line is spoken. Neutral is all ones; see `style.py` for how urgency becomes these."""

    rate: float = 1.0  # words per second relative to the voice's own; > 1 is faster
    energy: float = 1.0  # how lively: scales the voice's prosody noise (0 is deterministic and flat)
    gain_db: float = 0.0  # loudness relative to the neutral level


@dataclass(frozen=True)
class Transcript:
    """What was heard in one window. `text` is '' when nothing was."""

    text: str
    start_s: float  # window's place in the stream
    end_s: float
    no_speech_prob: float
    mean_logprob: float  # natural log, per token


class Recognizer(Protocol):
    @property
    def description(self) -> str:
        """Model, runtime, precision: one line for logs and reports."""
        ...

    def transcribe(self, samples: np.ndarray, start_s: float = 0.0) -> Transcript:
        """Transcribes one window: float32 mono 16 kHz in [-1, 1], at most the network's (10 s); shorter is padded."""
        ...


class Speech(Protocol):
    """One text being spoken; iterate it once."""

    @property
    def word_edges_s(self) -> tuple[float, ...]:
        """Ends of the words known so far, in seconds from the first sample, ascending; speech may be cut there."""
        ...

    def __iter__(self) -> Iterator[AudioChunk]:
        """Chunks as soon as they are decoded, in order, without leading silence."""
        ...


class Synthesizer(Protocol):
    @property
    def sample_rate_hz(self) -> int: ...

    @property
    def description(self) -> str:
        """Voice, runtime, precision: one line for logs and reports."""
        ...

    def speak(self, text: str, style: SpeechStyle = SpeechStyle()) -> Speech:
        """Speaks `text` (as written; it is normalised inside). Raises InputError for text without anything to say."""
        ...

    def synthesize(self, text: str, style: SpeechStyle = SpeechStyle()) -> Iterator[AudioChunk]:
        """Speaks `text` (as written; it is normalised inside): chunks as soon as they are decoded, in order.

        Raises InputError for text without anything to say.
        """
        ...
