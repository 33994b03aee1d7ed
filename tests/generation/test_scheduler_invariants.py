"""The scheduler under random load, with a model that answers at once. No torch, no MPI."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commentary_llm.generation.interface import SamplingParams
from commentary_llm.generation.torch.protocol import (
    DRAWN,
    Kind,
    SlotCopy,
    SlotSampling,
    Span,
    StepPlan,
    decode,
    encode,
    message_capacity,
)
from commentary_llm.generation.torch.scheduler import Lookahead, ScheduledRequest, Scheduler, Sequence, Step
from commentary_llm.generation.torch.slots import common_prefix
from commentary_llm.ground.errors import EngineError

SLOTS, BATCH, BUDGET, CONTEXT = 7, 4, 12, 40
PREFIX = 3  # tokens of a prompt that are worth keeping
ONE = SamplingParams()


def drawn_token(request_id: int, candidate: int, index: int) -> int:
    """What the fake model draws: no two draws alike, none like a prompt's token."""
    return 1000 * (request_id + 1) + 100 * candidate + index


class FakeDevice:
    """Cache and draws of a model that answers at once: checks that every token follows those before it."""

    def __init__(self) -> None:
        self.slots: list[list[int]] = [[] for _ in range(SLOTS)]
        self.samplings: dict[int, SlotSampling] = {}
        self.drawn: dict[int, list[int]] = {}

    def run(self, plan: StepPlan) -> list[list[tuple[int, int]]]:
        """(slot, token) of every draw, repeat by repeat."""
        assert len(plan.token_ids) == sum(span.count for span in plan.spans) <= BUDGET
        message = encode(Kind.STEP, 1, plan)
        assert len(message) <= message_capacity(BATCH, BUDGET, CONTEXT)
        assert decode(message) == (Kind.STEP, 1, plan)
        for copy in plan.copies:
            assert len(self.slots[copy.source]) >= copy.length
            self.slots[copy.target] = self.slots[copy.source][: copy.length]
        for sampling in plan.samplings:
            self.samplings[sampling.slot], self.drawn[sampling.slot] = sampling, []
        assert len({span.slot for span in plan.spans}) == len(plan.spans)
        if plan.repeats > 1:
            assert all((span.count, span.draws) == (1, (span.slot,)) for span in plan.spans)
            assert set(plan.token_ids) == {DRAWN}
        return [self._once(plan, repeat) for repeat in range(plan.repeats)]

    def _once(self, plan: StepPlan, repeat: int) -> list[tuple[int, int]]:
        token, found = 0, []
        for span in plan.spans:
            start, slot = span.start + repeat, self.slots[span.slot]
            assert len(slot) >= start
            assert start + span.count <= CONTEXT
            ids = plan.token_ids[token : token + span.count]
            slot[start:] = [self.drawn[span.slot][-1] if each == DRAWN else each for each in ids]
            token += span.count
            for drawing in span.draws:
                sampling, drawn = self.samplings[drawing], self.drawn[drawing]
                drawn.append(drawn_token(sampling.seed, sampling.candidate, len(drawn)))
                found.append((drawing, drawn[-1]))
        return found


requests = st.tuples(
    st.lists(st.integers(0, 2), min_size=1, max_size=30),
    st.integers(1, BATCH),
    st.integers(0, 2),
    st.integers(1, 10),  # most tokens
    st.integers(1, 10),  # tokens up to its end
)
actions = st.lists(st.one_of(requests, st.integers(0, 30)), max_size=30)


