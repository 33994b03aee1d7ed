"""The two networks of a Piper VITS voice: phoneme ids to latent frames, latent frames to PCM.

ids (1, n) ──▶ text encoder ──▶ latent (1, C, frames) ──▶ decoder ──▶ pcm, `hop_samples` a frame
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asr_tts.interfaces import SpeechRuntime
from asr_tts.runtime import open_runtime
from commentary_llm.errors import ArtifactError

# 12 frames (139 ms at 22,050 Hz) decode in under 10 ms on one core and last longer than the next chunk takes.
FIRST_CHUNK_FRAMES = 12
LARGEST_CHUNK_FRAMES = 96
_NOISE_FRAMES = 512  # the latent's noise repeats after so many frames (5.9 s), longer than anybody could notice
_DURATION_CHANNELS = 2


@dataclass(frozen=True)
class VoiceDescription:
    """`voice.json` beside the graphs."""

    name: str
    sample_rate_hz: int
    hop_samples: int
    decoder_context_frames: tuple[int, int]  # frames before and after that a frame's samples depend on
    latent_channels: int
    espeak_voice: str
    noise_scale: float
    length_scale: float
    duration_noise_scale: float
    phoneme_ids: Mapping[str, Sequence[int]]
    speaker: int | None = None

    @classmethod
    def load(cls, path: Path) -> VoiceDescription:
        """Raises ArtifactError if the file is missing or not a voice description."""
        mend = "`python -m checkpoints setup` rebuilds it"
        try:
            fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            before, after = fields.pop("decoder_context_frames")
            return cls(**fields, decoder_context_frames=(int(before), int(after)))
        except OSError as error:
            raise ArtifactError(f"voice description {path} cannot be read: {error}; {mend}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ArtifactError(f"{path} is not a voice description of this version: {error!r}; {mend}") from error


@dataclass(frozen=True)
class Latent:
    """One sentence before the decoder: `frames` (1, C, frames) float32, `durations` (ids,) in frames."""

    frames: np.ndarray
    durations: np.ndarray

    def __len__(self) -> int:
        return int(self.frames.shape[2])


class VitsVoice:
    """A voice's networks. Thread-safe as its runtimes are."""

    def __init__(self, voice: VoiceDescription, encoder: SpeechRuntime, decoder: SpeechRuntime) -> None:
        self.description = voice
        self._encoder = encoder
        self._decoder = decoder

    @classmethod
    def load(cls, folder: Path, runtime: str = "onnxruntime", threads: int = 1) -> VitsVoice:
        """Loads what `checkpoints.importers.piper.import_piper` wrote into `folder`. Raises ArtifactError."""
        return cls(
            VoiceDescription.load(folder / "voice.json"),
            open_runtime(folder / "text_encoder.onnx", runtime, threads=threads, name="VITS text encoder"),
            open_runtime(folder / "decoder.onnx", runtime, threads=threads, name="VITS decoder"),
        )

    @property
    def runtime_description(self) -> str:
        """Runtime, device and precision of both networks."""
        return f"{self._encoder.description}; {self._decoder.description}"

    def encode(self, ids: Sequence[int], *, rate: float, energy: float, rng: np.random.Generator) -> Latent:
        """Latent of one sentence. `rate` > 1 is faster; `energy` scales the prosody's noise, 0 leaves none."""
        voice = self.description
        scales = (voice.noise_scale * energy, voice.length_scale / rate, voice.duration_noise_scale * energy)
        # Frame-major, so that the first frames' noise does not depend on how many are drawn.
        noise = rng.standard_normal((1, _NOISE_FRAMES, voice.latent_channels), dtype=np.float32)
        outputs = self._encoder.run(
            {
                "input": np.asarray([ids], dtype=np.int64),
                "input_lengths": np.asarray([len(ids)], dtype=np.int64),
                "scales": np.asarray(scales, dtype=np.float32),
                "duration_noise": rng.standard_normal((1, _DURATION_CHANNELS, len(ids)), dtype=np.float32),
                "latent_noise": np.ascontiguousarray(noise.transpose(0, 2, 1)),
            }
        )
        return Latent(outputs["latent"], outputs["durations"].reshape(-1).astype(np.int64))

    def decode(self, latent: Latent) -> np.ndarray:
        """All of a latent's PCM in one piece: float32 (frames x hop,)."""
        return self._run_decoder(latent.frames)

    def decode_chunks(self, latent: Latent) -> Iterator[np.ndarray]:
        """The same PCM in pieces as they are decoded, a short one first, then longer ones.

        Each piece is decoded with the decoder's whole receptive field as context, so the pieces put together are
        `decode(latent)` up to the order of floating-point sums (measured: 2e-6 at most).
        """
        before, after = self.description.decoder_context_frames
        hop = self.description.hop_samples
        start, size = 0, FIRST_CHUNK_FRAMES
        while start < len(latent):
            stop = min(start + size, len(latent))
            if len(latent) - stop < FIRST_CHUNK_FRAMES // 2:
                stop = len(latent)  # a stump of its own would cost its whole context again
            left = max(0, start - before)
            pcm = self._run_decoder(latent.frames[:, :, left : stop + after])
            yield pcm[(start - left) * hop : (stop - left) * hop]
            start, size = stop, min(2 * size, LARGEST_CHUNK_FRAMES)

    def _run_decoder(self, frames: np.ndarray) -> np.ndarray:
        return self._decoder.run({"latent": np.ascontiguousarray(frames)})["pcm"].reshape(-1)
