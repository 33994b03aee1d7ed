"""kloppy's events, and what it leaves in the raw ones, as our `MatchEvent`s."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from commentary_llm.match.clock import PERIOD_START_MIN, SHOOTOUT_PERIOD
from commentary_llm.match.events import (
    BodyPart,
    CardType,
    EventType,
    MatchEvent,
    MatchInfo,
    ShotOutcome,
    Situation,
)
from commentary_llm.match.feeds import provider_raw
from commentary_llm.match.feeds.provider_links import link

_Fields = dict[str, Any]

_SITUATIONS = {
    "GOAL_KICK": Situation.GOAL_KICK,
    "FREE_KICK": Situation.FREE_KICK,
    "THROW_IN": Situation.THROW_IN,
    "CORNER_KICK": Situation.CORNER,
    "PENALTY": Situation.PENALTY,
    "KICK_OFF": Situation.KICK_OFF,
}
_RESTARTS = {
    Situation.GOAL_KICK: EventType.GOAL_KICK,
    Situation.FREE_KICK: EventType.FREE_KICK,
    Situation.THROW_IN: EventType.THROW_IN,
    Situation.CORNER: EventType.CORNER,
}
_BODY_PARTS = {
    "RIGHT_FOOT": BodyPart.RIGHT_FOOT,
    "LEFT_FOOT": BodyPart.LEFT_FOOT,
    "HEAD": BodyPart.HEAD,
    "HEAD_OTHER": BodyPart.HEAD,
}
_OUTCOMES = {
    "SAVED": ShotOutcome.SAVED,
    "OFF_TARGET": ShotOutcome.OFF_TARGET,
    "BLOCKED": ShotOutcome.BLOCKED,
    "POST": ShotOutcome.POST,
}
_CARDS = {
    "FIRST_YELLOW": CardType.YELLOW,
    "SECOND_YELLOW": CardType.SECOND_YELLOW,
    "RED": CardType.RED,
}
# These stop an attempt; a ball picked up, a cross claimed or punched and a through ball smothered are no saves.
_KEEPER_STOPS = frozenset({"SAVE", "SAVE_ATTEMPT", "REFLEX"})


def map_events(provider: str, dataset: Any, info: MatchInfo, skipped: Counter[str]) -> list[MatchEvent]:
    """Events in match order; what is left out is counted in `skipped` by name or reason."""
    sides = {p.id: team.id for team in (info.home, info.away) for p in team.players}
    other = {info.home.id: info.away.id, info.away.id: info.home.id}
    turned = _turned_in(provider, dataset)
    found: list[_Fields] = []
    for event in dataset.events:
        elapsed_s = _elapsed_s(event)
        if event.period.id not in PERIOD_START_MIN or elapsed_s is None:
            skipped["no usable time"] += 1
            continue
        fields = _mapped(event, skipped, provider)
        for raw_fields in provider_raw.extra(provider, event, other):
            found.append({**_base(event, elapsed_s, turned(event)), **raw_fields})
        if fields is not None:
            found.append({**_base(event, elapsed_s, turned(event)), **fields})
    found.sort(key=lambda fields: (fields["period"], fields["elapsed_s"]))
    for fields in found:
        _right_side(fields, sides)
    found = link(found, provider_raw.links(provider, dataset), other, skipped)
    found = _without_old_shapes(found, info, skipped)
    found.extend(_periods(dataset, found, info))
    return _validated(found, skipped)


def _turned_in(provider: str, dataset: Any) -> Callable[[Any], bool]:
    """Whether an event's position has to be turned round to be seen from the acting side."""
    if dataset.metadata.orientation.name == "ACTION_EXECUTING_TEAM":
        return lambda event: False
    if provider == "datafactory":
        # A fixed pitch on which the home side attacks to the right in odd periods, though kloppy says in all.
        home = dataset.metadata.teams[0]
        return lambda event: event.team is not None and (event.team is home) == (event.period.id % 2 == 0)
    return lambda event: bool(event.attacking_direction.name == "RTL")


def _base(event: Any, elapsed_s: float, turned: bool) -> _Fields:
    fields: _Fields = {
        "event_id": str(event.event_id),
        "period": event.period.id,
        "elapsed_s": elapsed_s,
        "team": str(event.team.team_id) if event.team is not None else None,
        "player": str(event.player.player_id) if event.player is not None else None,
    }
    point = event.coordinates
    if point is not None and point.x is not None and point.y is not None:
        # kloppy: x and y from 0 to 1 from the top left corner. Whoever attacks to the left sees the pitch turned.
        fields["x"], fields["y"] = (
            round(min(1.0, max(0.0, 1 - value if turned else value)), 4) for value in (point.x, point.y)
        )
    return fields


