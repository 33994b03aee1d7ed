"""Counters and durations of a running engine, in one place. Thread-safe."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Metrics:
    """`counts[name][label]` and, in `labels`, facts such as the backend chosen."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, name: str, label: str = "", by: int = 1) -> None:
        with self._lock:
            self.counts.setdefault(name, Counter())[label] += by

    def of(self, name: str) -> dict[str, int]:
        with self._lock:
            return dict(self.counts.get(name, {}))
