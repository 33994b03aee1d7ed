"""The scheduler under random load, with a model that answers at once. No torch, no MPI."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commentary_llm.errors import EngineError
from commentary_llm.generation.torch_backend.protocol import (
    Kind,
    SlotCopy,
    Span,
    StepPlan,
    decode,
    encode,
    message_capacity,
)
from commentary_llm.generation.torch_backend.scheduler import ScheduledRequest, Scheduler, Step
from commentary_llm.generation.torch_backend.slots import common_prefix

SLOTS, BUDGET = 4, 12


class FakeCache:
    """What the model's cache would hold: applies plans and checks that every token follows those before it."""

    def __init__(self) -> None:
        self.slots: list[list[int]] = [[] for _ in range(SLOTS)]

    def run(self, step: Step) -> None:
        plan, token = step.plan, 0
        assert len(plan.token_ids) <= BUDGET
        assert len(encode(Kind.STEP, 1, plan)) <= message_capacity(SLOTS, BUDGET)
        for copy in plan.copies:
            assert len(self.slots[copy.source]) >= copy.length
            self.slots[copy.target] = self.slots[copy.source][: copy.length]
        assert len({span.slot for span in plan.spans}) == len(plan.spans)
        for span in plan.spans:
            assert len(self.slots[span.slot]) >= span.start
            self.slots[span.slot][span.start :] = plan.token_ids[token : token + span.count]
            token += span.count
        assert token == len(plan.token_ids)


requests = st.tuples(
    st.lists(st.integers(0, 2), min_size=1, max_size=30), st.integers(1, SLOTS), st.integers(0, 2), st.integers(1, 6)
)
actions = st.lists(st.one_of(requests, st.integers(0, 30)), max_size=30)


@settings(max_examples=150, deadline=None)
@given(actions)
def test_every_request_ends_with_its_own_tokens(todo: list[object]) -> None:
    scheduler, cache = Scheduler(SLOTS, BUDGET, 50), FakeCache()
    lengths: dict[ScheduledRequest, int] = {}
    live: list[ScheduledRequest] = []
    pending = list(todo)
    for steps in range(2000):
        if pending:
            action = pending.pop(0)
            if isinstance(action, tuple):
                prompt, candidates, priority, length = action
                request = ScheduledRequest(len(lengths), tuple(prompt), candidates, priority)
                lengths[request] = length
                live.append(request)
                scheduler.add(request)
            elif live:
                scheduler.remove(live.pop(int(str(action)) % len(live)))
        step = scheduler.schedule()
        if step is None:
            if not pending:
                break
            continue
        cache.run(step)
        scheduler.complete(step)
        for slot, content in zip(scheduler.slots.slots, cache.slots, strict=True):
            assert content[: len(slot.tokens)] == slot.tokens
        for row in step.rows:
            for sequence in row.sequences:
                if not sequence.finished:
                    if sequence.copy_from is None:
                        assert cache.slots[sequence.slot.index] == sequence.tokens
                    sequence.tokens.append(100 * row.request.request_id + steps)
                    if len(sequence.tokens) == len(row.request.prompt) + lengths[row.request]:
                        scheduler.finish(row.request, sequence)
            if all(sequence.finished for sequence in row.request.sequences):
                live.remove(row.request)
        busy = {s.slot.index for request in live for s in request.sequences if not s.finished}
        assert busy == {slot.index for slot in scheduler.slots.slots if slot.busy}
    else:
        pytest.fail("requests starve")
    assert not live
    assert scheduler.running == scheduler.waiting == 0
    assert scheduler.slots.free == SLOTS


def run_to_end(scheduler: Scheduler, request: ScheduledRequest) -> list[StepPlan]:
    scheduler.add(request)
    plans = []
    while (step := scheduler.schedule()) is not None:
        plans.append(step.plan)
        scheduler.complete(step)
        for row in step.rows:
            for sequence in row.sequences:
                scheduler.finish(row.request, sequence)
    return plans


