"""The completions of one request as they stream in: cut into clauses, each clause judged, the best true line found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from commentary_llm.cue.choice import UNSAYABLE, Draft, Room, score
from commentary_llm.cue.cue import Cue
from commentary_llm.cue.facts import match_seconds
from commentary_llm.cue.history import LineHistory
from commentary_llm.generation import FinishReason, TokenChunk
from commentary_llm.language.contract import Cause, Gate
from commentary_llm.session.record import Refusal

# A true line shorter than this ("The shot.") tells nobody anything; after an opener two words do ("From distance!").
_MIN_WORDS, _MIN_WORDS_AFTER_OPENER = 4, 2
_DANGLING = ",;:—–- "
_ENDS = ".!?…\"'”’)"


class Candidate:
    """One completion. It ends at its own end, at its first false clause, or where the room is full.

    A sentence that was said before in the match is left out, and what follows it is still heard.
    """

    def __init__(self, number: int, cue: Cue, room: Room, gate: Gate, history: LineHistory) -> None:
        """`number` from 1. Gate and history are asked, not changed."""
        self.number = number
        self.open = True  # more may come
        self._cue, self._room, self._gate, self._history = cue, room, gate, history
        self._splitter = history.rules.splitter()
        self._passed: list[str] = []  # true clauses
        self._taken = 0  # how many of them were handed on
        self._words = 0
        self._logprob, self._tokens = 0.0, 0

    @property
    def speakable(self) -> bool:
        """Whether what passed so far is worth saying by itself."""
        return self._words >= (_MIN_WORDS_AFTER_OPENER if self._room.opener else _MIN_WORDS)

    @property
    def whole(self) -> bool:
        """Whether it has ended as a line worth saying."""
        return not self.open and self.speakable

    def push(self, chunk: TokenChunk) -> list[Refusal]:
        """Takes in what one decode step added; returns what the gate refused."""
        if not self.open:
            return []
        self._logprob += chunk.logprob
        self._tokens += chunk.tokens
        clauses = list(self._splitter.push(chunk.text))
        if chunk.finish_reason is FinishReason.STOP:
            clauses += self._splitter.flush()
        refused: list[Refusal] = []
        for clause in clauses:
            if (words := len(clause.split())) + self._words > self._room.words:
                self.open = False
                break
            context = " ".join([self._room.opener, *self._passed]).strip()
            verdict = self._gate.check(clause, self._cue, self._history, context=context)
            if not verdict.ok:
                cause = verdict.cause.value if verdict.cause else ""
                refused.append(Refusal(text=clause, cause=cause, detail=verdict.detail))
                if verdict.cause is Cause.REPETITION and self._sentence_of_its_own(clause):
                    continue  # it is true, and the rest stands without it
                self.open = False
                break
            self._passed.append(clause)
            self._words += words
        if chunk.finish_reason is not None:
            self.open = False
        return refused

    def _sentence_of_its_own(self, clause: str) -> bool:
        return clause[-1] in _ENDS and (not self._passed or self._passed[-1][-1] in _ENDS)

    def score(self, words: int | None = None) -> float:
        """How good what passed so far is, with time for `words` (by default all the room); see `cue.choice`."""
        if not self.speakable:
            return UNSAYABLE
        draft = Draft(" ".join(self._passed), self._logprob, self._tokens)
        room = self._room if words is None else replace(self._room, words=words)
        return score(draft, room, self._history, match_seconds(self._cue.event))

    def take(self) -> list[str]:
        """What passed and was not taken yet, sentence by sentence; a line that has ended does so with a full stop."""
        sentences: list[str] = []
        for index in range(self._taken, len(self._passed)):
            clause = self._passed[index]
            if index == 0:
                clause = clause[0].upper() + clause[1:]
            if sentences and sentences[-1][-1] not in _ENDS:
                sentences[-1] += " " + clause
            else:
                sentences.append(clause)
        self._taken = len(self._passed)
        if sentences and not self.open and sentences[-1][-1] not in _ENDS:
            sentences[-1] = sentences[-1].rstrip(_DANGLING) + "."
        return sentences


def best_of(candidates: Sequence[Candidate], words: int | None = None) -> Candidate | None:
    """The best of those worth saying when there is time for `words`, the first among equals; None without any."""
    scores = [candidate.score(words) for candidate in candidates]
    best = max(scores, default=UNSAYABLE)
    return candidates[scores.index(best)] if best > UNSAYABLE else None
