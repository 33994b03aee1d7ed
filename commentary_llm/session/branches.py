"""Branches: likely outcomes of a build-up, written and voiced while nothing else is to be done.

    branches.observe(event, state)      every accepted event; returns the branch that it confirms, if one is ready
    branches.pause() / .resume()        a real cue needs the models / they are free again

One build-up is followed at a time, the newest. A branch comes out of here as a proposal: the writer lets it be heard
only if the fact gate holds every sentence true of the real event.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from asr_tts.interfaces import AudioChunk, Synthesizer
from commentary_llm.cue.buildup import BuildUp, Outcome, build_up_of
from commentary_llm.cue.choice import Room
from commentary_llm.cue.cue import Cue
from commentary_llm.cue.history import LineHistory
from commentary_llm.generation import GenerationHandle, GenerationRequest, Generator, SamplingParams
from commentary_llm.ground.metrics import Metrics
from commentary_llm.language.contract import Gate, Openers, Prompts
from commentary_llm.match import MatchEvent, MatchState
from commentary_llm.session.candidates import Candidate, best_of
from commentary_llm.session.sound_bank import style_of

_PRIORITY = -1  # below every cue
_CANDIDATES = 2  # for each outcome; most of what is decoded here is never heard
_DEADLINE_MS = 5e3


@dataclass(frozen=True)
class VoicedSentence:
    """A sentence with its sound; what `Synthesizer.speak` returns, but ready and to be read many times."""

    text: str
    chunks: tuple[AudioChunk, ...]
    word_edges_s: tuple[float, ...]

    def __iter__(self) -> Iterator[AudioChunk]:
        return iter(self.chunks)

    @property
    def duration_s(self) -> float:
        return sum(chunk.duration_s for chunk in self.chunks)


@dataclass(frozen=True)
class Branch:
    """What would be said after the opener if `outcome` came true."""

    kind: str  # of the build-up
    outcome: str
    sentences: tuple[VoicedSentence, ...]
    tokens: int  # decoded for it, all candidates

    @property
    def text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def duration_s(self) -> float:
        return sum(sentence.duration_s for sentence in self.sentences)


@dataclass
class _Followed:
    """The build-up being followed: what is still to be prepared and what is ready."""

    build_up: BuildUp
    waiting: deque[Outcome]
    ready: dict[str, Branch] = field(default_factory=dict)


class Branches:
    """Prepares branches in `prepare_next`, for which somebody has a thread. Other methods may be called from any.

    `metrics` counts under "branches": build_ups, prepared, settled (an outcome came), ready (and its branch was there),
    heard, refused (not true, or worn, when it came); under "branches_wasted": tokens and speech_ms thrown away.
    """

    def __init__(
        self,
        generator: Generator,
        synthesizer: Synthesizer,
        prompts: Prompts,
        gate: Gate,
        history: LineHistory,
        openers: Openers,
        sampling: SamplingParams,
        metrics: Metrics,
        on_due: Callable[[], None],
        *,
        enabled: bool = True,
    ) -> None:
        """`on_due` is told when there may be something to prepare. Without `enabled` nothing is ever followed."""
        self._enabled = enabled
        self._generator = generator
        self._synthesizer = synthesizer
        self._prompts = prompts
        self._gate = gate
        self._history = history
        self._openers = openers
        self._sampling = replace(sampling, candidates=min(_CANDIDATES, sampling.candidates))
        self._metrics = metrics
        self._on_due = on_due
        self._lock = threading.Lock()
        self._followed: _Followed | None = None
        self._handle: GenerationHandle | None = None
        self._working = False
        self._interrupted = False  # what is being prepared is to be left at once
        self._paused = False
        self._closed = False

    def observe(self, event: MatchEvent, state: MatchState) -> Branch | None:
        """Takes note of an accepted event; `state` is the match right after it.

        The event may settle what was followed: then the branch for it, where one is ready, is returned, and everything
        else that was prepared is thrown away. It may begin something itself, which is followed from now on.
        """
        begun = build_up_of(event, state) if self._enabled else None
        with self._lock:
            branch = None
            if self._followed is not None:
                outcome = self._followed.build_up.settled_by(event, state)
                if outcome is not None:
                    self._metrics.count("branches", "settled")
                    branch = self._followed.ready.pop(outcome, None)
                    if branch is not None:
                        self._metrics.count("branches", "ready")
                if outcome is not None or begun is not None or self._followed.build_up.over_at(event):
                    self._forget()
            if begun is not None:
                self._metrics.count("branches", "build_ups")
                self._followed = _Followed(begun, deque(begun.outcomes))
        if begun is not None:
            self._on_due()
        return branch

    def settle(self, branch: Branch, *, heard: bool) -> None:
        """What became of a branch that `observe` returned."""
        self._metrics.count("branches", "heard" if heard else "refused")
        if not heard:
            self._waste(branch)

    def pause(self) -> None:
        """Gives way to a real cue: decoding is cancelled, and nothing begun until `resume`."""
        with self._lock:
            self._paused = True
            self._interrupt()

    def resume(self) -> None:
        with self._lock:
            self._paused = False
        self._on_due()

    def idle(self) -> bool:
        """Whether nothing is being prepared, nor will be without another event."""
        with self._lock:
            waiting = self._followed is not None and bool(self._followed.waiting)
            return self._closed or not (self._working or waiting)

    def close(self) -> None:
        """Throws everything away; nothing more is prepared. Idempotent."""
        with self._lock:
            self._closed = True
            self._forget()

    @property
    def due(self) -> bool:
        """Whether an outcome waits to be prepared, and may be."""
        with self._lock:
            return not self._closed and self._next() is not None

    def prepare_next(self) -> bool:
        """Prepares one outcome; False when there is none to prepare now.

        One thread calls it at a time. Raises the generator's and the synthesiser's errors.
        """
        with self._lock:
            outcome, followed = self._next(), self._followed
            if self._closed or outcome is None or followed is None:
                return False
            self._working, self._interrupted = True, False
        branch = None
        try:
            branch = self._prepare(followed.build_up, outcome)
        finally:
            with self._lock:
                self._working = False
                if followed is not self._followed:
                    if branch is not None:
                        self._waste(branch)
                elif not self._interrupted:
                    followed.waiting.popleft()
                    if branch is not None:
                        followed.ready[outcome.name] = branch
                        self._metrics.count("branches", "prepared")
        return True

    def _next(self) -> Outcome | None:
        if self._paused or self._followed is None or not self._followed.waiting:
            return None
        return self._followed.waiting[0]

    def _prepare(self, build_up: BuildUp, outcome: Outcome) -> Branch | None:
        """Writes and voices one outcome; None when interrupted, or when nothing true came of it."""
        sentences, tokens = self._write(outcome.cue)
        voiced: list[VoicedSentence] = []
        for text in sentences:
            speech = self._synthesizer.speak(text, style_of(outcome.cue))
            chunks = []
            for chunk in speech:
                chunks.append(chunk)
                if self._interrupted:
                    break
            voiced.append(VoicedSentence(text, tuple(chunks), speech.word_edges_s))
        branch = Branch(build_up.kind.value, outcome.name, tuple(voiced), tokens)
        if self._interrupted or not voiced:
            self._waste(branch)
            return None
        return branch

    def _write(self, cue: Cue) -> tuple[list[str], int]:
        """The sentences of the best true candidate, none when interrupted; and how many tokens all of them took."""
        # The real event gets an opener of its own; this one makes the model go on from one.
        opener = self._openers.first(cue)
        request = GenerationRequest(
            prefix=self._prompts.prefix,
            text=self._prompts.text(cue, self._history.last(1), opener=opener),
            sampling=self._sampling,
            priority=_PRIORITY,
            deadline_ms=_DEADLINE_MS,
        )
        with self._lock:
            if self._interrupted:
                return [], 0
            handle = self._handle = self._generator.submit(request)
        room = Room(opener, max(1, cue.max_words - len(opener.split())))
        candidates = [Candidate(n + 1, cue, room, self._gate, self._history) for n in range(self._sampling.candidates)]
        tokens = 0
        try:
            for chunk in handle:
                tokens += chunk.tokens
                if self._interrupted:
                    return [], tokens
                candidates[chunk.candidate].push(chunk)
        finally:
            with self._lock:
                self._handle = None
            self._generator.cancel(handle)
        best = best_of(candidates)
        return (best.take() if best is not None and not self._interrupted else []), tokens

    def _interrupt(self) -> None:
        """Holding the lock."""
        self._interrupted = True
        if self._handle is not None:
            self._generator.cancel(self._handle)

    def _forget(self) -> None:
        """Throws away what is followed. Holding the lock."""
        if self._followed is None:
            return
        for branch in self._followed.ready.values():
            self._waste(branch)
        self._followed = None
        self._interrupt()

    def _waste(self, branch: Branch) -> None:
        self._metrics.count("branches_wasted", "tokens", branch.tokens)
        self._metrics.count("branches_wasted", "speech_ms", round(branch.duration_s * 1e3))
