"""The queues that all sessions share: order, holding, what goes when they are full."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from commentary_llm.cue.cue import Urgency
from commentary_llm.session.work import ClauseQueue, CueQueue


@dataclass(frozen=True)
class Match:
    match_id: str


@dataclass(frozen=True)
class FakeCue:
    urgency: Urgency


@dataclass(eq=False)
class Job:
    cue: FakeCue
    order: int
    due_s: float = 0.0
    name: str = field(default="")


def job(urgency: Urgency, order: int, due_s: float = 0.0) -> Any:
    return Job(FakeCue(urgency), order, due_s)


A, B, C = Match("a"), Match("b"), Match("c")


def queue_of(*sessions: Match, capacity: int = 8) -> CueQueue:
    queue = CueQueue(capacity)
    for session in sessions:
        queue.open(session)
    return queue


def test_the_most_urgent_of_all_matches_goes_first_then_what_is_due_sooner() -> None:
    queue = queue_of(A, B, C)
    note, key, sooner = job(Urgency.NOTE, 1, 1.0), job(Urgency.KEY, 1, 30.0), job(Urgency.KEY, 1, 20.0)
    for session, each in ((A, note), (B, key), (C, sooner)):
        assert queue.put(session, each) is None
    assert [queue.take(0) for _ in range(4)] == [(C, sooner), (B, key), (A, note), None]


def test_one_match_is_worked_for_by_one_at_a_time_in_the_order_of_its_timeline() -> None:
    queue = queue_of(A, B)
    first, second, urgent = job(Urgency.KEY, 1, 90.0), job(Urgency.KEY, 2, 5.0), job(Urgency.URGENT, 3, 50.0)
    for each in (first, second, urgent):
        queue.put(A, each)
    assert queue.take(0) == (A, urgent)
    assert queue.take(0) is None
    assert queue.busy_sessions == 1
    queue.done(A)
    assert queue.take(0) == (A, first)
    queue.done(A)
    assert queue.remove(A, second)
    assert not queue.remove(A, second)
    assert queue.busy_sessions == 0


def test_when_it_is_full_the_least_urgent_of_all_matches_goes() -> None:
    queue = queue_of(A, B, capacity=2)
    small_talk, corner, other_corner = job(Urgency.FILL, 1), job(Urgency.NOTE, 2), job(Urgency.NOTE, 1)
    queue.put(A, small_talk)
    queue.put(A, corner)
    queue.put(B, other_corner)
    queue.put(B, job(Urgency.URGENT, 2))
    assert queue.put(B, job(Urgency.URGENT, 3)) == (A, small_talk)
    # Of equals the match that has most waiting gives one up.
    assert queue.put(B, job(Urgency.URGENT, 4)) == (B, other_corner)
    assert queue.put(B, last := job(Urgency.FILL, 5)) == (B, last)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=60))
def test_nothing_is_lost_but_what_is_named(steps: list[tuple[int, int, bool]]) -> None:
    sessions = [Match(str(number)) for number in range(4)]
    queue = queue_of(*sessions, capacity=2)
    put: set[Any] = set()
    taken: set[Any] = set()
    pushed_out: set[Any] = set()
    for order, (number, urgency, take) in enumerate(steps):
        added = job(Urgency(urgency), order)
        put.add(added)
        if (loser := queue.put(sessions[number], added)) is not None:
            least = min(each.cue.urgency for each in put - taken - pushed_out)
            assert loser[1].cue.urgency == least
            pushed_out.add(loser[1])
        if take and (got := queue.take(0)) is not None:
            taken.add(got[1])
            queue.done(got[0])
    while (got := queue.take(0)) is not None:
        taken.add(got[1])
        queue.done(got[0])
    assert taken | pushed_out == put
    assert not taken & pushed_out


def test_forgetting_a_match_waits_for_who_works_for_it() -> None:
    queue = queue_of(A)
    queue.put(A, job(Urgency.KEY, 1))
    queue.put(A, job(Urgency.KEY, 2))
    assert queue.take(0) is not None
    assert not queue.forget(A, 0.05)
    threading.Timer(0.05, queue.done, [A]).start()
    assert queue.forget(A, 5.0)
    assert queue.take(0) is None


def test_a_writer_waits_for_room_among_the_clauses_until_it_is_given_up() -> None:
    clauses = ClauseQueue(capacity=2)
    clauses.open(A)
    clauses.open(B)
    line = job(Urgency.KEY, 1)
    clauses.put(A, line, "one", lambda: False)
    clauses.put(A, line, "two", lambda: False)
    clauses.put(A, line, "three", lambda: True)
    urgent = job(Urgency.URGENT, 1)
    clauses.put(B, urgent, "goal", lambda: False)
    assert clauses.take(0) == (B, urgent, "goal")
    assert clauses.take(0) == (A, line, "one")
    assert clauses.take(0) is None  # both are being spoken for
    assert not clauses.empty(A)
    clauses.done(A)
    assert clauses.take(0) == (A, line, "two")
    clauses.done(A)
    assert clauses.empty(A)
