"""From what happened to each event of a run to the figures of DESIGN section 9: definitions in one place, no clocks.

first_ready     event accepted -> the cue's first audible sample exists
first_audible   event accepted -> the block that holds that sample is handed to the listener

A voice is *free* for a cue when no earlier cue of its match sounds or is still to sound at the moment of acceptance,
and *speaking* when one does. Which one is known afterwards, from when each cue ended.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import summary_ms

READY_BAR_MS = 125.0
AUDIBLE_BAR_MS = 125.0  # where the voice is free
URGENT_BAR_MS = 400.0  # where it is speaking
ENOUGH = 200  # samples for a p99


@dataclass(frozen=True)
class CueSeen:
    """What became of one event that was handed to a session. Moments in seconds of one clock; None: did not happen."""

    match: int
    event_id: str
    asked: bool  # the feed asks for a call: a tellable event
    accepted_s: float
    skipped: str | None = None  # why the director passed it over; then the rest is as it stands here
    ready_s: float | None = None
    handed_s: float | None = None
    ended_s: float | None = None  # its last sample was played, or its line was given up
    urgent: bool = False
    source: str = "none"  # as in CueRecord
    words: int = 0  # of the line, as heard
    words_after_opener: int = 0
    dropped: str | None = None
    cut_off: bool = False

    @property
    def is_cue(self) -> bool:
        return self.skipped is None

    @property
    def spoken(self) -> bool:
        return self.is_cue and self.handed_s is not None

    @property
    def by_model(self) -> bool:
        return self.spoken and self.source == "model"


@dataclass(frozen=True)
class Latencies:
    """Seconds, by the definitions above."""

    ready: list[float]
    free: list[float]  # first_audible, voice free
    urgent: list[float]  # first_audible of urgent cues, voice speaking
    waiting: list[float]  # first_audible of other cues, voice speaking

    def above(self) -> list[str]:
        """Which bars their p99 is above."""
        bars = (
            ("first_ready", self.ready, READY_BAR_MS),
            ("first_audible", self.free, AUDIBLE_BAR_MS),
            ("urgent", self.urgent, URGENT_BAR_MS),
        )
        return [name for name, values, bar in bars if summary_ms(values).get("p99_ms", 0.0) > bar]


def latencies(seen: Sequence[CueSeen], counts: Callable[[CueSeen], bool] = lambda cue: True) -> Latencies:
    """Of the cues in `seen` for which `counts`; the others still say when a voice was busy."""
    found = Latencies([], [], [], [])
    for cues in _by_match(seen).values():
        busy_until_s = float("-inf")
        for cue in sorted((cue for cue in cues if cue.is_cue), key=lambda cue: cue.accepted_s):
            free = busy_until_s <= cue.accepted_s
            busy_until_s = max(busy_until_s, cue.accepted_s if cue.ended_s is None else cue.ended_s)
            if not counts(cue):
                continue
            if cue.ready_s is not None:
                found.ready.append(cue.ready_s - cue.accepted_s)
            if cue.handed_s is not None:
                kind = found.free if free else found.urgent if cue.urgent else found.waiting
                kind.append(cue.handed_s - cue.accepted_s)
    return found


def model_share(seen: Iterable[CueSeen]) -> float | None:
    """Of all spoken lines, those whose words after the opener are the model's. A cue that was dropped or never heard
    counts against it where the feed asked for a call. None without any."""
    against = [cue for cue in seen if cue.spoken or (cue.is_cue and cue.asked)]
    return _share(sum(cue.by_model for cue in against), len(against))


def figures(seen: Sequence[CueSeen], seconds: float) -> dict[str, Any]:
    """All of a run of `seconds`; `p99` of few samples says little: each has its count beside it."""
    pooled = latencies(seen)
    cues = [cue for cue in seen if cue.is_cue]
    spoken = [cue for cue in cues if cue.spoken]
    asked = [cue for cue in seen if cue.asked]
    free, urgent = summary_ms(pooled.free), summary_ms(pooled.urgent)
    return {
        "first_ready_p99_ms": summary_ms(pooled.ready).get("p99_ms"),
        "first_audible_p50_ms": free.get("p50_ms"),
        "first_audible_p99_ms": free.get("p99_ms"),
        "urgent_p99_ms": urgent.get("p99_ms"),
        "samples": len(pooled.ready),
        "model_share": model_share(seen),
        "cues_per_s": round(len(spoken) / seconds, 3),
        "first_ready": summary_ms(pooled.ready),
        "first_audible_voice_free": free,
        "first_audible_urgent_voice_speaking": urgent,
        "first_audible_other_voice_speaking": summary_ms(pooled.waiting),
        "above_bars": pooled.above(),
        "worst_match": _worst(seen),
        "model_share_by_words": _share(
            sum(cue.words_after_opener for cue in spoken if cue.by_model), sum(cue.words_after_opener for cue in spoken)
        ),
        "model_share_by_match": _spread([model_share(match) for match in _by_match(seen).values()]),
        "told_share": _share(sum(cue.spoken for cue in asked), len(asked)),
        "events": len(seen),
        "events_asking_for_a_call": len(asked),
        "cues": len(cues),
        "spoken": len(spoken),
        "sources": _counted(cue.source for cue in spoken),
        "cut": sum(cue.cut_off for cue in spoken),
        "dropped": _counted(cue.dropped or "never heard" for cue in cues if not cue.spoken),
        "skipped": _counted(cue.skipped for cue in asked if cue.skipped is not None),
    }


def beside(seen: Sequence[CueSeen], others: int, from_s: float, until_s: float) -> dict[str, Any]:
    """What the first `others` matches' cues came to that were accepted within a time, in which something went on."""
    within = [cue for cue in seen if cue.match < others]
    pooled = latencies(within, lambda cue: from_s <= cue.accepted_s <= until_s)
    by_match = {
        number: latencies(match, lambda cue: from_s <= cue.accepted_s <= until_s)
        for number, match in _by_match(within).items()
    }
    return {
        "seconds": round(until_s - from_s, 1),
        "first_ready": summary_ms(pooled.ready),
        "first_audible_voice_free": summary_ms(pooled.free),
        "first_audible_urgent_voice_speaking": summary_ms(pooled.urgent),
        "above_bars": pooled.above(),
        "matches_above_a_bar": [number for number, found in sorted(by_match.items()) if found.above()],
    }


def _worst(seen: Sequence[CueSeen]) -> dict[str, float | None]:
    """The highest p99 of a single match, for each figure with a bar."""
    each = [latencies(match) for match in _by_match(seen).values()]
    worst: dict[str, float | None] = {}
    for name, pick in (
        ("first_ready_p99_ms", lambda found: found.ready),
        ("first_audible_p99_ms", lambda found: found.free),
        ("urgent_p99_ms", lambda found: found.urgent),
    ):
        found = [summary_ms(pick(match))["p99_ms"] for match in each if pick(match)]
        worst[name] = max(found, default=None)
    return worst


def _by_match(seen: Iterable[CueSeen]) -> dict[int, list[CueSeen]]:
    matches: dict[int, list[CueSeen]] = {}
    for cue in seen:
        matches.setdefault(cue.match, []).append(cue)
    return matches


def _spread(shares: Iterable[float | None]) -> dict[str, float] | None:
    known = [share for share in shares if share is not None]
    if not known:
        return None
    return {"least": min(known), "median": round(statistics.median(known), 4), "most": max(known)}


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
