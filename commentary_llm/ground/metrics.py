"""Counters, durations and choices of a process group, in a Prometheus registry of their own. Thread-safe.

    group = GroupMetrics()                    # one for a process group
    metrics = group.open_match("cl-final")    # what a session counts with, from zero
    metrics.count("dropped", "stale")
    metrics.of("dropped")                     # {"stale": 1}
    group.close_match("cl-final")

Every series of a match has its id in the label `match`. Nothing goes to prometheus_client's process-wide registry:
two groups in one process, as in tests, do not see each other.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# Around the bars: 125 ms from an event to its first sample, 150 ms as the goal of old, 400 ms for an urgent cue that
# cuts in. prometheus_client's own edges jump from 0.1 to 0.25 s.
LATENCY_EDGES_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0, 2.0, 5.0, 10.0)

KEPT_CLOSED = 16

CounterName = Literal["events", "skipped", "openers", "dropped", "cues", "branches", "branches_wasted"]

# name -> (the label that tells its series apart, what is counted)
_COUNTERS: dict[CounterName, tuple[str, str]] = {
    "events": ("answer", "events of the match, by what became of them when they came"),
    "skipped": ("reason", "events of which nothing was said, by the director's reason"),
    "openers": ("state", "openers wanted, by whether their sound was ready"),
    "dropped": ("cause", "cues dropped after the decision to speak"),
    "cues": ("source", "cues whose record is final, by who wrote them"),
    "branches": ("step", "outcomes prepared ahead, by how far they came"),
    "branches_wasted": ("unit", "what was spent on outcomes that were never heard"),
}


class GroupMetrics:
    """All metrics of one process group, over all matches."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.counters = {
            name: Counter(f"commentary_{name}", text, ("match", label), registry=self.registry)
            for name, (label, text) in _COUNTERS.items()
        }
        self.latency = Histogram(
            "commentary_latency_seconds",
            "durations of a cue's stages, and from the event to first_audible, text_done and last_sample",
            ("match", "span"),
            buckets=LATENCY_EDGES_S,
            registry=self.registry,
        )
        self._choices = Gauge(
            "commentary_choice_info",
            "what was chosen at the start, always 1",
            ("what", "value"),
            registry=self.registry,
        )
        self._closed: list[str] = []  # matches whose series are still shown, closed longest ago first
        self._lock = threading.Lock()

    def choose(self, what: str, value: str) -> None:
        """Shows a choice made at the start ("backend", a voice); a later one of the same kind takes its place."""
        with self._lock:
            self._choices.remove_by_labels({"what": what})
            self._choices.labels(what, value).set(1)

    def open_match(self, match: str) -> Metrics:
        """The metrics of a match that begins, at zero, whatever was counted under that id before."""
        with self._lock:
            if match in self._closed:
                self._closed.remove(match)
            self._forget(match)
            return Metrics(match, self)

    def close_match(self, match: str) -> None:
        """A match is over. Its series stay to be read, until `KEPT_CLOSED` others have been closed after it."""
        with self._lock:
            self._closed.append(match)
            if len(self._closed) > KEPT_CLOSED:
                self._forget(self._closed.pop(0))

    def _forget(self, match: str) -> None:
        for metric in (*self.counters.values(), self.latency):
            metric.remove_by_labels({"match": match})


class Metrics:
    """What one match counts and measures. Without a group it stands alone."""

    def __init__(self, match: str = "", group: GroupMetrics | None = None) -> None:
        self._match = match
        self._group = group or GroupMetrics()

    def count(self, name: CounterName, label: str = "", by: int = 1) -> None:
        """Adds `by`, 0 or more, to the counter's series with this label."""
        self._group.counters[name].labels(self._match, label).inc(by)

    def of(self, name: CounterName) -> dict[str, int]:
        """The counter's series: label -> count."""
        (family,) = self._group.counters[name].collect()
        return {
            sample.labels[_COUNTERS[name][0]]: int(sample.value)
            for sample in family.samples
            if sample.name.endswith("_total") and sample.labels["match"] == self._match
        }

    def observe_ms(self, timings_ms: Mapping[str, float]) -> None:
        """Adds a cue's durations, in ms by span, to the latency histogram."""
        for span, duration_ms in timings_ms.items():
            self._group.latency.labels(self._match, span).observe(duration_ms / 1e3)
