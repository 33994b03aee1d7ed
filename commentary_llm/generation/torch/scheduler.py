"""Continuous batching: which tokens of which sequences run in the next step. Plain Python, no torch, no MPI.

A request waits until all its candidates may run: no more than `max_batch` sequences do at once, while more slots than
that keep what they have cached. The first candidate's slot takes the prompt, in chunks that share steps with running
sequences; when the prompt is in the cache the other candidates get copies of it. Running requests are never pushed out;
waiting ones go by priority, then by age.

Plans are carried out in the order in which they were made. What a plan writes therefore counts as cached as soon as it
is made, and a slot whose last steps are still to run may be given away: the new sequence's tokens overwrite theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from commentary_llm.generation.interface import SamplingParams
from commentary_llm.generation.torch.protocol import DRAWN, SlotCopy, SlotSampling, Span, StepPlan
from commentary_llm.generation.torch.slots import Slot, SlotTable
from commentary_llm.ground.errors import BusyError

_SEED_RANGE = 1 << 64


@dataclass(frozen=True)
class Lookahead:
    """How far plans run ahead of the tokens heard of; needs a runner that draws on its device."""

    steps: int  # decode steps a plan
    max_context: int  # positions of a slot


@dataclass(eq=False)
class Sequence:
    """One candidate. `tokens` is the prompt and what is known of its text; the slot's tokens are those also cached."""

    request: ScheduledRequest
    candidate: int
    slot: Slot
    tokens: list[int]
    drawn: int = 0  # draws planned, whether heard of or not
    copy_from: SlotCopy | None = None
    finished: bool = False

    @property
    def planned(self) -> int:
        """Tokens in the slot's cache when the plans made so far have run, known or not."""
        return len(self.request.prompt) + self.drawn - 1 if self.drawn else len(self.slot.tokens)

    @property
    def undrawn(self) -> int:
        """Draws that are yet to be planned."""
        return max(0, self.request.sampling.max_new_tokens - self.drawn)

    def note_cached(self) -> None:
        """Brings the slot's tokens up to what is known and planned."""
        if self.copy_from is None:
            self.slot.tokens += self.tokens[len(self.slot.tokens) : self.planned]


@dataclass(eq=False)
class ScheduledRequest:
    """A request as the scheduler sees it. Slots are held from admission to the end of each candidate."""

    request_id: int
    prompt: tuple[int, ...]
    sampling: SamplingParams
    priority: int = 0
    prefix: str = ""
    sequences: list[Sequence] = field(default_factory=list)
    cached_tokens: int = 0
    prefilled: bool = False  # the plan with the prompt's last token is made

    @property
    def admitted(self) -> bool:
        return bool(self.sequences)


@dataclass(frozen=True)
class Step:
    """A plan, and the sequences that draw in it, in the order of its spans and their draws."""

    plan: StepPlan
    draws: tuple[Sequence, ...]


