"""What rank 0 tells the other ranks: small messages of int64 with a fixed layout, no pickled objects.

0 magic   1 kind   2 sequence number   3 copies   4 spans   5 tokens
then copies x (source slot, target slot, length), spans x (slot, start, count, wants logits), token ids
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from commentary_llm.errors import EngineError, RankLostError

from ..peers import PLAN_TAG, Peers

_MAGIC = 0x434C4C4D31  # "CLLM1"
_HEADER, _COPY, _SPAN = 6, 3, 4
_BUSY_S = 0.02  # rank 0 samples and plans for about 1 ms between steps; after that long it has gone idle
_SLEEP_IDLE_S = 0.001


class Kind(IntEnum):
    STEP = 1
    PING = 2
    STOP = 3


@dataclass(frozen=True)
class SlotCopy:
    """The first `length` cached tokens of `source` are copied into `target`, before the step's tokens are written."""

    source: int
    target: int
    length: int


@dataclass(frozen=True)
class Span:
    """`count` tokens of one sequence, at positions `start` … `start + count - 1` of its slot."""

    slot: int
    start: int
    count: int
    wants_logits: bool  # of its last token


@dataclass(frozen=True)
class StepPlan:
    """One forward pass: copies in order, then the tokens of all spans one after another."""

    copies: tuple[SlotCopy, ...]
    spans: tuple[Span, ...]
    token_ids: tuple[int, ...]


def message_capacity(slots: int, max_step_tokens: int) -> int:
    """int64 values that the largest message takes."""
    return _HEADER + 2 * slots * _COPY + slots * _SPAN + max_step_tokens


def encode(kind: Kind, sequence: int, plan: StepPlan | None = None) -> np.ndarray:
    """(n,) int64. A STEP carries its plan, other kinds none."""
    if plan is None:
        return np.array([_MAGIC, kind, sequence, 0, 0, 0], dtype=np.int64)
    values = [_MAGIC, int(kind), sequence, len(plan.copies), len(plan.spans), len(plan.token_ids)]
    for copy in plan.copies:
        values += (copy.source, copy.target, copy.length)
    for span in plan.spans:
        values += (span.slot, span.start, span.count, int(span.wants_logits))
    values += plan.token_ids
    return np.array(values, dtype=np.int64)


def decode(message: np.ndarray) -> tuple[Kind, int, StepPlan | None]:
    """The inverse of `encode`; values past the message's own length are ignored. Raises EngineError."""
    values = message.tolist()
    if len(values) < _HEADER or values[0] != _MAGIC:
        raise EngineError(f"a step message starts with {values[:_HEADER]}, expected {_MAGIC}: ranks run other versions")
    kind, sequence, copies, spans, tokens = values[1:_HEADER]
    spans_at = _HEADER + copies * _COPY
    tokens_at = spans_at + spans * _SPAN
    if min(copies, spans, tokens) < 0 or tokens_at + tokens > len(values) or kind not in set(Kind):
        raise EngineError(f"step message {sequence} is malformed: header {values[:_HEADER]}, {len(values)} values")
    if kind != Kind.STEP:
        return Kind(kind), sequence, None
    return (
        Kind.STEP,
        sequence,
        StepPlan(
            copies=tuple(SlotCopy(*values[i : i + _COPY]) for i in range(_HEADER, spans_at, _COPY)),
            spans=tuple(
                Span(values[i], values[i + 1], values[i + 2], bool(values[i + 3]))
                for i in range(spans_at, tokens_at, _SPAN)
            ),
            token_ids=tuple(values[tokens_at : tokens_at + tokens]),
        ),
    )


class PlanSender:
    """Rank 0's end. Without peers (one rank) nothing is sent."""

    def __init__(self, peers: Peers | None) -> None:
        self._peers = peers
        self._sequence = 0

    def send(self, kind: Kind, plan: StepPlan | None = None) -> None:
        """Sends one message to every other rank. Raises RankLostError."""
        if self._peers is None:
            return
        self._sequence += 1
        message = encode(kind, self._sequence, plan)
        comm, others = self._peers.comm, self._peers.others
        requests = [comm.Isend(message, rank, PLAN_TAG) for rank in others]
        self._peers.wait(requests, [*others], f"sending a {kind.name} message")


class PlanReceiver:
    """The other ranks' end."""

    def __init__(self, peers: Peers, capacity: int) -> None:
        self._peers = peers
        self._message = np.zeros(capacity, dtype=np.int64)
        self._sequence = 0

    def receive(self) -> tuple[Kind, StepPlan | None]:
        """Waits for the next message: yielding at first, since steps follow each other within a millisecond, then
        asleep between polls, so that an idle rank leaves its core to others.

        Raises RankLostError when rank 0, which pings while idle, is silent for `ping_s` + `answer_s` and a half more
        (rank 0 should be the first to name a lost rank), EngineError for a message that does not fit.
        """
        peers, limits = self._peers, self._peers.timeouts
        request = peers.comm.Irecv(self._message, 0, PLAN_TAG)
        started = time.perf_counter()
        while not request.Test():
            waited_s = time.perf_counter() - started
            if waited_s < _BUSY_S:
                os.sched_yield()
            else:
                time.sleep(_SLEEP_IDLE_S)
            if waited_s > limits.ping_s + 1.5 * limits.answer_s:
                raise RankLostError(
                    f"{peers.label(0)} no longer answers: {peers.label(peers.info.rank)} heard nothing from it for "
                    f"{waited_s:.1f} s; the job ends, start it again"
                )
        kind, sequence, plan = decode(self._message)
        self._sequence += 1
        if sequence != self._sequence:
            raise EngineError(f"step message {sequence} came when {self._sequence} was expected")
        return kind, plan
