"""Leaving out single events that kloppy cannot read, where the provider's file is a plain list of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

# More unreadable events than this are no slip: the file is of another format or version.
MAX_UNREADABLE = 25

_Events = list[dict[str, Any]]
# StatsBomb's line-ups and periods are events as well; kloppy reads nothing without them.
_STATSBOMB_FRAME = frozenset({"Starting XI", "Half Start", "Half End"})


def load_readable(provider: str, path: Path, load: Callable[[bytes], Any], skipped: Counter[str]) -> Any:
    """Loads the events file `path` without the events that keep `load` from reading it; None if it is past mending.

    The offenders are found by halving, which costs about two loads of the file for each; they are counted in `skipped`.
    """
    document = _document(path)
    events = _events_of(provider, document)
    if not events or not all(isinstance(event, dict) for event in events):
        return None
    frame = [event for event in events if _is_frame(provider, event)]
    rest = [event for event in events if not _is_frame(provider, event)]

    def attempt(chosen: _Events) -> Any:
        wanted = {id(event) for event in (*frame, *chosen)}
        kept = [event for event in events if id(event) in wanted]
        content = kept if isinstance(document, list) else {**document, "events": kept}
        try:
            return load(json.dumps(content).encode())
        except Exception:
            # Whatever kloppy raises on an event it cannot read; that one is found, left out and counted.
            return None

    unreadable: _Events = []
    if not _halve(rest, attempt, unreadable):
        return None
    bad = {id(event) for event in unreadable}
    dataset = attempt([event for event in rest if id(event) not in bad])
    if dataset is not None:
        for event in unreadable:
            skipped[f"unreadable event: {_name(event)}"] += 1
    return dataset


def _halve(events: _Events, attempt: Callable[[_Events], Any], unreadable: _Events) -> bool:
    """Collects in `unreadable` what does not load; False as soon as that is too much."""
    if not events or attempt(events) is not None:
        return True
    if len(events) == 1:
        unreadable.append(events[0])
        return len(unreadable) <= MAX_UNREADABLE
    half = len(events) // 2
    return _halve(events[:half], attempt, unreadable) and _halve(events[half:], attempt, unreadable)


def _document(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return None  # the caller tells what kloppy said of the file


def _events_of(provider: str, document: Any) -> Any:
    if provider == "statsbomb" and isinstance(document, list):
        return document
    if provider == "wyscout" and isinstance(document, dict) and isinstance(document.get("events"), list):
        return document["events"]
    return None


def _is_frame(provider: str, event: dict[str, Any]) -> bool:
    return provider == "statsbomb" and _name(event) in _STATSBOMB_FRAME


def _name(event: dict[str, Any]) -> str:
    kind = event.get("type") or event.get("eventName")
    name = kind.get("name") or kind.get("primary") if isinstance(kind, dict) else kind
    return str(name)
