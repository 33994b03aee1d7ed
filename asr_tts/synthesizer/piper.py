"""`Synthesizer` over a Piper voice: speech in chunks, without leading silence, with known word edges."""

from __future__ import annotations

import hashlib
import itertools
import zlib
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path

import numpy as np

from asr_tts.audio.levels import gain_of
from asr_tts.interfaces import AudioChunk, SpeechStyle, SpeechText, SpeechTextOf
from asr_tts.runtime import network_file
from asr_tts.synthesizer.phonemes import Phonemizer, Sentence, split_sentence
from asr_tts.synthesizer.style import clamp
from asr_tts.synthesizer.trim import SilenceTrimmer
from asr_tts.synthesizer.vits import (
    FIRST_CHUNK_FRAMES,
    LARGEST_CHUNK_FRAMES,
    ClauseTooLongError,
    Latent,
    VitsVoice,
)
from commentary_llm.ground.device_turn import DeviceTurn
from commentary_llm.ground.errors import InputError

NEUTRAL_STYLE = SpeechStyle()
# Sounds were once kept under a hash of the code that made them; this one made what is made today.
_SAME_AS = {"de2114e4311f5ee7": "bc68c0dd5456fad88355d33d25e66bcffcd0ac6b2f584024a70a2d1696985c43"}
_RECIPE = "piper-1"  # of this package: raise it when the same voice and words no longer give the same samples
_KNEE = 0.8  # samples above are bent toward 1, never past it
_PAUSE_S = {".": 0.28, "?": 0.28, "!": 0.22, ";": 0.20, ":": 0.20, ",": 0.12}


def pause_after_s(text: str, rate: float = 1.0) -> float:
    """How long a speaker rests after `text`, by its last mark; nothing without one."""
    return _PAUSE_S.get(text.rstrip(" \"'”’)")[-1:], 0.0) / rate


