"""Speech as the engine sees it: PCM windows to transcripts, text to PCM chunks, and what runs the networks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and shape of a network's input or output; -1 where the size may vary."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]


class DeviceTensor(Protocol):
    """A network's output that stayed where the network runs; read it only by feeding it to another network there."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...


Tensor = np.ndarray | DeviceTensor


class SpeechRuntime(Protocol):
    """One loaded network. `run` may be called from several threads; implementations hand out execution contexts."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def profiles(self) -> tuple[Mapping[str, tuple[int, ...]], ...]:
        """The input shapes it was made for, {input: shape} each; none when it takes all that `inputs` allows."""
        ...

    @property
    def description(self) -> str:
        """Runtime, device, precision: one line for logs and reports."""
        ...

    def run(self, feeds: Mapping[str, Tensor], keep: Collection[str] = ()) -> dict[str, Tensor]:
        """Runs the network once. Outputs named in `keep` may stay on the device, all others come as host arrays.

        Raises EngineError naming the network and the bad tensor.
        """
        ...

    def warm_up(self) -> None:
        """Runs every profile once, so that no later call pays for lazy set-up. Nothing where there are no profiles."""
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

    def warm_up(self) -> None:
        """Runs every network and shape once, so that no window of the match pays for lazy set-up."""
        ...

    def transcribe(self, samples: np.ndarray, start_s: float = 0.0) -> Transcript:
        """Transcribes one window: float32 mono 16 kHz in [-1, 1], at most the network's (10 s); shorter is padded."""
        ...

    @property
    def best_batch(self) -> int:
        """Windows for `transcribe_many` at once that take the least time each; 1 where a batch gains nothing."""
        ...

    def transcribe_many(self, windows: Sequence[tuple[np.ndarray, float]]) -> list[Transcript]:
        """Transcribes (samples, start_s) windows, of one stream or several, as `transcribe` would one by one."""
        ...


class SpeechText(Protocol):
    """What a synthesiser has to know of a language: text as written -> text that its phonemiser reads without guessing.

    Safe to share between threads.
    """

    @property
    def version(self) -> str:
        """The same exactly while the same text comes out the same: it tells kept sound apart."""
        ...

    @property
    def trial_lines(self) -> tuple[str, ...]:
        """A few usual lines, to warm a voice up with."""
        ...

    @property
    def endings(self) -> Mapping[str, Callable[[str], str]]:
        """What may be written on to a name ("'s") -> how it sounds after the name's IPA."""
        ...

    def normalize(self, text: str, known_names: frozenset[str]) -> str:
        """`text` as spoken: words and the marks `. , ! ? ; :` only; '' when there is nothing to say. Never raises.

        `known_names`: words, in lower case and as `plain` writes them, whose sound the caller has: they stay as they
        are, where others may be respelled.
        """
        ...

    def plain(self, name: str) -> str:
        """A name in the letters of normalised text."""
        ...

    def names(self, espeak_voice: str) -> Mapping[str, str]:
        """Names that spelling rules get wrong, as `plain` writes them -> IPA in the symbols of that voice."""
        ...


# By what espeak-ng calls the language that a voice speaks ("en-us"). Raises ConfigError where nobody knows that one.
SpeechTextOf = Callable[[str], SpeechText]


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

    @property
    def identity(self) -> str:
        """The same exactly while the same text in the same style gives the same sound; for keeping it."""
        ...

    def warm_up(self) -> None:
        """Runs every network and shape once, so that no line of the match pays for lazy set-up."""
        ...

    def speak(self, text: str, style: SpeechStyle = SpeechStyle(), *, at_leisure: bool = False) -> Speech:
        """Speaks `text` (as written; it is normalised inside). Raises InputError for text without anything to say.

        `at_leisure`: as little work as can be rather than the first sound as soon as can be; the sound is the same.
        """
        ...

    def synthesize(self, text: str, style: SpeechStyle = SpeechStyle()) -> Iterator[AudioChunk]:
        """Speaks `text` (as written; it is normalised inside): chunks as soon as they are decoded, in order.

        Raises InputError for text without anything to say.
        """
        ...
