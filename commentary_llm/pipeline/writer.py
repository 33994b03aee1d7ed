"""From a cue to checked words: candidates of the model through clause splitter and fact gate, else a template line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter, perf_counter_ns

from commentary_llm.generation import FinishReason, GenerationRequest, Generator, SamplingParams
from commentary_llm.pipeline.job import CueJob
from commentary_llm.pipeline.record import Refusal
from commentary_llm.script import ClauseSplitter, FactGate, LineHistory, PromptBuilder, TemplateWriter
from commentary_llm.script.cue import Urgency
from commentary_llm.script.facts import match_seconds

log = logging.getLogger(__name__)

_MIN_REST_S = 0.05  # less time than this is not worth a decode step
_SAID_LINES = 1  # each costs the prompt up to 20 tokens of prefill, about 15 ms on a laptop
# A true clause shorter than this ("The shot.") tells nobody anything by itself: it waits for the next one to pass too.
_MIN_WORDS = 4


@dataclass(frozen=True)
class TextBudget:
    """Seconds the model may take, from the moment the cue is taken up, to get a first clause past the gate."""

    urgent_s: float = 0.45
    key_s: float = 0.8
    note_s: float = 1.2
    fill_s: float = 1.5

    def of(self, urgency: Urgency) -> float:
        return {
            Urgency.URGENT: self.urgent_s,
            Urgency.KEY: self.key_s,
            Urgency.NOTE: self.note_s,
            Urgency.FILL: self.fill_s,
        }[urgency]


@dataclass
class _Candidate:
    """One completion as it streams in."""

    splitter: ClauseSplitter
    held: list[str] = field(default_factory=list)  # true clauses not handed on yet
    passed: list[str] = field(default_factory=list)  # all its true clauses
    words: int = 0  # in them
    alive: bool = True


class LineWriter:
    """Writes the line for one cue at a time. Not thread-safe; owned by the pipeline's writing thread."""

    def __init__(
        self,
        generator: Generator,
        prompts: PromptBuilder,
        gate: FactGate,
        templates: TemplateWriter,
        history: LineHistory,
        sampling: SamplingParams,
        budget: TextBudget,
    ) -> None:
        self._generator = generator
        self._prompts = prompts
        self._gate = gate
        self._templates = templates
        self._history = history
        self._sampling = sampling
        self._budget = budget

    def write(self, job: CueJob, superseded: Callable[[], bool]) -> Iterator[str]:
        """Yields the clauses of the line, each already true at the cue's state; fills in the job's text fields.

        The first candidate to get a clause past the gate becomes the line; it ends at its own end, at its first
        refused clause, or at the cue's word limit. Yields nothing when `superseded` turns true before the first clause.
        """
        said: list[str] = []
        for clause in self._from_model(job, superseded):
            said.append(clause)
            yield clause
        if not said and not superseded():
            line = self._templates.write(job.cue)
            job.source = "template"
            said.append(line)
            yield line
        if said:
            self._history.add(" ".join(said), match_seconds(job.cue.event))

    def _from_model(self, job: CueJob, superseded: Callable[[], bool]) -> Iterator[str]:
        cue = job.cue
        started = perf_counter()
        budget_s = self._budget.of(cue.urgency)
        request = GenerationRequest(
            prefix=self._prompts.prefix,
            text=self._prompts.text(cue, self._history.last(_SAID_LINES), job.heard),
            sampling=self._sampling,
            priority=int(cue.urgency),
            deadline_ms=(budget_s + 2.0) * 1e3,
        )
        job.marks.prompted = perf_counter_ns()
        handle = self._generator.submit(request)
        candidates = [_Candidate(ClauseSplitter()) for _ in range(self._sampling.candidates)]
        job.candidates = len(candidates)
        chosen: _Candidate | None = None
        late = False
        try:
            for chunk in handle:
                job.marks.first_token = job.marks.first_token or perf_counter_ns()
                job.generated_tokens += chunk.tokens
                if superseded():
                    break
                if chosen is None and perf_counter() - started > budget_s - _MIN_REST_S:
                    late = True
                    break
                candidate = candidates[chunk.candidate]
                if not candidate.alive or (chosen is not None and candidate is not chosen):
                    continue
                clauses = list(candidate.splitter.push(chunk.text))
                if chunk.finish_reason is FinishReason.STOP:
                    clauses += candidate.splitter.flush()
                for clause in clauses:
                    text = self._admit(job, candidate, clause)
                    if text is None:
                        candidate.alive = False
                        break
                    candidate.held.append(text)
                    if chosen is None and candidate.words < _MIN_WORDS:
                        continue
                    chosen = candidate
                    job.source, job.source_reason = "model", f"candidate {chunk.candidate + 1} passed the gate"
                    yield " ".join(candidate.held)
                    candidate.held.clear()
                if chunk.finish_reason is not None:
                    candidate.alive = False
                if not (chosen.alive if chosen is not None else any(c.alive for c in candidates)):
                    break
        finally:
            self._generator.cancel(handle)
            job.prompt_tokens, job.cached_tokens = handle.prompt_tokens, handle.cached_tokens
        if chosen is None:
            job.source_reason = "no checked clause before the deadline" if late else "no candidate passed the gate"

    def _admit(self, job: CueJob, candidate: _Candidate, clause: str) -> str | None:
        """The clause as it may be spoken, or None: refused, or the line is long enough."""
        words = len(clause.split())
        if candidate.words + words > job.cue.max_words:
            return None
        verdict = self._gate.check(clause, job.cue, self._history, context=" ".join(candidate.passed))
        if not verdict.ok:
            job.refusals.append(
                Refusal(text=clause, cause=verdict.cause.value if verdict.cause else "", detail=verdict.detail)
            )
            return None
        candidate.words += words
        candidate.passed.append(clause)
        return clause
