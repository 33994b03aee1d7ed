"""The sound of every opener of a match, made before it begins and kept for the next time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from asr_tts.interfaces import SpeechStyle, Synthesizer
from asr_tts.synthesizer.clips import Clip, OpenClips, speak_clip
from asr_tts.synthesizer.piper import pause_after_s
from asr_tts.synthesizer.style import style_for
from commentary_llm.cue.cue import Cue
from commentary_llm.cue.excitement import Mood, mood_of
from commentary_llm.language.en.openers import OpenerSentence, sentences_of

_MOST_THREADS = 8


def style_of(cue: Cue) -> SpeechStyle:
    """How all of a cue is spoken: openers and what follows sound alike."""
    return _STYLES[mood_of(cue.excitement)]


_STYLES = {mood: style_for(mood.excitement) for mood in Mood}


@dataclass(frozen=True)
class PreparedSpeech:
    """An opener ready to be heard."""

    samples: np.ndarray  # (N,) float32 mono in [-1, 1], audible from the start
    sample_rate_hz: int
    word_edges_s: tuple[float, ...]


class SoundBank:
    """Clips by sentence and mood. Read-only once made; safe to share between threads."""

    def __init__(self, clips: Mapping[OpenerSentence, Clip]) -> None:
        self._clips = dict(clips)

    def __len__(self) -> int:
        return len(self._clips)

    def speech(self, opener: str, mood: Mood) -> PreparedSpeech | None:
        """The sound of an opener, its sentences with a pause between; None where one of them is not there."""
        parts: list[np.ndarray] = []
        edges_s: list[float] = []
        at = 0
        rate_hz = 0
        for sentence in sentences_of(opener):
            clip = self._clips.get(OpenerSentence(sentence, mood))
            samples = clip.samples() if clip is not None else None
            if clip is None or samples is None:  # a kept one may be lost meanwhile
                return None
            rate_hz = clip.sample_rate_hz
            edges_s += (at / rate_hz + edge_s for edge_s in clip.word_edges_s)
            pause = np.zeros(round(pause_after_s(sentence, _STYLES[mood].rate) * rate_hz), np.float32)
            parts += (samples, pause)
            at += clip.length_samples + len(pause)
        if not parts:
            return None
        return PreparedSpeech(np.concatenate(parts[:-1]), rate_hz, tuple(edges_s))


def prepare_sounds(
    sentences: Iterable[OpenerSentence],
    synthesizer: Synthesizer,
    kept: OpenClips | None,
    progress: Callable[[float], None],
) -> SoundBank:
    """Takes each sentence's clip from those `kept` or makes it, on all cores; `progress` gets the share done.

    Without kept clips all are made, and stay in memory.
    """
    wanted = list(sentences)
    clips: dict[OpenerSentence, Clip] = {}
    for sentence in wanted:
        found = kept.get(sentence.text, _STYLES[sentence.mood]) if kept is not None else None
        if found is not None:
            clips[sentence] = found
    missing = [sentence for sentence in wanted if sentence not in clips]

    def make(sentence: OpenerSentence) -> Clip:
        clip = speak_clip(synthesizer, sentence.text, _STYLES[sentence.mood])
        return clip if kept is None else kept.put(sentence.text, _STYLES[sentence.mood], clip)

    threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
    pool = ThreadPoolExecutor(threads, thread_name_prefix="openers")
    try:
        for sentence, clip in zip(missing, pool.map(make, missing), strict=True):
            clips[sentence] = clip
            progress(len(clips) / len(wanted))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C must not wait for a thousand clips
    if missing and kept is not None:
        kept.cache.prune()
    return SoundBank(clips)
