"""Whisper as a `Recognizer`: one window of sound in, one transcript out."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from asr_tts.interfaces import SpeechRuntime, Tensor, Transcript
from asr_tts.recognizer.decoding import Decoded, GreedyDecoder
from asr_tts.recognizer.features import HOP_SAMPLES, SAMPLE_RATE_HZ, log_mel
from asr_tts.recognizer.model_config import WhisperConfig
from asr_tts.recognizer.word_error import normalise_words
from asr_tts.runtime import network_file, open_runtime
from commentary_llm.ground.errors import ArtifactError, InputError

# Whisper learned to stop in the silence after the words: a window full to its edge makes it repeat itself.
TAIL_S = 1.0
# The fastest speech has some 7 tokens a second, so this bounds the time that one bad window can take.
_TOKENS_PER_SECOND = 11


def most_tokens(window_s: float) -> int:
    """Tokens after the prompt that one window may take."""
    return round(window_s * _TOKENS_PER_SECOND)


# What Whisper writes when nobody speaks, learned from subtitles. None of it tells a commentator anything.
_HALLUCINATIONS = frozenset(
    {
        "you",
        "bye",
        "bye bye",
        "okay",
        "oh",
        "the",
        "so",
        "thank you",
        "thank you very much",
        "thank you so much",
        "thanks",
        "thanks for watching",
        "thank you for watching",
        "thank you for watching this video",
        "please subscribe",
        "please subscribe to my channel",
        "subscribe",
        "see you next time",
        "see you in the next video",
        "ill see you next time",
        "ill see you in the next video",
        "well be right back",
    }
)
_SENTENCE_END = re.compile(r"(?<=[.!?]) ")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class HearingLimits:
    """When a decoded text counts as not heard. Whisper's own limits (OpenAI `transcribe.py`), made stricter:

    Whisper samples again at a higher temperature when a limit is passed; here the text is dropped instead, since a
    wrong word in the prompt does more harm than a missing one.
    """

    no_speech_prob: float = 0.6
    mean_logprob: float = -1.0
    compression_ratio: float = 2.4
    level_dbfs: float = -60.0  # quieter windows (RMS) are not decoded at all


class WhisperRecognizer:
    """`Recognizer` over an imported Whisper model. Thread-safe; each call blocks while the networks run."""

    def __init__(
        self,
        encoder: SpeechRuntime,
        decoder: SpeechRuntime,
        config: WhisperConfig,
        tokenizer: Tokenizer,
        *,
        window_s: float = 10.0,
        limits: HearingLimits = HearingLimits(),
    ) -> None:
        longest_s = config.max_frames * HOP_SAMPLES / SAMPLE_RATE_HZ - TAIL_S
        if not 1.0 <= window_s <= longest_s:
            raise InputError(f"recogniser window is {window_s} s; expected 1 to {longest_s:.0f} s")
        self._encoder = encoder
        self._decoder_network = decoder
        self._cross = [spec.name for spec in encoder.outputs]
        if encoder.profiles:
            frames = encoder.profiles[0]["mel"][2]
            wanted = round((window_s + TAIL_S) * SAMPLE_RATE_HZ) // HOP_SAMPLES
            if frames != wanted:
                raise ArtifactError(
                    f"whisper encoder: made for {frames} mel frames; a window of {window_s:g} s has {wanted}. "
                    "Rebuild with `python -m checkpoints engines build --window-s`, or open it with its own window"
                )
        self._config = config
        self._tokenizer = tokenizer
        self._limits = limits
        self._window_samples = round(window_s * SAMPLE_RATE_HZ)
        self._decoder = GreedyDecoder(decoder, config, most_tokens(window_s))

    @property
    def window_s(self) -> float:
        """Longest window that `transcribe` takes."""
        return self._window_samples / SAMPLE_RATE_HZ

    @property
    def description(self) -> str:
        return self._encoder.description

    @property
    def best_batch(self) -> int:
        """See `Recognizer.best_batch`."""
        return self._decoder.best_batch

    def warm_up(self) -> None:
        """Runs every network and shape once, then a window of faint noise through all of them."""
        self._encoder.warm_up()
        self._decoder_network.warm_up()
        noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ) * 0.01
        self.decode(noise.astype(np.float32))

    def transcribe(self, samples: np.ndarray, start_s: float = 0.0) -> Transcript:
        """Transcribes one window: (N,) float32 mono 16 kHz in [-1, 1]; shorter than `window_s` is padded with silence.

        `start_s` is the window's place in the stream. The text is '' when nothing intelligible was said. Raises
        InputError for a window that is too long or not one-dimensional, EngineError when a network fails.
        """
        return self.transcribe_many([(samples, start_s)])[0]

    def transcribe_many(self, windows: Sequence[tuple[np.ndarray, float]]) -> list[Transcript]:
        """Transcribes (samples, start_s) windows, as `transcribe` would one by one, decoding them in one batch."""
        powers = [self._power(samples) for samples, _ in windows]
        loud = [number for number, power in enumerate(powers) if power >= 10.0 ** (self._limits.level_dbfs / 10.0)]
        # Encoding gains nothing by a batch: on a CPU it took 4 to 8 % more time a window in one of two or four.
        encoded = [self._encode(windows[number][0]) for number in loud]
        decoded = dict(zip(loud, self._decoder.decode_many(encoded), strict=True))
        return [
            self._transcript(decoded.get(number), start_s, start_s + len(samples) / SAMPLE_RATE_HZ)
            for number, (samples, start_s) in enumerate(windows)
        ]

    def decode(self, samples: np.ndarray) -> Decoded:
        """What the networks make of one window, before any of it is rejected."""
        return self._decoder.decode(self._encode(samples))

    def _power(self, samples: np.ndarray) -> float:
        if samples.ndim != 1 or len(samples) > self._window_samples:
            raise InputError(
                f"recogniser: a window of shape {samples.shape}; expected (N,) with N at most {self._window_samples} "
                f"({self.window_s:g} s at {SAMPLE_RATE_HZ} Hz)"
            )
        return float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0

    def _encode(self, samples: np.ndarray) -> dict[str, Tensor]:
        padded = np.zeros(self._window_samples + round(TAIL_S * SAMPLE_RATE_HZ), np.float32)
        padded[: len(samples)] = samples
        mel = log_mel(padded, self._config.mels)[None]
        return self._encoder.run({"mel": mel}, keep=self._cross)

    def _transcript(self, decoded: Decoded | None, start_s: float, end_s: float) -> Transcript:
        """`decoded` None: too quiet to be decoded."""
        if decoded is None:
            return Transcript("", start_s, end_s, no_speech_prob=1.0, mean_logprob=0.0)
        return Transcript(self._text(decoded), start_s, end_s, decoded.no_speech_prob, decoded.mean_logprob)

    def _text(self, decoded: Decoded) -> str:
        limits = self._limits
        if decoded.no_speech_prob > limits.no_speech_prob or decoded.mean_logprob < limits.mean_logprob:
            return ""
        text = clean_text(self._tokenizer.decode(list(decoded.ids)))
        return "" if compression_ratio(text) > limits.compression_ratio else text


def open_recognizer(
    model: Path, *, runtime: str = "onnxruntime", device: str = "cpu", threads: int = 1, window_s: float = 10.0
) -> WhisperRecognizer:
    """The recogniser of an imported model folder (`models_dir() / ASR_MODEL`), or of what was built from one for a GPU.

    Raises ArtifactError when a file is missing or damaged, ConfigError as `open_runtime` does.
    """
    config = WhisperConfig.read(model / "config.json")
    path = model / "tokenizer.json"
    if not path.is_file():
        raise ArtifactError(f"{path}: missing; `python -m checkpoints setup` rebuilds it")
    encoder, decoder = (
        open_runtime(
            network_file(model, network, runtime),
            runtime,
            device=device,
            threads=threads,
            name=f"whisper {network}",
            stage="asr",
        )
        for network in ("encoder", "decoder")
    )
    return WhisperRecognizer(
        encoder,
        decoder,
        config,
        Tokenizer.from_file(str(path)),
        window_s=window_s,
    )


def compression_ratio(text: str) -> float:
    """Bytes of `text` over its bytes when deflated: above 2.4 it repeats itself (as in Whisper)."""
    raw = text.encode("utf-8")
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def clean_text(text: str) -> str:
    """`text` with plain spaces, without sentences that Whisper makes up from noise; '' when nothing is left.

    Tiny models tend to write a sentence, or a pair of them, twice when silence or noise follows: of equal stretches in
    a row one is kept. Broken characters (half a UTF-8 sequence at the window's edge) are dropped, too.
    """
    text = _SPACE.sub(" ", text.replace("\ufffd", "")).strip()
    kept: list[tuple[str, str]] = []  # sentence, its words
    for sentence in _SENTENCE_END.split(text):
        words = " ".join(normalise_words(sentence))
        if not words or words in _HALLUCINATIONS:
            continue
        kept.append((sentence, words))
        said = [key for _, key in kept]
        for length in range(1, len(said) // 2 + 1):
            if said[-length:] == said[-2 * length : -length]:
                del kept[-length:]
                break
    return " ".join(sentence for sentence, _ in kept)