class Load:
    """Requests on a scheduler and a fake device, with up to two plans in flight when it runs ahead."""

    def __init__(self, steps_ahead: int) -> None:
        ahead = Lookahead(steps_ahead, CONTEXT) if steps_ahead else None
        self.scheduler, self.device = Scheduler(SLOTS, BATCH, BUDGET, 50, ahead), FakeDevice()
        self.most_in_flight = 2 if steps_ahead else 1
        self.in_flight: deque[tuple[Step, list[list[tuple[int, int]]]]] = deque()
        self.ends: dict[ScheduledRequest, int] = {}
        self.live: list[ScheduledRequest] = []

    def act(self, action: object) -> None:
        if isinstance(action, tuple):
            prompt, candidates, priority, most, end = action
            sampling = SamplingParams(
                max_new_tokens=most, candidates=candidates, repetition_penalty=1.5, seed=len(self.ends)
            )
            prefix = ",".join(map(str, prompt[:PREFIX])) if len(prompt) >= PREFIX else ""
            request = ScheduledRequest(len(self.ends), tuple(prompt), sampling, priority, prefix)
            self.ends[request] = min(most, end)
            self.live.append(request)
            self.scheduler.add(request)
        elif self.live:
            self.scheduler.remove(self.live.pop(int(str(action)) % len(self.live)))

    def step(self) -> bool:
        """Plans what fits, then reads the oldest plan; False when there was nothing to do."""
        while len(self.in_flight) < self.most_in_flight and (step := self.scheduler.schedule()) is not None:
            self.in_flight.append((step, self.device.run(step.plan)))
            self.check()
        if not self.in_flight:
            return False
        step, repeats = self.in_flight.popleft()
        for found in repeats:
            for sequence, (slot, token) in zip(step.draws, found, strict=True):
                assert slot == sequence.slot.index
                if not sequence.finished:
                    self.hear(sequence, token)
        return True

    def hear(self, sequence: Sequence, token: int) -> None:
        request, prompt = sequence.request, sequence.request.prompt
        index = len(sequence.tokens) - len(prompt)
        assert token == drawn_token(request.request_id, sequence.candidate, index)
        self.scheduler.note_drawn(sequence, token)
        assert sequence.slot.tokens == ([] if sequence.copy_from else sequence.tokens[: len(sequence.slot.tokens)])
        if index + 1 == self.ends[request]:
            self.scheduler.finish(sequence)
        if all(each.finished for each in request.sequences):
            self.live.remove(request)
        self.check()

    def check(self) -> None:
        for slot, content in zip(self.scheduler.slots.slots, self.device.slots, strict=True):
            assert content[: len(slot.tokens)] == slot.tokens
            assert ",".join(map(str, slot.tokens[:PREFIX])) == slot.prefix or not slot.prefix
        busy = {s.slot.index for request in self.live for s in request.sequences if not s.finished}
        assert busy == {slot.index for slot in self.scheduler.slots.slots if slot.busy}
        assert len(busy) <= BATCH


@pytest.mark.parametrize("steps_ahead", [0, 1, 4])
@settings(max_examples=150, deadline=None)
@given(todo=actions)
def test_every_request_ends_with_its_own_tokens(steps_ahead: int, todo: list[object]) -> None:
    load, pending = Load(steps_ahead), list(todo)
    for _ in range(2000):
        if pending:
            load.act(pending.pop(0))
        if not load.step() and not pending:
            break
    else:
        pytest.fail("requests starve")
    assert not load.live
    assert load.scheduler.running == load.scheduler.waiting == 0
    assert load.scheduler.slots.busy == 0


def plans_of(load: Load, *todo: tuple[object, ...]) -> list[StepPlan]:
    for action in todo:
        load.act(action)
    plans, run = [], load.device.run
    load.device.run = lambda plan: (plans.append(plan), run(plan))[1]  # type: ignore[method-assign]
    while load.step():
        pass
    return plans


@pytest.mark.parametrize(("most", "expected"), [(1, [1]), (2, [1, 1]), (4, [1, 3]), (6, [1, 4, 1]), (10, [1, 4, 4, 1])])
def test_no_more_steps_run_ahead_than_the_longest_candidate_needs(most: int, expected: list[int]) -> None:
    plans = plans_of(Load(4), ((5, 6, 7), 2, 0, most, most))
    assert [plan.repeats for plan in plans] == expected
    assert [len(plan.copies) for plan in plans] == [0, *[1] * (len(plans) > 1), *[0] * (len(plans) - 2)]