def test_prefix_is_reused_and_only_the_rest_runs() -> None:
    scheduler = Scheduler(SLOTS, 64, 10)
    run_to_end(scheduler, ScheduledRequest(0, tuple(range(20)), 1, prefix="p"))
    again = ScheduledRequest(1, (*range(15), 99, 98), 1, prefix="p")
    (plan,) = run_to_end(scheduler, again)
    assert again.cached_tokens == 15
    assert plan.token_ids == (99, 98)
    whole = ScheduledRequest(2, (*range(15), 99, 98), 1)
    (plan,) = run_to_end(scheduler, whole)
    assert (whole.cached_tokens, plan.token_ids) == (16, (98,))


def test_kept_prefix_outlives_unrelated_requests() -> None:
    scheduler = Scheduler(SLOTS, 64, 50)
    run_to_end(scheduler, ScheduledRequest(0, tuple(range(20)), 1, prefix="p"))
    for other in range(1, 10):
        run_to_end(scheduler, ScheduledRequest(other, (100 + other,) * 5, 1))
    again = ScheduledRequest(20, (*range(20), 7), 1, prefix="p")
    run_to_end(scheduler, again)
    assert again.cached_tokens == 20


def test_candidates_prefill_once_then_copy() -> None:
    scheduler = Scheduler(SLOTS, 64, 10)
    request = ScheduledRequest(0, tuple(range(9)), 3)
    scheduler.add(request)
    first = scheduler.schedule()
    assert first is not None
    assert first.plan.token_ids == tuple(range(9))
    assert len(first.rows[0].sequences) == 3
    scheduler.complete(first)
    for sequence in request.sequences:
        sequence.tokens.append(50 + sequence.candidate)
    second = scheduler.schedule()
    assert second is not None
    assert [copy.length for copy in second.plan.copies] == [9, 9]
    assert sorted(second.plan.token_ids) == [50, 51, 52]
    slots = [span.slot for span in second.plan.spans]
    assert slots == list(range(slots[0], slots[0] + 3))  # neighbours attend in one call


def test_higher_priority_is_admitted_first_and_the_queue_is_bounded() -> None:
    scheduler = Scheduler(1, 64, 2)
    low, high = ScheduledRequest(0, (1,), 1), ScheduledRequest(1, (2,), 1, priority=5)
    scheduler.add(low)
    scheduler.add(high)
    with pytest.raises(EngineError, match="2 requests are waiting"):
        scheduler.add(ScheduledRequest(2, (3,), 1))
    scheduler.schedule()
    assert high.admitted
    assert not low.admitted


tokens = st.lists(st.integers(0, 3), max_size=20)


@given(tokens, tokens)
def test_common_prefix(first: list[int], second: list[int]) -> None:
    length = common_prefix(first, second)
    assert first[:length] == second[:length]
    assert first[length : length + 1] != second[length : length + 1] or not first[length:] or not second[length:]


@given(
    st.lists(st.builds(SlotCopy, *[st.integers(0, 9)] * 3), max_size=4),
    st.lists(st.builds(Span, *[st.integers(0, 9)] * 3, st.booleans()), max_size=4),
    st.lists(st.integers(0, 60000), max_size=20),
    st.integers(0, 30),
)
def test_messages_survive_the_wire(copies: list[SlotCopy], spans: list[Span], ids: list[int], spare: int) -> None:
    plan = StepPlan(tuple(copies), tuple(spans), tuple(ids))
    message = np.concatenate([encode(Kind.STEP, 7, plan), np.full(spare, -1, np.int64)])
    assert decode(message) == (Kind.STEP, 7, plan)


def test_malformed_messages_are_refused() -> None:
    assert decode(encode(Kind.STOP, 3)) == (Kind.STOP, 3, None)
    good = encode(Kind.STEP, 3, StepPlan((), (Span(0, 0, 1, True),), (5,)))
    for index, value in ((0, 1), (1, 9), (5, 1000), (3, -1)):
        bad = good.copy()
        bad[index] = value
        with pytest.raises(EngineError):
            decode(bad)
