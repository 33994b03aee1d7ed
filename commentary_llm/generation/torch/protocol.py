"""What rank 0 tells the other ranks: small messages of int64 with a fixed layout, no pickled objects.

0 magic   1 kind   2 sequence number   3 copies   4 samplings   5 spans   6 tokens   7 repeats
then copies x (source slot, target slot, length),
samplings x (slot, temperature, top_p, repetition penalty, seed, candidate, n, n token ids seen),
spans x (slot, start, count, n, n slots that draw), token ids; fractions as the bits of their float64
"""

from __future__ import annotations

import os
import struct
import time
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from commentary_llm.generation.peers import PLAN_TAG, Peers
from commentary_llm.ground.errors import EngineError, RankLostError

DRAWN = -1  # a token id in a plan: the token that the span's slot drew last

_MAGIC = 0x434C4C4D32  # "CLLM2"
_HEADER, _COPY, _SAMPLING, _SPAN = 8, 3, 7, 4
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
class SlotSampling:
    """How the sequence that begins in a slot draws its tokens; its draws count from 0 again."""

    slot: int
    temperature: float
    top_p: float
    repetition_penalty: float
    seed: int  # signed 64 bits
    candidate: int
    seen: tuple[int, ...]  # distinct token ids of the prompt, for the repetition penalty; () when that is 1


@dataclass(frozen=True)
class Span:
    """`count` tokens of one sequence, at positions `start` … `start + count - 1` of its slot."""

    slot: int
    start: int
    count: int
    draws: tuple[int, ...]  # slots that each draw a token from the logits of the span's last token; () for none


@dataclass(frozen=True)
class StepPlan:
    """One forward pass: copies and samplings in order, then the tokens of all spans one after another.

    `repeats` is more than 1 only when every span is one DRAWN token that draws for its own slot: the pass then runs so
    often, and positions move on by one each time.
    """

    copies: tuple[SlotCopy, ...]
    samplings: tuple[SlotSampling, ...]
    spans: tuple[Span, ...]
    token_ids: tuple[int, ...]
    repeats: int = 1


def message_capacity(slots: int, max_step_tokens: int, max_context: int) -> int:
    """int64 values that the largest message takes: every slot begins a sequence, and no prompt repeats a token."""
    per_slot = 2 * _COPY + _SAMPLING + max_context + _SPAN + 1
    return _HEADER + slots * per_slot + max_step_tokens


def encode(kind: Kind, sequence: int, plan: StepPlan | None = None) -> np.ndarray:
    """(n,) int64. A STEP carries its plan, other kinds none."""
    values = [_MAGIC, int(kind), sequence]
    if plan is None:
        return np.array(values + [0] * (_HEADER - len(values)), dtype=np.int64)
    values += (len(plan.copies), len(plan.samplings), len(plan.spans), len(plan.token_ids), plan.repeats)
    for copy in plan.copies:
        values += (copy.source, copy.target, copy.length)
    for each in plan.samplings:
        fractions = struct.pack("=3d", each.temperature, each.top_p, each.repetition_penalty)
        values += (each.slot, *struct.unpack("=3q", fractions), each.seed, each.candidate, len(each.seen), *each.seen)
    for span in plan.spans:
        values += (span.slot, span.start, span.count, len(span.draws), *span.draws)
    values += plan.token_ids
    return np.array(values, dtype=np.int64)


def decode(message: np.ndarray) -> tuple[Kind, int, StepPlan | None]:
    """The inverse of `encode`; values past the message's own length are ignored. Raises EngineError."""
    reader = _Reader(message.tolist())
    magic, kind, sequence, copies, samplings, spans, tokens, repeats = reader.take(_HEADER)
    if magic != _MAGIC:
        raise EngineError(f"a step message starts with {magic}, expected {_MAGIC}: ranks run other versions")
    if kind not in set(Kind) or min(copies, samplings, spans) < 0:
        raise reader.malformed()
    if kind != Kind.STEP:
        return Kind(kind), sequence, None
    plan = StepPlan(
        copies=tuple(SlotCopy(*reader.take(_COPY)) for _ in range(copies)),
        samplings=tuple(reader.sampling() for _ in range(samplings)),
        spans=tuple(reader.span() for _ in range(spans)),
        token_ids=tuple(reader.take(tokens)),
        repeats=repeats,
    )
    return Kind.STEP, sequence, plan


class _Reader:
    """Takes a message apart from front to back."""

    def __init__(self, values: list[int]) -> None:
        self._values, self._at = values, 0

    def take(self, count: int) -> list[int]:
        """The next `count` values. Raises EngineError when there are not so many."""
        if not 0 <= count <= len(self._values) - self._at:
            raise self.malformed()
        self._at += count
        return self._values[self._at - count : self._at]

    def sampling(self) -> SlotSampling:
        slot, *bits, seed, candidate, seen = self.take(_SAMPLING)
        temperature, top_p, penalty = struct.unpack("=3d", struct.pack("=3q", *bits))
        return SlotSampling(slot, temperature, top_p, penalty, seed, candidate, tuple(self.take(seen)))

    def span(self) -> Span:
        slot, start, count, draws = self.take(_SPAN)
        return Span(slot, start, count, tuple(self.take(draws)))

    def malformed(self) -> EngineError:
        header, size = self._values[:_HEADER], len(self._values)
        return EngineError(f"a step message is malformed: header {header}, {size} values")


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