def test_running_ahead_stops_at_the_end_of_the_slot() -> None:
    load = Load(4)
    longest = ((1,) * 30, 1, 0, 10, 10)
    plans = plans_of(load, ((2,), 1, 0, 30, 30), longest)  # beside a sequence that needs many more
    assert max(span.start + plan.repeats for plan in plans for span in plan.spans if span.count == 1) == CONTEXT
    assert load.in_flight == deque()


def test_nothing_runs_ahead_while_a_prompt_waits_or_runs() -> None:
    load = Load(4)
    load.act(((1, 2), 1, 0, 30, 30))
    for _ in range(3):
        load.step()
    load.act(((1,) * 30, 4, 0, 2, 2))  # its prompt takes three steps, and first it waits for a slot
    plans = plans_of(load)
    waiting = [plan for plan in plans if len(plan.spans) == 1 and plan.spans[0].count == 1]
    assert {plan.repeats for plan in waiting} == {1}
    load.act(((2, 2), 1, 0, 30, 30))
    for _ in range(3):
        load.step()
    mixed = [plan for plan in plans_of(load, ((0,) * 30, 1, 0, 4, 4)) if len(plan.spans) == 2]
    assert [plan.repeats for plan in mixed if max(span.count for span in plan.spans) > 1] == [1, 1, 1]
    assert max(plan.repeats for plan in mixed) > 1


def test_prompts_end_in_draws_of_all_candidates_and_say_how() -> None:
    prompt = (4, 4, 5)
    penalized = SamplingParams(3, temperature=0.5, top_p=0.25, repetition_penalty=1.5, seed=1 << 63, candidates=2)
    for params, seen, seed in ((penalized, (4, 5), -(1 << 63)), (SamplingParams(seed=3), (), 3)):
        scheduler = Scheduler(SLOTS, BATCH, BUDGET, 10, Lookahead(4, CONTEXT))
        scheduler.add(ScheduledRequest(0, prompt, params))
        step = scheduler.schedule()
        assert step is not None
        (span,) = step.plan.spans
        assert span.draws == tuple(each.slot for each in step.plan.samplings) == tuple(range(params.candidates))
        for candidate, each in enumerate(step.plan.samplings):
            assert (each.temperature, each.top_p) == (params.temperature, params.top_p)
            assert (each.repetition_penalty, each.candidate) == (params.repetition_penalty, candidate)
            assert (each.seen, each.seed) == (seen, seed)


def run_to_end(scheduler: Scheduler, request: ScheduledRequest) -> list[StepPlan]:
    scheduler.add(request)
    plans = []
    while (step := scheduler.schedule()) is not None:
        plans.append(step.plan)
        for sequence in step.draws:
            scheduler.finish(sequence)
    return plans


def test_prefix_is_reused_and_only_the_rest_runs() -> None:
    scheduler = Scheduler(SLOTS, BATCH, 64, 10)
    run_to_end(scheduler, ScheduledRequest(0, tuple(range(20)), ONE, prefix="p"))
    again = ScheduledRequest(1, (*range(15), 99, 98), ONE, prefix="p")
    (plan,) = run_to_end(scheduler, again)
    assert again.cached_tokens == 15
    assert plan.token_ids == (99, 98)
    whole = ScheduledRequest(2, (*range(15), 99, 98), ONE)
    (plan,) = run_to_end(scheduler, whole)
    assert (whole.cached_tokens, plan.token_ids) == (16, (98,))


