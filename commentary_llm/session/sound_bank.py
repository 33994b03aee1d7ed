"""The sound of every opener of a match, made before it begins and kept for the next time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from asr_tts.interfaces import SpeechStyle, Synthesizer
from asr_tts.synthesizer.clips import Clip, ClipCache, speak_clip
from asr_tts.synthesizer.piper import pause_after_s
from asr_tts.synthesizer.style import style_for
from commentary_llm.cue.cue import Cue
from commentary_llm.cue.excitement import Mood, mood_of
from commentary_llm.cue.wording import TextRules, clauses_of
from commentary_llm.language.contract import OpenerSentence

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

    def __init__(self, clips: Mapping[OpenerSentence, Clip], rules: TextRules) -> None:
        """`rules`: of the language that the sentences are in."""
        self._clips = dict(clips)
        self._rules = rules

    def __len__(self) -> int:
        return len(self._clips)

    def speech(self, opener: str, mood: Mood) -> PreparedSpeech | None:
        """The sound of an opener, its sentences with a pause between; None where one of them is not there."""
        parts: list[np.ndarray] = []
        edges_s: list[float] = []
        at = 0
        rate_hz = 0
        for sentence in clauses_of(opener, self._rules):
            clip = self._clips.get(OpenerSentence(sentence, mood))
            if clip is None:
                return None
            rate_hz = clip.sample_rate_hz
            edges_s += (at / rate_hz + edge_s for edge_s in clip.word_edges_s)
            pause = np.zeros(round(pause_after_s(sentence, _STYLES[mood].rate) * rate_hz), np.float32)
            parts += (clip.samples(), pause)
            at += len(clip.pcm) + len(pause)
        if not parts:
            return None
        return PreparedSpeech(np.concatenate(parts[:-1]), rate_hz, tuple(edges_s))


def prepare_sounds(
    sentences: Iterable[OpenerSentence],
    rules: TextRules,
    synthesizer: Synthesizer,
    cache: ClipCache | None,
    progress: Callable[[float], None],
) -> SoundBank:
    """Takes each sentence's clip from `cache` or makes it, on all cores; `progress` gets the share done.

    Without a cache nothing is kept.
    """
    wanted = list(sentences)
    clips: dict[OpenerSentence, Clip] = {}
    for sentence in wanted:
        clip = cache.get(sentence.text, _STYLES[sentence.mood]) if cache is not None else None
        if clip is not None:
            clips[sentence] = clip
    missing = [sentence for sentence in wanted if sentence not in clips]

    def make(sentence: OpenerSentence) -> Clip:
        clip = speak_clip(synthesizer, sentence.text, _STYLES[sentence.mood])
        if cache is not None:
            cache.put(sentence.text, _STYLES[sentence.mood], clip)
        return clip

    threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
    pool = ThreadPoolExecutor(threads, thread_name_prefix="openers")
    try:
        for sentence, clip in zip(missing, pool.map(make, missing), strict=True):
            clips[sentence] = clip
            progress(len(clips) / len(wanted))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C must not wait for a thousand clips
    if missing and cache is not None:
        cache.prune()
    return SoundBank(clips, rules)