def _elapsed_s(event: Any) -> float | None:
    """Seconds since the period's kick-off; None where the file's time makes no sense."""
    readings = [event.timestamp.total_seconds()]
    minute, second = getattr(event.raw_event, "time_min", None), getattr(event.raw_event, "time_sec", None)
    if minute is not None and second is not None:
        # Opta's match clock first; its wall-clock stamps say when somebody typed, after a correction years later.
        readings.insert(0, float((minute - PERIOD_START_MIN.get(event.period.id, 0)) * 60 + second))
    return next((round(reading, 3) for reading in readings if 0 <= reading <= 7200), None)


def _qualifier(event: Any, kind: str) -> str | None:
    for qualifier in event.qualifiers or ():
        if type(qualifier).__name__ == kind:
            return getattr(qualifier.value, "name", str(qualifier.value))
    return None


def _play(event: Any) -> _Fields:
    fields: _Fields = {}
    set_piece = _qualifier(event, "SetPieceQualifier")
    if set_piece in _SITUATIONS:
        fields["situation"] = _SITUATIONS[set_piece]
    elif _qualifier(event, "CounterAttackQualifier"):
        fields["situation"] = Situation.COUNTER_ATTACK
    body_part = _qualifier(event, "BodyPartQualifier")
    if body_part is not None:
        fields["body_part"] = _BODY_PARTS.get(body_part, BodyPart.OTHER)
    return fields


def _result(event: Any) -> str | None:
    return event.result.name if event.result is not None else None


def _mapped(event: Any, skipped: Counter[str], provider: str) -> _Fields | None:
    name = event.event_type.name
    mapper = _MAPPERS.get(name)
    fields = mapper(event) if mapper is not None else None
    if fields is None and not provider_raw.knows(provider, event):
        skipped[str(event.event_name) if name == "GENERIC" else name.lower()] += 1
    return fields


def _shot(event: Any) -> _Fields:
    fields = _play(event)
    result = _result(event)
    if event.period.id == SHOOTOUT_PERIOD:
        fields["situation"] = Situation.PENALTY
    fields.setdefault("situation", Situation.OPEN_PLAY)
    if result == "OWN_GOAL" or provider_raw.is_own_goal(event):
        return {"type": EventType.OWN_GOAL}
    if result == "GOAL":
        return {"type": EventType.GOAL, **fields}
    return {"type": EventType.SHOT, "outcome": _OUTCOMES.get(result or ""), **fields}


def _pass(event: Any) -> _Fields:
    fields = _play(event)
    result = _result(event)
    receiver = event.receiver_player
    receiver_id = str(receiver.player_id) if receiver is not None else None
    if result == "OFFSIDE":
        return {"type": EventType.OFFSIDE, "player": receiver_id}
    kind = _RESTARTS.get(fields.get("situation", Situation.OPEN_PLAY), EventType.PASS)
    if result == "COMPLETE":
        fields["receiver"] = receiver_id
    fields["completed"] = result == "COMPLETE" if result is not None else None
    passes = {q.value.name for q in event.qualifiers or () if type(q).__name__ == "PassQualifier"}
    return {"type": kind, "_assist": "ASSIST" in passes, **fields}


def _duel(event: Any) -> _Fields | None:
    kinds = {q.value.name for q in event.qualifiers or () if type(q).__name__ == "DuelQualifier"}
    if not kinds & {"TACKLE", "SLIDING_TACKLE"}:
        return None
    return {"type": EventType.TACKLE, "completed": _result(event) == "WON"}


def _substitution(event: Any) -> _Fields:
    replacement = event.replacement_player
    return {"type": EventType.SUBSTITUTION, "player_on": str(replacement.player_id) if replacement else None}


def _keeper(event: Any) -> _Fields | None:
    action = _qualifier(event, "GoalkeeperQualifier")
    return {"type": EventType.SAVE, "_action": action} if action in _KEEPER_STOPS else None


def _formation(event: Any) -> _Fields | None:
    value = event.formation_type.value if event.formation_type is not None else ""
    return {"type": EventType.FORMATION, "formation": value} if value[:1].isdigit() else None