def test_kept_prefix_outlives_unrelated_requests() -> None:
    scheduler = Scheduler(SLOTS, BATCH, 64, 50)
    run_to_end(scheduler, ScheduledRequest(0, tuple(range(20)), ONE, prefix="p"))
    for other in range(1, 10):
        run_to_end(scheduler, ScheduledRequest(other, (100 + other,) * 5, ONE))
    again = ScheduledRequest(20, (*range(20), 7), ONE, prefix="p")
    run_to_end(scheduler, again)
    assert again.cached_tokens == 20


def prefix_tokens(name: str) -> tuple[int, ...]:
    """Prefixes of 12 tokens that begin alike, as prompts in one language do."""
    return (1, 2, 3, 4, *(1000 * (ord(name) - 96) + token for token in range(8)))


def computed(scheduler: Scheduler, name: str, number: int, candidates: int = 1) -> int:
    """Tokens of prompt computed for a request of a match, run to its end."""
    prompt = (*prefix_tokens(name), 90_000 + number)
    request = ScheduledRequest(number, prompt, SamplingParams(candidates=candidates), prefix=name)
    run_to_end(scheduler, request)
    return len(prompt) - request.cached_tokens


def test_no_prefix_that_has_room_is_computed_twice() -> None:
    scheduler = Scheduler(SLOTS, BATCH, 64, 10)
    names = "abcdefg"
    assert len(names) == SLOTS
    for number, name in enumerate(names):
        # The four tokens that all prefixes begin with are copied, not taken from the match that has them.
        assert computed(scheduler, name, number) == (13 if number == 0 else 9)
    for number, name in enumerate(names * 3, start=100):
        assert computed(scheduler, name, number) == 1


def test_candidates_push_out_no_prefix_while_all_fit() -> None:
    scheduler = Scheduler(SLOTS, BATCH, 64, 10)
    names = "abcd"  # three others are kept beside the match that speaks with all candidates
    assert len(names) - 1 + BATCH == SLOTS
    for number, name in enumerate(names):
        computed(scheduler, name, number, BATCH)
    for number, name in enumerate(names * 3, start=100):
        assert computed(scheduler, name, number, BATCH) == 1


def test_the_prefix_used_longest_ago_goes_first() -> None:
    scheduler = Scheduler(SLOTS, BATCH, 64, 10)
    for number, name in enumerate("abcdefg"):
        computed(scheduler, name, number)
    assert computed(scheduler, "a", 100) == 1  # used just now
    assert computed(scheduler, "h", 101) == 9  # takes the place of b
    assert [computed(scheduler, name, 102 + number) for number, name in enumerate("acdefgh")] == [1] * 7
    assert computed(scheduler, "b", 110) == 9  # takes the place of a


def test_a_request_of_another_match_ends_nothing_but_itself() -> None:
    """Two matches in one step; one is cancelled while it runs, the other goes on and keeps its prefix."""
    scheduler = Scheduler(SLOTS, BATCH, 64, 10)
    ours, theirs = (
        ScheduledRequest(number, (*prefix_tokens(name), 9), SamplingParams(candidates=2), prefix=name)
        for number, name in enumerate("ab")
    )
    scheduler.add(ours)
    scheduler.add(theirs)
    step = scheduler.schedule()
    assert step is not None
    assert {sequence.request for sequence in step.draws} == {ours, theirs}
    for sequence in step.draws:
        scheduler.note_drawn(sequence, 50 + sequence.candidate)
    scheduler.remove(theirs)  # its second candidate has no copy of the prompt yet
    step = scheduler.schedule()
    assert step is not None
    assert [sequence.request for sequence in step.draws] == [ours, ours]
    for sequence in step.draws:
        scheduler.finish(sequence)
    assert scheduler.slots.busy == 0
    assert [computed(scheduler, name, 100) for name in "abab"] == [1, 1, 1, 1]


def test_no_more_sequences_run_than_a_batch_has_though_slots_are_free() -> None:
    scheduler = Scheduler(SLOTS, BATCH, 64, 10)
    for number in range(3):
        scheduler.add(ScheduledRequest(number, (number,), SamplingParams(candidates=3)))
    step = scheduler.schedule()
    assert step is not None
    assert len(step.draws) == 3
    assert (scheduler.running, scheduler.waiting) == (1, 2)


