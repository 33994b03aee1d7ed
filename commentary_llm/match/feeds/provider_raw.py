"""What kloppy leaves in providers' raw events and a commentator needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from commentary_llm.match.clock import SHOOTOUT_PERIOD
from commentary_llm.match.events import EventType, ShotOutcome, Situation

_Fields = dict[str, Any]

_WYSCOUT_OWN_GOAL_TAG = 102
_DATAFACTORY_OWN_GOAL = 10
_DATAFACTORY_PENALTY_FOULS = frozenset({31, 32})
_DATAFACTORY_KICKS: dict[int, tuple[EventType, ShotOutcome | None]] = {
    55: (EventType.GOAL, None),
    56: (EventType.SHOT, ShotOutcome.SAVED),
    57: (EventType.SHOT, ShotOutcome.OFF_TARGET),
    183: (EventType.SHOT, ShotOutcome.POST),
}
_OPTA_PENALTY_QUALIFIER = 9
_OPTA_FOUL = 4
_OPTA_MINUTES_ADDED_QUALIFIER = 277
_OPTA_FEEDS = frozenset({"opta", "statsperform"})


@dataclass
class Links:
    """Ids behind an event, by event id, where the raw data names them."""

    assist: dict[str, str] = field(default_factory=dict)
    goalkeeper: dict[str, str] = field(default_factory=dict)
    opponent: dict[str, str] = field(default_factory=dict)


def _raw(event: Any) -> dict[str, Any]:
    return event.raw_event if isinstance(event.raw_event, dict) else {}


def _statsbomb_type(event: Any) -> str | None:
    kind = _raw(event).get("type")
    return kind.get("name") if isinstance(kind, dict) else None


def is_own_goal(event: Any) -> bool:
    """A shot kloppy takes for a goal of the shooter's side (DataFactory)."""
    return event.event_type.name == "SHOT" and _raw(event).get("type") == _DATAFACTORY_OWN_GOAL


def played_on(event: Any) -> bool:
    """A foul after which the referee gave advantage, so that nobody has a free kick (StatsBomb)."""
    return bool((_raw(event).get("foul_committed") or {}).get("advantage"))


def knows(provider: str, event: Any) -> bool:
    """Whether `extra` or `links` makes use of a generic event, so that it does not count as skipped."""
    if event.event_type.name != "GENERIC":
        return False
    name = event.event_name
    return {
        "statsbomb": name in {"Foul Won", "Goal Keeper", "Injury Stoppage", "Offside"},
        "sportec": name == "Offside",
        "opta": name == "injury time announcement",
        "statsperform": name == "injury time announcement",
        "datafactory": name in {"offsides", "penaltyShootout"},
    }.get(provider, False)


def extra(provider: str, event: Any, other: Mapping[str, str]) -> Iterator[_Fields]:
    """Events told only by the raw data: the fields that differ from the event's own."""
    raw, name = _raw(event), event.event_type.name
    team = str(event.team.team_id) if event.team is not None else ""
    generic = name == "GENERIC"
    if provider == "statsbomb":
        if generic and event.event_name == "Injury Stoppage":
            yield {"type": EventType.INJURY}
        elif generic and event.event_name == "Offside":
            yield {"type": EventType.OFFSIDE}
        elif name == "FOUL_COMMITTED" and raw.get("foul_committed", {}).get("penalty") and team in other:
            yield _penalty(event, other[team])
    elif provider == "sportec":
        if generic and event.event_name == "Offside" and team:
            yield {"type": EventType.OFFSIDE}
    elif provider == "datafactory":
        if generic and event.event_name == "offsides":
            yield {"type": EventType.OFFSIDE}
        elif generic and event.event_name == "penaltyShootout" and raw.get("type") in _DATAFACTORY_KICKS:
            kind, outcome = _DATAFACTORY_KICKS[raw["type"]]
            yield {"type": kind, "outcome": outcome, "situation": Situation.PENALTY, "period": SHOOTOUT_PERIOD}
        elif name == "FOUL_COMMITTED" and raw.get("type") in _DATAFACTORY_PENALTY_FOULS and team in other:
            yield _penalty(event, other[team])
    elif provider == "wyscout":
        tags = {tag.get("id") for tag in raw.get("tags", ()) if isinstance(tag, dict)}
        if _WYSCOUT_OWN_GOAL_TAG in tags and name != "SHOT":
            yield {"type": EventType.OWN_GOAL, "event_id": f"{event.event_id}-own-goal"}
    elif generic and provider in _OPTA_FEEDS and event.event_name == "injury time announcement":
        minutes = str(event.raw_event.qualifiers.get(_OPTA_MINUTES_ADDED_QUALIFIER, ""))
        if minutes.isdigit():
            yield {"type": EventType.STOPPAGE_TIME, "minutes_added": int(minutes), "team": None, "player": None}
    elif (
        name == "FOUL_COMMITTED"
        and team in other
        and getattr(event.raw_event, "type_id", None) == _OPTA_FOUL
        and _OPTA_PENALTY_QUALIFIER in event.raw_event.qualifiers
    ):
        yield _penalty(event, other[team])


def _penalty(event: Any, team: str) -> _Fields:
    return {
        "event_id": f"{event.event_id}-penalty",
        "type": EventType.PENALTY_AWARDED,
        "team": team,
        "player": None,
        "x": None,
        "y": None,
    }


def links(provider: str, dataset: Any) -> Links:
    """Assists, goalkeepers and fouled players named by the raw data."""
    found = Links()
    if provider == "statsbomb":
        _statsbomb_links(dataset, found)
    elif provider == "sportec":
        for event in dataset.events:
            _sportec_links(event, found)
    elif provider == "wyscout":
        for event in dataset.events:
            keeper = (_raw(event).get("shot") or {}).get("goalkeeper")
            if isinstance(keeper, dict) and keeper.get("id"):
                found.goalkeeper[str(event.event_id)] = str(keeper["id"])
    return found


def _statsbomb_links(dataset: Any, found: Links) -> None:
    by_id = {raw["id"]: raw for raw in (_raw(event) for event in dataset.events) if "id" in raw}
    for event_id, raw in by_id.items():
        related = [by_id[i] for i in raw.get("related_events", ()) if i in by_id]
        kind = raw["type"]["name"]
        if kind == "Shot":
            passed = by_id.get(raw["shot"].get("key_pass_id") or "")
            if passed is not None and passed.get("pass", {}).get("goal_assist"):
                found.assist[event_id] = str(passed["player"]["id"])
            _first_player(found.goalkeeper, event_id, related, "Goal Keeper")
        elif kind == "Foul Committed":
            _first_player(found.opponent, event_id, related, "Foul Won")


def _first_player(into: dict[str, str], event_id: str, related: list[dict[str, Any]], kind: str) -> None:
    for raw in related:
        if raw["type"]["name"] == kind and "player" in raw:
            into[event_id] = str(raw["player"]["id"])
            return


def _sportec_links(event: Any, found: Links) -> None:
    attributes = _sportec_attributes(_raw(event))
    if attributes.get("AssistShotAtGoal"):
        found.assist[str(event.event_id)] = attributes["AssistShotAtGoal"]
    if attributes.get("Fouled"):
        found.opponent[str(event.event_id)] = attributes["Fouled"]


def _sportec_attributes(raw: Any) -> dict[str, str]:
    """All attributes of a DFL event, whose parts kloppy nests by element name."""
    flat: dict[str, str] = {}
    for key, value in raw.items() if isinstance(raw, dict) else ():
        if isinstance(value, dict):
            flat.update(_sportec_attributes(value))
        elif isinstance(value, str):
            flat[key] = value
    return flat
