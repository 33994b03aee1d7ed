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
from asr_tts.runtime import VOICE_STAGE, network_file, open_runtime
from commentary_llm.ground.errors import ArtifactError, EngineError

# 12 frames (139 ms at 22,050 Hz) decode in under 10 ms on one core and last longer than the next chunk takes.
FIRST_CHUNK_FRAMES = 12
LARGEST_CHUNK_FRAMES = 96
_SHORTEST_CHUNK_FRAMES = FIRST_CHUNK_FRAMES // 2
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


class ClauseTooLongError(EngineError):
    """A clause has more phoneme ids or latent frames than the voice's networks were made for; split it."""


def decoder_windows(voice: VoiceDescription) -> tuple[int, ...]:
    """Window lengths, in frames, that a decoder of fixed shapes is made for: one for each size of chunk.

    The first chunk has nothing before it; a last one may be longer by what would be too short on its own.
    """
    before, after = voice.decoder_context_frames
    after = max(after, _SHORTEST_CHUNK_FRAMES - 1)
    sizes = [FIRST_CHUNK_FRAMES]
    while sizes[-1] < LARGEST_CHUNK_FRAMES:
        sizes.append(min(2 * sizes[-1], LARGEST_CHUNK_FRAMES))
    return (sizes[0] + after, *(before + size + after for size in sizes[1:]))


class VitsVoice:
    """A voice's networks. Thread-safe as its runtimes are.

    Networks of fixed shapes (those with profiles; see `checkpoints.engines.voice`) are fed padded arrays, with the same
    sound as the result.
    """

    def __init__(self, voice: VoiceDescription, encoder: SpeechRuntime, decoder: SpeechRuntime) -> None:
        self.description = voice
        self._encoder = encoder
        self._decoder = decoder
        self.most_ids = encoder.profiles[0]["input"][1] if encoder.profiles else None  # of one clause; None: any number
        self._windows = sorted(profile["latent"][2] for profile in decoder.profiles)
        if self._windows and not set(decoder_windows(voice)) <= set(self._windows):
            raise ArtifactError(
                f"voice {voice.name}: the decoder was made for windows of {self._windows} frames; this version cuts "
                f"windows of {list(decoder_windows(voice))}. Make it anew with `python -m checkpoints engines build`, "
                "or `convert` for ONNX Runtime"
            )

    @classmethod
    def load(cls, folder: Path, *, runtime: str = "onnxruntime", device: str = "cpu", threads: int = 1) -> VitsVoice:
        """Loads what `checkpoints.importers.piper` or, for a GPU, `checkpoints.engines` wrote into `folder`.

        Raises ArtifactError when it is missing, damaged or of another build, ConfigError as `open_runtime` does.
        """
        encoder, decoder = (
            open_runtime(
                network_file(folder, network, runtime),
                runtime,
                device=device,
                threads=threads,
                name=f"VITS {network.replace('_', ' ')}",
                stage=VOICE_STAGE,
            )
            for network in ("text_encoder", "decoder")
        )
        return cls(VoiceDescription.load(folder / "voice.json"), encoder, decoder)

    @property
    def runtime_description(self) -> str:
        """Runtime, device and precision of both networks."""
        return f"{self._encoder.description}; {self._decoder.description}"

    def warm_up(self) -> None:
        """Runs every network and shape once."""
        self._encoder.warm_up()
        self._decoder.warm_up()

    def encode(self, ids: Sequence[int], *, rate: float, energy: float, rng: np.random.Generator) -> Latent:
        """Latent of one sentence. `rate` > 1 is faster; `energy` scales the prosody's noise, 0 leaves none.

        Raises ClauseTooLongError when it does not fit networks of fixed shapes.
        """
        voice = self.description
        scales = (voice.noise_scale * energy, voice.length_scale / rate, voice.duration_noise_scale * energy)
        # Frame-major, so that the first frames' noise does not depend on how many are drawn.
        noise = rng.standard_normal((1, _NOISE_FRAMES, voice.latent_channels), dtype=np.float32)
        count, places = len(ids), self.most_ids or len(ids)
        if count > places:
            raise ClauseTooLongError(f"voice {voice.name}: {count} phoneme ids in a clause; its encoder takes {places}")
        padded = np.zeros((1, places), dtype=np.int64)
        padded[0, :count] = ids
        duration_noise = np.zeros((1, _DURATION_CHANNELS, places), dtype=np.float32)
        duration_noise[:, :, :count] = rng.standard_normal((1, _DURATION_CHANNELS, count), dtype=np.float32)
        outputs = self._encoder.run(
            {
                "input": padded,
                "input_lengths": np.asarray([count], dtype=np.int64),
                "scales": np.asarray(scales, dtype=np.float32),
                "duration_noise": duration_noise,
                "latent_noise": np.ascontiguousarray(noise.transpose(0, 2, 1)),
            }
        )
        durations = np.asarray(outputs["durations"]).reshape(-1)[:count].astype(np.int64)
        frames = np.asarray(outputs["latent"])
        if self.most_ids is None:
            return Latent(frames, durations)
        spoken = max(int(durations.sum()), 1)  # VITS makes at least one frame
        if spoken > frames.shape[2]:
            raise ClauseTooLongError(
                f"voice {voice.name}: a clause of {spoken} frames; its encoder makes {frames.shape[2]} at most"
            )
        return Latent(frames[:, :, :spoken], durations)

    def decode(self, latent: Latent) -> np.ndarray:
        """All of a latent's PCM, float32 (frames x hop,): in one piece where the decoder takes any length."""
        if self._windows:
            return np.concatenate(list(self.decode_chunks(latent)))
        return self._run_decoder(latent.frames)

    def decode_chunks(self, latent: Latent, first_frames: int = FIRST_CHUNK_FRAMES) -> Iterator[np.ndarray]:
        """The same PCM in pieces as they are decoded, one of `first_frames` (12 … 96) first, then longer ones.

        Each piece is decoded with the decoder's whole receptive field as context, so the pieces put together are
        `decode(latent)` up to the order of floating-point sums (measured: 2e-6 at most).
        """
        before, after = self.description.decoder_context_frames
        hop = self.description.hop_samples
        start, size = 0, first_frames
        while start < len(latent):
            stop = min(start + size, len(latent))
            if len(latent) - stop < _SHORTEST_CHUNK_FRAMES:
                stop = len(latent)  # a stump of its own would cost its whole context again
            left = max(0, start - before)
            pcm = self._run_decoder(latent.frames[:, :, left : stop + after])
            yield pcm[(start - left) * hop : (stop - left) * hop]
            start, size = stop, min(2 * size, LARGEST_CHUNK_FRAMES)

    def _run_decoder(self, frames: np.ndarray) -> np.ndarray:
        count = frames.shape[2]
        feeds = {"latent": np.ascontiguousarray(frames)}
        if self._windows:
            window = next(size for size in self._windows if size >= count)
            feeds = {
                "latent": np.zeros((1, frames.shape[1], window), dtype=np.float32),
                "mask": np.zeros((1, 1, window), dtype=np.float32),
            }
            feeds["latent"][:, :, :count] = frames
            feeds["mask"][:, :, :count] = 1.0
        pcm = np.asarray(self._decoder.run(feeds)["pcm"]).reshape(-1)
        return pcm[: count * self.description.hop_samples]