def test_candidates_prefill_once_then_copy() -> None:
    scheduler = Scheduler(SLOTS, BATCH, 64, 10)
    request = ScheduledRequest(0, tuple(range(9)), SamplingParams(candidates=3))
    scheduler.add(request)
    first = scheduler.schedule()
    assert first is not None
    assert first.plan.token_ids == tuple(range(9))
    assert first.draws == tuple(request.sequences)
    for sequence in request.sequences:
        scheduler.note_drawn(sequence, 50 + sequence.candidate)
    second = scheduler.schedule()
    assert second is not None
    assert [copy.length for copy in second.plan.copies] == [9, 9]
    assert sorted(second.plan.token_ids) == [50, 51, 52]
    slots = [span.slot for span in second.plan.spans]
    assert slots == list(range(slots[0], slots[0] + 3))  # neighbours attend in one call


def test_higher_priority_is_admitted_first_and_the_queue_is_bounded() -> None:
    scheduler = Scheduler(1, 1, 64, 2)
    low, high = ScheduledRequest(0, (1,), ONE), ScheduledRequest(1, (2,), ONE, priority=5)
    scheduler.add(low)
    scheduler.add(high)
    with pytest.raises(EngineError, match="2 requests are waiting"):
        scheduler.add(ScheduledRequest(2, (3,), ONE))
    scheduler.schedule()
    assert high.admitted
    assert not low.admitted


tokens = st.lists(st.integers(0, 3), max_size=20)


@given(tokens, tokens)
def test_common_prefix(first: list[int], second: list[int]) -> None:
    length = common_prefix(first, second)
    assert first[:length] == second[:length]
    assert first[length : length + 1] != second[length : length + 1] or not first[length:] or not second[length:]


small, any_64_bits = st.integers(0, 9), st.integers(-(1 << 63), (1 << 63) - 1)
fraction = st.floats(allow_nan=False)
ids = st.lists(st.integers(DRAWN, 60000), max_size=20).map(tuple)


@given(
    st.lists(st.builds(SlotCopy, small, small, small), max_size=4),
    st.lists(st.builds(SlotSampling, small, fraction, fraction, fraction, any_64_bits, small, ids), max_size=4),
    st.lists(st.builds(Span, small, small, small, st.lists(small, max_size=4).map(tuple)), max_size=4),
    ids,
    small,
    st.integers(0, 30),
)
def test_messages_survive_the_wire(
    copies: list[SlotCopy],
    samplings: list[SlotSampling],
    spans: list[Span],
    tokens: tuple[int, ...],
    repeats: int,
    spare: int,
) -> None:
    plan = StepPlan(tuple(copies), tuple(samplings), tuple(spans), tokens, repeats)
    message = np.concatenate([encode(Kind.STEP, 7, plan), np.full(spare, -1, np.int64)])
    assert decode(message) == (Kind.STEP, 7, plan)


def test_malformed_messages_are_refused() -> None:
    assert decode(encode(Kind.STOP, 3)) == (Kind.STOP, 3, None)
    sampling = SlotSampling(0, 1.0, 1.0, 1.0, 0, 0, (5,))
    good = encode(Kind.STEP, 3, StepPlan((), (sampling,), (Span(0, 0, 1, (0,)),), (5,)))
    seen, draws = 8 + 6, 8 + 7 + 1 + 3  # where their numbers stand
    for index, value in ((0, 1), (1, 9), (3, -1), (4, -1), (5, 1000), (6, -1), (6, 2), (seen, 99), (draws, -5)):
        bad = good.copy()
        bad[index] = value
        with pytest.raises(EngineError):
            decode(bad)
    with pytest.raises(EngineError):
        decode(good[:5])
