"""Joining provider events that tell one thing together: assists, saves and offsides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from commentary_llm.match.events import EventType, ShotOutcome
from commentary_llm.match.feeds.provider_raw import Links

_Fields = dict[str, Any]

# A pass and the goal it makes, a shot and its save, an offside pass and the flag: so far apart at most.
_ASSIST_S, _SAVE_S, _OFFSIDE_S = 30.0, 3.0, 5.0
_ATTEMPTS = frozenset({EventType.SHOT, EventType.GOAL, EventType.OWN_GOAL})


def link(found: list[_Fields], links: Links, other: Mapping[str, str], skipped: Counter[str]) -> list[_Fields]:
    """Fills in assists, goalkeepers and fouled players; drops saves told by a shot and offsides told twice.

    `found` is in match order.
    """
    kept: list[_Fields] = []
    assisting: _Fields | None = None
    for fields in found:
        event_id, kind = fields["event_id"], fields["type"]
        if kind in _ATTEMPTS:
            fields["goalkeeper"] = links.goalkeeper.get(event_id)
        if kind is EventType.GOAL:
            assist = links.assist.get(event_id)
            if assist is None and _same_move(assisting, fields):
                assist = assisting["player"] if assisting else None
            fields["assist"] = assist if assist != fields.get("player") else None
            assisting = None
        elif kind is EventType.FOUL:
            fields["opponent"] = links.opponent.get(event_id)
        elif fields.get("_assist"):
            assisting = fields
        if kind is EventType.OFFSIDE and _told_offside(kept, fields):
            skipped["offside told twice"] += 1
            continue
        kept.append(fields)
    return _without_told_saves(kept, other, skipped)


def _same_move(passed: _Fields | None, goal: _Fields) -> bool:
    return (
        passed is not None
        and passed["period"] == goal["period"]
        and passed["team"] == goal["team"]
        and goal["elapsed_s"] - passed["elapsed_s"] <= _ASSIST_S
    )


def _told_offside(kept: list[_Fields], offside: _Fields) -> bool:
    for fields in reversed(kept):
        if fields["period"] != offside["period"] or offside["elapsed_s"] - fields["elapsed_s"] > _OFFSIDE_S:
            return False
        if fields["type"] is EventType.OFFSIDE and fields["team"] == offside["team"]:
            fields["player"] = fields["player"] or offside["player"]
            return True
    return False


def _without_told_saves(found: list[_Fields], other: Mapping[str, str], skipped: Counter[str]) -> list[_Fields]:
    """A keeper's action beside a shot belongs to the shot; one beside a goal or a shot wide stopped nothing."""
    attempts = [fields for fields in found if fields["type"] in _ATTEMPTS]
    kept: list[_Fields] = []
    for fields in found:
        if fields["type"] is EventType.SAVE:
            attempt = _nearest(attempts, fields, other)
            if attempt is not None and (fields["_action"].startswith("SAVE") or _saved(attempt)):
                attempt["goalkeeper"] = attempt.get("goalkeeper") or fields["player"]
                skipped["save told by its shot"] += 1
                continue
        kept.append(fields)
    return kept


def _saved(attempt: _Fields) -> bool:
    return attempt.get("outcome") is ShotOutcome.SAVED


def _nearest(attempts: list[_Fields], save: _Fields, other: Mapping[str, str]) -> _Fields | None:
    near = [
        attempt
        for attempt in attempts
        if attempt["period"] == save["period"]
        and abs(attempt["elapsed_s"] - save["elapsed_s"]) <= _SAVE_S
        and other.get(save["team"] or "") == attempt["team"]
    ]
    return min(near, key=lambda attempt: abs(attempt["elapsed_s"] - save["elapsed_s"]), default=None)