class Scheduler:
    """Not thread-safe: one thread adds, cancels, schedules and tells of tokens."""

    def __init__(
        self, slots: int, max_batch: int, max_step_tokens: int, max_waiting: int, ahead: Lookahead | None = None
    ) -> None:
        """`ahead` None: what a step draws is told by `note_drawn` before the next is scheduled."""
        assert max_step_tokens > max_batch >= 1
        assert slots >= max_batch
        self._table, self._max_batch = SlotTable(slots), max_batch
        self._max_step_tokens, self._max_waiting, self._ahead = max_step_tokens, max_waiting, ahead
        self._waiting: list[ScheduledRequest] = []
        self._running: list[ScheduledRequest] = []

    @property
    def slots(self) -> SlotTable:
        return self._table

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    def add(self, request: ScheduledRequest) -> None:
        """Queues a request. Raises BusyError when the queue is full."""
        if len(self._waiting) >= self._max_waiting:
            raise BusyError(
                f"{len(self._waiting)} requests are waiting, no more are taken; cancel some or submit more slowly"
            )
        self._waiting.append(request)
        self._waiting.sort(key=lambda waiting: (-waiting.priority, waiting.request_id))

    def remove(self, request: ScheduledRequest) -> None:
        """Forgets a request, waiting or running; its slots are free at once."""
        if request in self._waiting:
            self._waiting.remove(request)
        for sequence in request.sequences:
            self.finish(sequence)

    def finish(self, sequence: Sequence) -> None:
        """Ends one candidate and frees its slot; the request leaves with its last candidate."""
        if sequence.finished:
            return
        sequence.finished = True
        if sequence.copy_from is not None:  # the copy was never made
            sequence.copy_from = None
            sequence.slot.tokens = []
        self._table.release(sequence.slot)
        request = sequence.request
        if all(each.finished for each in request.sequences) and request in self._running:
            self._running.remove(request)

    def note_drawn(self, sequence: Sequence, token: int) -> None:
        """Tells of the next token of a sequence that is not finished, in the order in which they were planned."""
        sequence.tokens.append(token)
        sequence.note_cached()

    def schedule(self) -> Step | None:
        """The next step: one token of every decoding sequence, and prompt chunks with what is left of the budget.

        None when there is nothing to run, or nothing until more tokens are told of.
        """
        copies = self._forks()
        copies += self._admit()
        decoding = [s for r in self._running if r.prefilled for s in r.sequences if not s.finished and s.undrawn]
        decoding.sort(key=lambda sequence: sequence.slot.index)
        repeats = self._repeats(decoding)
        budget = self._max_step_tokens - len(decoding)
        spans, token_ids, draws = [], [], []
        samplings: list[SlotSampling] = []
        for sequence in decoding:
            spans.append(Span(sequence.slot.index, sequence.planned, 1, (sequence.slot.index,)))
            token_ids.append(DRAWN if self._ahead is not None else sequence.tokens[sequence.planned])
            draws.append(sequence)
            sequence.drawn += repeats
            sequence.note_cached()
        for request in sorted(self._running, key=lambda running: (-running.priority, running.request_id)):
            if request.prefilled or not budget:
                continue
            span, tokens = self._prefill(request, budget)
            budget -= span.count
            spans.append(span)
            token_ids += tokens
            if span.draws:
                samplings += map(_slot_sampling, request.sequences)
                draws += request.sequences
        if not spans:
            return None
        return Step(StepPlan(tuple(copies), tuple(samplings), tuple(spans), tuple(token_ids), repeats), tuple(draws))

    def _repeats(self, decoding: list[Sequence]) -> int:
        """How often the next plan runs: once while a prompt waits or runs, so that its first token comes soon."""
        prompts = self._waiting or not all(request.prefilled for request in self._running)
        if self._ahead is None or prompts or not decoding:
            return 1
        room = min(self._ahead.max_context - sequence.planned for sequence in decoding)
        return min(self._ahead.steps, max(sequence.undrawn for sequence in decoding), room)

    def _prefill(self, request: ScheduledRequest, budget: int) -> tuple[Span, list[int]]:
        """A chunk of the prompt; all candidates draw from its last token."""
        leader = request.sequences[0]
        start = leader.planned
        tokens = leader.tokens[start : start + budget]
        leader.slot.tokens += tokens
        request.prefilled = leader.planned == len(request.prompt)
        draws: tuple[int, ...] = ()
        if request.prefilled:
            leader.slot.prefix = request.prefix
            draws = tuple(sequence.slot.index for sequence in request.sequences)
            for sequence in request.sequences:
                sequence.drawn = 1
        return Span(leader.slot.index, start, len(tokens), draws), tokens

    def _forks(self) -> list[SlotCopy]:
        """Copies of the prompt into the other candidates' slots, once it is there; before any slot is taken anew."""
        copies = []
        for request in self._running:
            if not request.prefilled:
                continue
            for sequence in request.sequences:
                if sequence.copy_from is not None and sequence.undrawn:
                    copies.append(sequence.copy_from)
                    sequence.copy_from = None
                    sequence.note_cached()
                    sequence.slot.prefix = request.prefix
        return copies

    def _admit(self) -> list[SlotCopy]:
        copies = []
        while self._waiting and self._waiting[0].sampling.candidates <= self._max_batch - self._table.busy:
            request = self._waiting.pop(0)
            self._running.append(request)
            copies += self._place(request)
        return copies

    def _place(self, request: ScheduledRequest) -> list[SlotCopy]:
        """Takes slots: the first candidate's where most of the prompt is cached, or beside it with a copy."""
        prompt = request.prompt
        source, common = self._table.best_source(prompt)
        common = min(common, len(prompt) - 1)  # the last token always runs: its logits are wanted
        copies = []
        prefix = request.prefix if source is not None and source.prefix == request.prefix else ""
        if source is not None and not source.busy and not self._table.kept_for_another(source, request.prefix):
            slot = source
        else:
            slot = self._table.victim()
            if source is not None and common and slot is not source:
                copies.append(SlotCopy(source.index, slot.index, common))
        self._table.take(slot, prompt[:common], prefix)
        request.cached_tokens = common
        request.sequences.append(Sequence(request, 0, slot, list(prompt)))
        for candidate in range(1, request.sampling.candidates):
            other = self._table.victim(near=request.sequences[-1].slot.index)
            self._table.take(other, (), "")
            copy = SlotCopy(slot.index, other.index, len(prompt))
            request.sequences.append(Sequence(request, candidate, other, list(prompt), copy_from=copy))
        return copies


def _slot_sampling(sequence: Sequence) -> SlotSampling:
    params, prompt = sequence.request.sampling, sequence.request.prompt
    return SlotSampling(
        sequence.slot.index,
        params.temperature,
        params.top_p,
        params.repetition_penalty,
        (params.seed + _SEED_RANGE // 2) % _SEED_RANGE - _SEED_RANGE // 2,
        sequence.candidate,
        tuple(sorted(set(prompt))) if params.repetition_penalty != 1 else (),
    )