def _foul(event: Any) -> _Fields | None:
    return None if provider_raw.played_on(event) else {"type": EventType.FOUL}


def _simple(kind: EventType) -> Callable[[Any], _Fields]:
    return lambda event: {"type": kind, **_play(event)} if kind is EventType.CLEARANCE else {"type": kind}


_MAPPERS: dict[str, Callable[[Any], _Fields | None]] = {
    "SHOT": _shot,
    "PASS": _pass,
    "DUEL": _duel,
    "SUBSTITUTION": _substitution,
    "GOALKEEPER": _keeper,
    "FORMATION_CHANGE": _formation,
    "CARD": lambda event: {"type": EventType.CARD, "card": _CARDS[event.card_type.name]} if event.card_type else None,
    "TAKE_ON": lambda event: {"type": EventType.DRIBBLE, "completed": _result(event) == "COMPLETE"},
    "FOUL_COMMITTED": _foul,
    "INTERCEPTION": _simple(EventType.INTERCEPTION),
    "CLEARANCE": _simple(EventType.CLEARANCE),
    "CARRY": _simple(EventType.CARRY),
}


def _without_old_shapes(found: list[_Fields], info: MatchInfo, skipped: Counter[str]) -> list[_Fields]:
    """Players who change places within a formation are no change of formation."""
    shapes = {team.id: team.formation for team in (info.home, info.away)}
    kept: list[_Fields] = []
    for fields in found:
        if fields["type"] is EventType.FORMATION:
            if shapes.get(fields["team"]) == fields["formation"]:
                skipped["formation as before"] += 1
                continue
            shapes[fields["team"]] = fields["formation"]
        kept.append(fields)
    return kept


def _right_side(fields: _Fields, sides: dict[str, str]) -> None:
    """A player who is not the acting side's (or on no line-up) is left out: the side is surer than the name."""
    for role in ("player", "player_on", "assist"):
        if fields.get(role) is not None and sides.get(fields[role]) != fields.get("team"):
            if fields.get("team") is None and fields[role] in sides:
                fields["team"] = sides[fields[role]]
            else:
                fields[role] = None


def _periods(dataset: Any, found: list[_Fields], info: MatchInfo) -> list[_Fields]:
    last: dict[int, float] = {}
    for fields in found:
        last[fields["period"]] = max(last.get(fields["period"], 0.0), fields["elapsed_s"])
    marks: list[_Fields] = []
    for period in sorted((p for p in dataset.metadata.periods if p.id in last), key=lambda p: p.id):
        length_s = 0.0
        if period.start_timestamp is not None and period.end_timestamp is not None:
            length_s = (period.end_timestamp - period.start_timestamp).total_seconds()
        end_s = max(last[period.id], length_s if 0 < length_s <= 7200 else 0.0)
        number = period.id
        marks.append(_mark(f"period-{number}-start", EventType.PERIOD_START, number, 0.0))
        marks.append(_mark(f"period-{number}-end", EventType.PERIOD_END, number, round(end_s, 3)))
    if marks:
        marks.append(_mark("match-end", EventType.MATCH_END, marks[-1]["period"], marks[-1]["elapsed_s"]))
    return marks


def _mark(event_id: str, kind: EventType, period: int, elapsed_s: float) -> _Fields:
    return {"event_id": event_id, "type": kind, "period": period, "elapsed_s": elapsed_s}


_ORDER = {EventType.PERIOD_START: 0, EventType.PERIOD_END: 2, EventType.MATCH_END: 3}


def _validated(found: list[_Fields], skipped: Counter[str]) -> list[MatchEvent]:
    found.sort(key=lambda fields: (fields["period"], fields["elapsed_s"], _ORDER.get(fields["type"], 1)))
    events: list[MatchEvent] = []
    kinds: dict[str, set[EventType]] = {}
    for fields in found:
        kind, event_id = fields["type"], fields["event_id"]
        seen = kinds.setdefault(event_id, set())
        if kind in seen:
            skipped["repeated event id"] += 1
            continue
        if seen:  # kloppy tells a foul and its card, for one, under one id
            fields["event_id"] = f"{event_id}-{kind.value}"
        try:
            event = MatchEvent(**{key: value for key, value in fields.items() if not key.startswith("_")})
        except ValidationError as error:
            skipped[f"unusable {kind.value}: {error.errors()[0]['msg'].removeprefix('Value error, ')}"] += 1
            continue
        seen.add(kind)
        events.append(event)
    return events
