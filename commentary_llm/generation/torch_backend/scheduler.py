"""Continuous batching: which tokens of which sequences run in the next step. Plain Python, no torch, no MPI.

A request waits until slots for all its candidates are free. The first candidate's slot takes the prompt, in chunks
that share steps with running sequences; when the prompt is in the cache the other candidates get copies of it. Running
requests are never pushed out; waiting ones go by priority, then by age.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from commentary_llm.errors import EngineError

from .protocol import SlotCopy, Span, StepPlan
from .slots import Slot, SlotTable


@dataclass(eq=False)
class Sequence:
    """One candidate. `tokens` is the prompt and what was generated; the slot's tokens are those already cached."""

    candidate: int
    tokens: list[int]
    slot: Slot
    copy_from: SlotCopy | None = None
    finished: bool = False

    @property
    def cached(self) -> int:
        return len(self.slot.tokens)


@dataclass(eq=False)
class ScheduledRequest:
    """A request as the scheduler sees it. Slots are held from admission to the end of each candidate."""

    request_id: int
    prompt: tuple[int, ...]
    candidates: int
    priority: int = 0
    prefix: str = ""
    sequences: list[Sequence] = field(default_factory=list)
    cached_tokens: int = 0
    prefilled: bool = False

    @property
    def admitted(self) -> bool:
        return bool(self.sequences)


@dataclass(frozen=True)
class LogitsRow:
    """Who samples from one row of the step's logits: all candidates after prefill, else one."""

    request: ScheduledRequest
    sequences: tuple[Sequence, ...]


@dataclass(frozen=True)
class Step:
    """A plan and what to do with its logits, row by row."""

    plan: StepPlan
    rows: tuple[LogitsRow, ...]


class Scheduler:
    """Not thread-safe: one thread adds, cancels, schedules and completes."""

    def __init__(self, slots: int, max_step_tokens: int, max_waiting: int) -> None:
        assert max_step_tokens > slots >= 1
        self._table = SlotTable(slots)
        self._max_step_tokens, self._max_waiting = max_step_tokens, max_waiting
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
        """Queues a request. Raises EngineError when the queue is full."""
        if len(self._waiting) >= self._max_waiting:
            raise EngineError(
                f"{len(self._waiting)} requests are waiting, no more are taken; cancel some or submit more slowly"
            )
        self._waiting.append(request)
        self._waiting.sort(key=lambda waiting: (-waiting.priority, waiting.request_id))

    def remove(self, request: ScheduledRequest) -> None:
        """Forgets a request, waiting or running; its slots are free at once."""
        if request in self._waiting:
            self._waiting.remove(request)
        for sequence in request.sequences:
            self.finish(request, sequence)

    def finish(self, request: ScheduledRequest, sequence: Sequence) -> None:
        """Ends one candidate and frees its slot; the request leaves with its last candidate."""
        if sequence.finished:
            return
        sequence.finished = True
        if sequence.copy_from is not None:  # the copy was never made
            sequence.copy_from = None
            sequence.slot.tokens = []
        self._table.release(sequence.slot)
        if all(each.finished for each in request.sequences) and request in self._running:
            self._running.remove(request)

    def schedule(self) -> Step | None:
        """The next step: one token of every decoding sequence, and prompt chunks with what is left of the budget.

        None when there is nothing to run. Every step is to be followed by `complete` before the next.
        """
        copies = self._forks()
        copies += self._admit()
        spans: list[tuple[Span, list[int], LogitsRow | None]] = []
        for request in self._running:
            if request.prefilled:
                for sequence in request.sequences:
                    if not sequence.finished:
                        span = Span(sequence.slot.index, sequence.cached, 1, True)
                        spans.append((span, sequence.tokens[-1:], LogitsRow(request, (sequence,))))
        spans.sort(key=lambda entry: entry[0].slot)
        budget = self._max_step_tokens - len(spans)
        for request in sorted(self._running, key=lambda running: (-running.priority, running.request_id)):
            if not request.prefilled and budget > 0:
                spans.append(self._prefill(request, budget))
                budget -= spans[-1][0].count
        if not spans:
            return None
        plan = StepPlan(
            copies=tuple(copies),
            spans=tuple(span for span, _, _ in spans),
            token_ids=tuple(token for _, tokens, _ in spans for token in tokens),
        )
        return Step(plan, tuple(row for _, _, row in spans if row is not None))

    def complete(self, step: Step) -> None:
        """Notes that the step's tokens are in the cache now."""
        token = 0
        for span in step.plan.spans:
            self._table.slots[span.slot].tokens += step.plan.token_ids[token : token + span.count]
            token += span.count
        for row in step.rows:
            row.request.prefilled = True

    def _prefill(self, request: ScheduledRequest, budget: int) -> tuple[Span, list[int], LogitsRow | None]:
        leader = request.sequences[0]
        start = leader.cached
        tokens = leader.tokens[start : start + budget]
        last = start + len(tokens) == len(request.prompt)
        row = LogitsRow(request, tuple(request.sequences)) if last else None
        return Span(leader.slot.index, start, len(tokens), last), tokens, row

    def _forks(self) -> list[SlotCopy]:
        """Copies of the prompt into the other candidates' slots, once it is there; before any slot is taken anew."""
        copies = []
        for request in self._running:
            if not request.prefilled:
                continue
            for sequence in request.sequences:
                if sequence.copy_from is not None:
                    copies.append(sequence.copy_from)
                    sequence.slot.tokens = list(request.prompt)
                    sequence.copy_from = None
        return copies

    def _admit(self) -> list[SlotCopy]:
        copies = []
        while self._waiting and self._waiting[0].candidates <= self._table.free:
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
        if source is not None and not source.busy:
            slot = source
        else:
            slot = self._table.victim()
            if source is not None and common:
                copies.append(SlotCopy(source.index, slot.index, common))
        self._table.take(slot, prompt[:common], request.prefix)
        request.cached_tokens = common
        request.sequences.append(Sequence(0, list(prompt), slot))
        for candidate in range(1, request.candidates):
            other = self._table.victim(near=request.sequences[-1].slot.index)
            self._table.take(other, (), request.prefix)
            copy = SlotCopy(slot.index, other.index, len(prompt))
            request.sequences.append(Sequence(candidate, list(prompt), other, copy_from=copy))
        return copies
