"""The sound of openers, ready to be heard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from asr_tts.interfaces import SpeechStyle
from asr_tts.synthesizer.clips import Clip
from asr_tts.synthesizer.piper import pause_after_s
from asr_tts.synthesizer.style import style_for
from commentary_llm.cue.cue import Cue
from commentary_llm.cue.excitement import Mood, mood_of
from commentary_llm.language.contract import OpenerSentence


def style_of(cue: Cue) -> SpeechStyle:
    """How all of a cue is spoken: openers and what follows sound alike."""
    return style_of_mood(mood_of(cue.excitement))


def style_of_mood(mood: Mood) -> SpeechStyle:
    """How everything in a mood is spoken."""
    return _STYLES[mood]


_STYLES = {mood: style_for(mood.excitement) for mood in Mood}


@dataclass(frozen=True)
class PreparedSpeech:
    """An opener ready to be heard."""

    samples: np.ndarray  # (N,) float32 mono in [-1, 1], audible from the start
    sample_rate_hz: int
    word_edges_s: tuple[float, ...]


class SoundBank:
    """Clips by sentence and mood, shared by all matches. It may grow while it is read; thread-safe."""

    def __init__(self) -> None:
        self._clips: dict[OpenerSentence, Clip] = {}

    def __len__(self) -> int:
        return len(self._clips)

    def __contains__(self, sentence: OpenerSentence) -> bool:
        return sentence in self._clips

    def add(self, sentence: OpenerSentence, clip: Clip) -> None:
        self._clips[sentence] = clip

    def drop(self, sentences: Iterable[OpenerSentence]) -> None:
        """Forgets sentences that no match says any more."""
        for sentence in sentences:
            self._clips.pop(sentence, None)

    def speech(self, sentences: Sequence[str], mood: Mood) -> PreparedSpeech | None:
        """The sound of an opener's sentences with a pause between; None where one of them is not there."""
        parts: list[np.ndarray] = []
        edges_s: list[float] = []
        at = 0
        rate_hz = 0
        for sentence in sentences:
            clip = self._clips.get(OpenerSentence(sentence, mood))
            if clip is None:
                return None
            samples = clip.samples()
            if samples is None:  # its file was lost
                self.drop([OpenerSentence(sentence, mood)])
                return None
            rate_hz = clip.sample_rate_hz
            edges_s += (at / rate_hz + edge_s for edge_s in clip.word_edges_s)
            pause = np.zeros(round(pause_after_s(sentence, _STYLES[mood].rate) * rate_hz), np.float32)
            parts += (samples, pause)
            at += clip.length_samples + len(pause)
        if not parts:
            return None
        return PreparedSpeech(np.concatenate(parts[:-1]), rate_hz, tuple(edges_s))
