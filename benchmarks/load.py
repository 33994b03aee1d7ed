"""Hands the events of many feeds in when they are due, and gathers what became of them."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

from benchmarks.feeds import TELLABLE, Feed
from benchmarks.figures import CueSeen
from benchmarks.harness import summary_ms
from benchmarks.listener import Heard, Listening
from commentary_llm.match import MatchEvent
from commentary_llm.session.record import CueRecord

_LOOK_S = 0.05  # how often a match that was added meanwhile is noticed


class Handle(Protocol):
    """What `submit` returns, as far as it is looked at here."""

    skipped: str | None


@dataclass(frozen=True)
class OnAirMatch:
    """A match that runs: where its events go, who listens to it, and how it is ended.

    `close` lets what is being said be heard to its end.
    """

    submit: Callable[[MatchEvent], Handle]
    listening: Listening
    close: Callable[[], None]


@dataclass(frozen=True)
class Sent:
    """One event that was handed in, at `accepted_s` of perf_counter."""

    match: int
    event: MatchEvent
    accepted_s: float
    handle: Handle


class LoadGenerator:
    """All matches' events, from the one thread that calls `run`; matches may be added while it runs."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.late_s: list[float] = []  # handed in after they were due
        self.ran_s = 0.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, int, OnAirMatch, MatchEvent]] = []
        self._lock = threading.Lock()
        self._started_s: float | None = None
        self._cpu_s = self._submitting_cpu_s = 0.0

    def add(self, number: int, match: OnAirMatch, feed: Feed) -> None:
        """Starts a match's feed: with `run`, or now if that is running."""
        from_s = 0.0 if self._started_s is None else perf_counter() - self._started_s
        with self._lock:
            for timed in feed.events:
                heapq.heappush(self._due, (from_s + timed.at_s, next(self._order), number, match, timed.event))

    def run(
        self, seconds: float, *, at_half: Callable[[], None] = lambda: None, done: Callable[[], bool] = lambda: False
    ) -> None:
        """Runs for `seconds`, or until `done`; events due later are left out. `at_half` is called once, half-way.

        Raises what a session raises: a benchmark of a session that has failed would tell nothing.
        """
        cpu_s, self._started_s = time.thread_time(), perf_counter()
        half_s = seconds / 2
        while (now_s := perf_counter() - self._started_s) < seconds and not done():
            if now_s >= half_s:
                half_s = float("inf")
                at_half()
            with self._lock:
                due = heapq.heappop(self._due) if self._due and self._due[0][0] <= now_s else None
                next_s = self._due[0][0] if self._due else float("inf")
            if due is None:
                time.sleep(max(0.0, min(next_s, seconds, now_s + _LOOK_S) - now_s))
                continue
            at_s, _, number, match, event = due
            self.late_s.append(now_s - at_s)
            before_s, accepted_s = time.thread_time(), perf_counter()
            handle = match.submit(event)
            self._submitting_cpu_s += time.thread_time() - before_s
            self.sent.append(Sent(number, event, accepted_s, handle))
        self.ran_s = perf_counter() - self._started_s
        self._cpu_s = time.thread_time() - cpu_s

    def figures(self) -> dict[str, Any]:
        """What the generator itself took and did: shares of one core, and how late events were handed in."""
        return {
            "cpu_share": round((self._cpu_s - self._submitting_cpu_s) / self.ran_s, 4),
            "submit_cpu_share": round(self._submitting_cpu_s / self.ran_s, 4),
            "late": summary_ms(self.late_s),
        }


def seen(sent: Sent, listening: Listening) -> CueSeen:
    """What became of one event, once its match has ended."""
    asked = sent.event.type in TELLABLE
    if sent.handle.skipped is not None:
        return CueSeen(sent.match, sent.event.event_id, asked, sent.accepted_s, skipped=sent.handle.skipped)
    heard = listening.cues.get(sent.event.event_id, Heard())
    record = heard.record
    return CueSeen(
        match=sent.match,
        event_id=sent.event.event_id,
        asked=asked,
        accepted_s=sent.accepted_s,
        ready_s=heard.ready_s,
        handed_s=heard.handed_s,
        ended_s=heard.decoded_s if heard.off_air_s is None else heard.off_air_s,
        urgent=record is not None and record.urgency == "urgent",
        source=record.source if record is not None else "none",
        words=_words(record),
        words_after_opener=_words(record) - (len(record.opener.split()) if record is not None else 0),
        dropped=record.dropped if record is not None else None,
        cut_off=record is not None and record.cut_off,
    )


def _words(record: CueRecord | None) -> int:
    return len(record.text.split()) if record is not None else 0
