"""From a cue to checked words: candidates of the model through clause splitter and fact gate, else a template line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter, perf_counter_ns

from commentary_llm.cue.choice import UNSAYABLE, Room
from commentary_llm.cue.cue import Urgency
from commentary_llm.cue.facts import match_seconds
from commentary_llm.cue.history import LineHistory
from commentary_llm.generation import FinishReason, GenerationRequest, Generator, SamplingParams, TokenChunk
from commentary_llm.ground.errors import BusyError
from commentary_llm.language.contract import Gate, Prompts, Templates
from commentary_llm.session.candidates import Candidate, best_of
from commentary_llm.session.job import CueJob

log = logging.getLogger(__name__)

_MIN_REST_S = 0.05  # less time than this is not worth a decode step
_SAID_LINES = 1  # each costs the prompt up to 20 tokens of prefill, about 15 ms on a laptop
_TO_SOUND_S = 0.06  # from a clause handed over to its first sample, on a laptop
# Where nothing is being heard meanwhile, the others get this long to finish once one line is whole.
_PATIENCE_S = 0.12
_HURRIED_WORDS = 6  # about two seconds: with other cues waiting a longer line costs one of them its moment


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


class LineWriter:
    """Writes the line for one cue at a time. Not thread-safe; owned by the pipeline's writing thread."""

    def __init__(
        self,
        generator: Generator,
        prompts: Prompts,
        gate: Gate,
        templates: Templates,
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

    def write(
        self,
        job: CueJob,
        superseded: Callable[[], bool],
        hurried: Callable[[], bool] = lambda: False,
        most_candidates: int | None = None,
    ) -> Iterator[str]:
        """Yields the sentences that follow the cue's opener, each true at its state; fills in the job's text fields.

        All candidates are heard out for as long as the opener (or speech before it) sounds, and the best true one
        becomes the line; where none is true in time, a template is. The line ends at its own end, at its first
        refused clause, or at the cue's word limit. Yields nothing when `superseded` turns true before the first
        sentence, nor when there is nothing true to add to the opener.
        `hurried`: whether other cues wait for the voice. `most_candidates`: where there is not room for as many as
        configured. A language model that has no room at all leaves the line to opener and template.
        """
        said = [job.opener] if job.opener else []
        sentences = (
            self._from_branch(job)
            if self._holds(job)
            else self._from_model(
                job, superseded, hurried, self._sampling.candidates if most_candidates is None else most_candidates
            )
        )
        for sentence in sentences:
            said.append(sentence)
            yield sentence
        if job.source != "model" and not superseded():
            line = self._templates.write(job.cue, job.opener)
            job.source = "template" if line else "opener"
            if line:
                said.append(line)
                yield line
        if said:
            self._history.add(" ".join(said), match_seconds(job.cue.event), job.opener)

    def _holds(self, job: CueJob) -> bool:
        """Whether the branch prepared for this event, if any, is true of it as it came, and worth saying now."""
        if job.branch is None:
            return False
        candidate = Candidate(0, job.cue, self._room(job), self._gate, self._history)
        refused = candidate.push(TokenChunk(0, job.branch.text, 0.0, 0, FinishReason.STOP))
        worth = candidate.score() > UNSAYABLE
        return not refused and worth and " ".join(candidate.take()) == job.branch.text

    def _from_branch(self, job: CueJob) -> Iterator[str]:
        assert job.branch is not None
        job.branch_used = True
        job.source, job.source_reason = "model", f"prepared ahead for this outcome: {job.branch.outcome}"
        job.marks.prompted = perf_counter_ns()
        yield from (sentence.text for sentence in job.branch.sentences)

    @staticmethod
    def _room(job: CueJob) -> Room:
        return Room(job.opener, max(1, job.cue.max_words - len(job.opener.split())))

    def _from_model(
        self, job: CueJob, superseded: Callable[[], bool], hurried: Callable[[], bool], most_candidates: int
    ) -> Iterator[str]:
        cue = job.cue
        started_s = perf_counter()
        # Nothing is gained by giving up while something is still being heard.
        give_up_s = max(started_s + self._budget.of(cue.urgency) - _MIN_REST_S, job.covered_until_s - _TO_SOUND_S)
        covered = job.covered_until_s - _TO_SOUND_S > started_s
        choose_s = job.covered_until_s - _TO_SOUND_S if covered else give_up_s
        request = GenerationRequest(
            prefix=self._prompts.prefix,
            text=self._prompts.text(cue, self._history.last(_SAID_LINES), job.heard, opener=job.opener),
            sampling=replace(self._sampling, candidates=min(self._sampling.candidates, most_candidates)),
            priority=int(cue.urgency),
            deadline_ms=(self._budget.of(cue.urgency) + 2.0) * 1e3,
        )
        job.marks.prompted = perf_counter_ns()
        try:
            handle = self._generator.submit(request)
        except BusyError as error:
            job.source_reason = "the language model has no room"
            log.info("event %s: %s", cue.event.event_id, error)
            return
        room = self._room(job)
        candidates = [
            Candidate(number, cue, room, self._gate, self._history)
            for number in range(1, request.sampling.candidates + 1)
        ]
        job.candidates = len(candidates)
        chosen: Candidate | None = None
        late = False
        try:
            for chunk in handle:
                job.marks.first_token = job.marks.first_token or perf_counter_ns()
                job.generated_tokens += chunk.tokens
                if superseded():
                    break
                candidate = candidates[chunk.candidate]
                if chosen is None or candidate is chosen:
                    job.refusals += candidate.push(chunk)
                if chosen is None:
                    now_s = perf_counter()
                    if not covered and any(each.whole for each in candidates):
                        choose_s = min(choose_s, now_s + _PATIENCE_S)
                    if now_s >= choose_s or not any(each.open for each in candidates):
                        chosen = best_of(candidates, _HURRIED_WORDS if hurried() else room.words)
                    if chosen is None and now_s >= give_up_s:
                        late = True
                        break
                if chosen is not None:
                    job.source, job.source_reason = "model", f"candidate {chosen.number} is the best true one"
                    yield from chosen.take()
                    if not chosen.open:
                        break
                elif not any(each.open for each in candidates):
                    break
        finally:
            self._generator.cancel(handle)
            job.prompt_tokens, job.cached_tokens = handle.prompt_tokens, handle.cached_tokens
        if chosen is None:
            job.source_reason = "no true line before the deadline" if late else "no candidate passed the gate"
