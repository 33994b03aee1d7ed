"""The sound of openers, made while matches are on the air.

A match may begin before all of its openers are there: a line whose opener has no sound yet begins with its first
clause. One thread makes them for all matches, likeliest first, and gives way to lines that are being written.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter

from asr_tts.interfaces import Synthesizer
from asr_tts.synthesizer.clips import ClipCache, OpenClips, speak_clip
from commentary_llm.ground.errors import CommentaryError
from commentary_llm.language.contract import OpenerSentence
from commentary_llm.session.sound_bank import SoundBank, style_of_mood

log = logging.getLogger(__name__)

_POLL_S = 0.1
_MOST_THREADS = 8
# While lines are being written a clip is begun only after a rest of this many times what the last one took: a fifth of
# one core at the most.
_REST = 4.0


@dataclass(eq=False)
class _Wanted:
    """One match's sentences, likeliest first."""

    sentences: Sequence[OpenerSentence]
    clips: OpenClips | None  # None: nothing is kept
    at: int = 0  # how many are dealt with
    in_background: bool = True
    ready: threading.Event = field(default_factory=threading.Event)
    started: float = field(default_factory=perf_counter)
    ready_s: float | None = None


class OpenerMaker:
    """Keeps a sound bank full. Thread-safe."""

    def __init__(
        self,
        bank: SoundBank,
        synthesizer: Synthesizer,
        cache: ClipCache | None,
        busy: Callable[[], bool],
    ) -> None:
        """`busy`: whether lines are being written, to which the making of clips gives way. Without a cache nothing is
        kept for the next start."""
        self._bank, self._synthesizer, self._cache, self._busy = bank, synthesizer, cache, busy
        self._changed = threading.Condition()
        self._wanted: dict[str, _Wanted] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="openers", daemon=True)
        self._thread.start()

    def open(self, match_id: str, sentences: Sequence[OpenerSentence], *, in_background: bool = True) -> None:
        """Wants the sound of a match's sentences until `close_match`. Returns at once.

        Without `in_background` nothing is made before `make_now`.
        """
        with self._changed:
            clips = self._cache.open(self._synthesizer.identity) if self._cache is not None else None
            wanted = self._wanted[match_id] = _Wanted(sentences, clips, in_background=in_background)
            if not sentences:
                wanted.ready_s = 0.0
                wanted.ready.set()
            self._changed.notify_all()

    def make_now(self, match_id: str, progress: Callable[[float], None]) -> None:
        """Makes all of a match's sound on all cores and returns when it is there: for a station with nothing on air.

        `progress` is told the share done. Raises the synthesiser's errors.
        """
        wanted = self._wanted[match_id]
        missing = [sentence for sentence in wanted.sentences if not self._find(wanted, sentence)]
        done = len(wanted.sentences) - len(missing)
        pool = ThreadPoolExecutor(min(_MOST_THREADS, len(os.sched_getaffinity(0))), thread_name_prefix="openers")
        try:
            for _ in pool.map(lambda sentence: self._make(wanted, sentence), missing):
                done += 1
                progress(done / len(wanted.sentences))
        finally:
            pool.shutdown(cancel_futures=True)  # Ctrl-C must not wait for a thousand clips
        with self._changed:
            wanted.at = len(wanted.sentences)
            self._ready(wanted)

    def ready_s(self, match_id: str) -> float | None:
        """Seconds from `open` until all of a match's sound was there; None while it is not."""
        wanted = self._wanted.get(match_id)
        return wanted.ready_s if wanted is not None else None

    def wait(self, match_id: str, timeout_s: float) -> bool:
        """Waits until all of a match's sound is there; False when it is not within `timeout_s`."""
        wanted = self._wanted.get(match_id)
        return wanted is not None and wanted.ready.wait(timeout_s)

    def close_match(self, match_id: str) -> None:
        """A match's sound is wanted no more, as far as it goes."""
        with self._changed:
            wanted = self._wanted.pop(match_id, None)
            if wanted is None:
                return
            wanted.in_background = False
            kept = {sentence for other in self._wanted.values() for sentence in other.sentences}
        self._bank.drop(sentence for sentence in wanted.sentences if sentence not in kept)
        if wanted.clips is not None:
            wanted.clips.close()

    def close(self) -> None:
        """Ends the thread. Idempotent."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(5.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._stop.is_set() or self._next() is not None, _POLL_S)
                wanted = self._next()
                if wanted is None or self._stop.is_set():
                    continue
                sentence = wanted.sentences[wanted.at]
            if not self._find(wanted, sentence):
                started = perf_counter()
                try:
                    self._make(wanted, sentence)
                except CommentaryError as error:  # one sentence without sound is no reason to end a match
                    log.warning("no sound for the opener %r: %s", sentence.text, error)
                if self._busy():
                    self._stop.wait(_REST * (perf_counter() - started))
            with self._changed:
                wanted.at += 1
                if wanted.at == len(wanted.sentences):
                    self._ready(wanted)

    def _next(self) -> _Wanted | None:
        """The match that is least far: all come to their likeliest sentences first."""
        due = [each for each in self._wanted.values() if each.in_background and each.at < len(each.sentences)]
        return min(due, key=lambda wanted: wanted.at, default=None)

    def _ready(self, wanted: _Wanted) -> None:
        wanted.ready_s = perf_counter() - wanted.started
        wanted.ready.set()
        if self._cache is not None:
            self._cache.prune()

    def _find(self, wanted: _Wanted, sentence: OpenerSentence) -> bool:
        """Whether a sentence's sound is there, or was kept from an earlier time."""
        if sentence in self._bank:
            return True
        clip = wanted.clips.get(sentence.text, style_of_mood(sentence.mood)) if wanted.clips is not None else None
        if clip is None:
            return False
        self._bank.add(sentence, clip)
        return True

    def _make(self, wanted: _Wanted, sentence: OpenerSentence) -> None:
        style = style_of_mood(sentence.mood)
        clip = speak_clip(self._synthesizer, sentence.text, style)
        self._bank.add(sentence, clip if wanted.clips is None else wanted.clips.put(sentence.text, style, clip))
