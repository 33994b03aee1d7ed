"""Speech of our own with known words: what calibrates the scales of INT8, and what the losses are measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from asr_tts.audio.crowd import CrowdNoise, Moment
from asr_tts.interfaces import SpeechStyle
from asr_tts.recognizer.features import SAMPLE_RATE_HZ
from asr_tts.synthesizer.piper import PiperSynthesizer

# As the stadium's announcer, a calm and a roused commentator speak.
_STYLES = (SpeechStyle(0.95, 0.35), SpeechStyle(1.0, 0.8), SpeechStyle(1.15, 1.0))
NOISE_SNR_DB = 10.0
_CROWD_S = 60.0


@dataclass(frozen=True)
class Utterance:
    """One spoken line: float32 mono at 16 kHz, alone and in front of a crowd at `NOISE_SNR_DB`."""

    text: str
    clean: np.ndarray
    noisy: np.ndarray


def speak(texts: Sequence[str], voice: PiperSynthesizer) -> list[Utterance]:
    """Each text spoken once, in turn in three styles; the same voice and texts give the same samples."""
    crowd = CrowdNoise([Moment(time_s, 0.5) for time_s in np.arange(5.0, _CROWD_S, 10.0)], seed=3).read(0.0, _CROWD_S)
    spoken = []
    for number, text in enumerate(texts):
        chunks = [chunk.samples for chunk in voice.synthesize(text, _STYLES[number % len(_STYLES)])]
        clean = soxr.resample(np.concatenate(chunks), voice.sample_rate_hz, SAMPLE_RATE_HZ).astype(np.float32)
        start = number * SAMPLE_RATE_HZ % (len(crowd) - len(clean))
        noise = crowd[start : start + len(clean)]
        gain = np.sqrt(np.mean(clean**2) / np.mean(noise**2)) * 10.0 ** (-NOISE_SNR_DB / 20.0)
        spoken.append(Utterance(text, clean, np.clip(clean + gain * noise, -1.0, 1.0).astype(np.float32)))
    return spoken