class Speech:
    """One text being spoken. Iterate it once; the networks run as chunks are asked for, in the caller's thread."""

    def __init__(
        self,
        voice: VitsVoice,
        sentences: tuple[Sentence, ...],
        style: SpeechStyle,
        seed: int,
        text: str,
        at_leisure: bool,
        turn: DeviceTurn | None,
    ) -> None:
        self.text = text  # as spoken, after normalisation
        self._first_frames = LARGEST_CHUNK_FRAMES if at_leisure else FIRST_CHUNK_FRAMES
        self._turn = None if at_leisure else turn
        self.style = style
        self.sample_rate_hz = voice.description.sample_rate_hz
        self._word_edges: list[int] = []
        self._samples = 0
        self._chunks = self._speak(voice, sentences, seed)

    def __iter__(self) -> Iterator[AudioChunk]:
        return self._chunks

    @property
    def word_edges_s(self) -> tuple[float, ...]:
        """Ends of the spoken words, in seconds from the first sample, ascending.

        Those of a sentence are known from its first chunk on, also for the words still to come. espeak-ng runs some
        short words together ("of the"): these share an edge. A cut at an edge falls between two words.
        """
        return tuple(edge / self.sample_rate_hz for edge in self._word_edges)

    @property
    def duration_s(self) -> float:
        """Length of what has come out so far."""
        return self._samples / self.sample_rate_hz

    def _speak(self, voice: VitsVoice, sentences: tuple[Sentence, ...], seed: int) -> Iterator[AudioChunk]:
        gain = np.float32(gain_of(self.style.gain_db))
        pause_samples = 0
        for sentence, latent, pcm in self._begun(voice, sentences, seed):
            for samples in self._speak_sentence(voice, sentence, latent, pcm, pause_samples):
                level = soft_clip(samples * gain)
                self._samples += len(level)
                yield AudioChunk(level, self.sample_rate_hz)
            if self._samples:
                pause_samples = round(pause_after_s(sentence.terminator, self.style.rate) * self.sample_rate_hz)

    def _begun(
        self, voice: VitsVoice, sentences: tuple[Sentence, ...], seed: int
    ) -> Iterator[tuple[Sentence, Latent, Iterator[np.ndarray]]]:
        """Each sentence's latent and PCM as it is asked for; one that is too long for the networks comes in parts."""
        pending = list(reversed(sentences))
        while pending:
            sentence = pending.pop()
            if voice.most_ids is not None and len(sentence.ids) > voice.most_ids:
                parts = split_sentence(sentence, voice.most_ids)
                if len(parts) > 1:
                    pending += reversed(parts)
                    continue
            try:
                latent, pcm = self._begin(voice, sentence, seed)
            except ClauseTooLongError:
                parts = split_sentence(sentence, len(sentence.ids) // 2 + len(sentence.ids) % 2)
                if len(parts) < 2:
                    raise
                pending += reversed(parts)
                continue
            yield sentence, latent, pcm

    def _begin(self, voice: VitsVoice, sentence: Sentence, seed: int) -> tuple[Latent, Iterator[np.ndarray]]:
        """The latent and the PCM in chunks, of which the first is decoded. Raises ClauseTooLongError."""
        ids = np.asarray(sentence.ids, dtype=np.int64)
        # The noise depends on the words alone: the same line sounds the same wherever it comes in a match.
        rng = np.random.default_rng((seed, zlib.crc32(ids.tobytes())))
        with nullcontext() if self._turn is None else self._turn.speech():
            latent = voice.encode(sentence.ids, rate=self.style.rate, energy=self.style.energy, rng=rng)
            chunks = voice.decode_chunks(latent, self._first_frames)
            first = next(chunks)
        return latent, itertools.chain((first,), chunks)

    def _speak_sentence(
        self, voice: VitsVoice, sentence: Sentence, latent: Latent, pcm: Iterator[np.ndarray], pause_samples: int
    ) -> Iterator[np.ndarray]:
        trimmer = SilenceTrimmer(self.sample_rate_hz)
        spoken = 0
        for chunk in pcm:
            kept = trimmer.push(chunk)
            if not len(kept):
                continue
            if not spoken:
                kept = np.concatenate((np.zeros(pause_samples, dtype=np.float32), kept))
                self._add_word_edges(voice, sentence, latent.durations, pause_samples - trimmer.removed_samples)
            spoken += len(kept)
            yield kept
        tail = trimmer.finish()
        if len(tail):
            yield tail

    def _add_word_edges(self, voice: VitsVoice, sentence: Sentence, durations: np.ndarray, shift: int) -> None:
        """`shift`: from the sentence's own samples to places after what has been spoken before it."""
        ends = np.cumsum(durations) * voice.description.hop_samples
        for index in sentence.word_ends:
            # `index - 1` is the pad after the word's last phoneme; half of it still belongs to the word.
            middle = (ends[index - 1] + ends[index - 2]) // 2
            self._word_edges.append(self._samples + max(0, int(middle) + shift))


class PiperSynthesizer:
    """Implements `Synthesizer`. The same text, style and seed give the same samples.

    `text`: of the language that the voice speaks. `pronunciations`: more names (as written -> IPA as the voice's
    espeak-ng has it) beside those of the language. May be used from several threads.
    """

    def __init__(
        self,
        voice: VitsVoice,
        text: SpeechText,
        seed: int = 0,
        pronunciations: Mapping[str, str] | None = None,
        fingerprint: str = "",
        turn: DeviceTurn | None = None,
    ) -> None:
        """`fingerprint` tells the voice's networks apart from all others, for `identity`.

        `turn`: of the GPU on which they run, where others make way for each first chunk that somebody waits for.
        """
        self.voice, self._turn = voice, turn
        self._seed = seed
        self._text = text
        spoken_by = voice.description.espeak_voice
        more = {text.plain(name): ipa for name, ipa in (pronunciations or {}).items()}
        known = {**text.names(spoken_by), **more}
        self._phonemizer = Phonemizer(spoken_by, voice.description.phoneme_ids, known, text.endings)
        made_by = (_RECIPE, version("piper-tts"), text.version, repr(sorted(more.items())))
        shaped = hashlib.sha256("\n".join(made_by).encode()).hexdigest()[:16]
        parts = (fingerprint, _SAME_AS.get(shaped, shaped), str(seed), "[]")
        self.identity = hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @classmethod
    def load(
        cls,
        folder: Path,
        texts: SpeechTextOf,
        *,
        runtime: str = "onnxruntime",
        device: str = "cpu",
        threads: int = 1,
        seed: int = 0,
        pronunciations: Mapping[str, str] | None = None,
        turn: DeviceTurn | None = None,
    ) -> PiperSynthesizer:
        """Loads a voice from its folder; `texts` has what its language needs, `runtime`, `device` and `threads` are as
        in `open_runtime`, `turn` as above.

        Raises ArtifactError if it is missing or damaged, ConfigError as `open_runtime` does.
        """
        fingerprint = hashlib.sha256((folder / "voice.json").read_bytes() if (folder / "voice.json").is_file() else b"")
        for network in ("text_encoder", "decoder"):
            path = network_file(folder, network, runtime)
            if path.is_file():
                fingerprint.update(path.read_bytes())
        fingerprint.update(device.encode())  # the same graph on another device: other samples, by rounding
        voice = VitsVoice.load(folder, runtime=runtime, device=device, threads=threads)
        text = texts(voice.description.espeak_voice)
        return cls(voice, text, seed, pronunciations, fingerprint.hexdigest(), turn)

    @property
    def sample_rate_hz(self) -> int:
        return self.voice.description.sample_rate_hz

    @property
    def description(self) -> str:
        return f"{self.voice.description.name}: {self.voice.runtime_description}"

    def warm_up(self) -> None:
        """Runs every shape of the networks, then speaks a few words into nothing: no real line is the slow one."""
        self.voice.warm_up()
        for text in self._text.trial_lines:
            for _ in self.synthesize(text):
                pass

    def synthesize(self, text: str, style: SpeechStyle = NEUTRAL_STYLE) -> Iterator[AudioChunk]:
        """Chunks of `text` in order, as they are decoded. Raises InputError for text without anything to say."""
        return iter(self.speak(text, style))

    def speak(self, text: str, style: SpeechStyle = NEUTRAL_STYLE, *, at_leisure: bool = False) -> Speech:
        """Like `synthesize`, with word edges. A style out of the voice's range is clamped.

        `at_leisure`: nobody waits for the first sound, so decode in few, large pieces, and where the GPU has time; the
        sound is the same.
        """
        spoken = self._text.normalize(text, self._phonemizer.known_names)
        sentences = self._phonemizer.sentences(spoken) if spoken else ()
        if not sentences:
            raise InputError(f"nothing to say in {text[:80]!r}; expected at least one word or number")
        return Speech(self.voice, sentences, clamp(style), self._seed, spoken, at_leisure, self._turn)


def soft_clip(samples: np.ndarray) -> np.ndarray:
    """Leaves samples within the knee alone and bends louder ones smoothly below 1."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    if peak <= _KNEE:
        return samples
    over = np.abs(samples) - _KNEE
    bent = _KNEE + (1 - _KNEE) * np.tanh(over / (1 - _KNEE))
    return np.where(over > 0, np.copysign(bent, samples), samples).astype(np.float32)
