"""`Match`: the state of a running match, kept right whatever order its events arrive in."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from commentary_llm.ground.errors import InputError
from commentary_llm.match.events import EventType, MatchEvent, MatchInfo
from commentary_llm.match.state import MatchState

# Events set aside because they do not fit yet; beyond this the oldest is given up.
MAX_HELD = 64

_Key = tuple[int, float, int]
# At one and the same moment: the kick-off first, the whistle last, anything else as it arrived.
_RANK = {EventType.PERIOD_START: 0, EventType.PERIOD_END: 2, EventType.MATCH_END: 3}


class Arrival(str, Enum):
    """How an accepted event arrived."""

    NEW = "new"  # the newest so far
    DUPLICATE = "duplicate"  # its id was known: ignored
    LATE = "late"  # older than the newest: put where it belongs


@dataclass(frozen=True)
class Accepted:
    """`state_after` is the match as it stands now, everything newer than a late event included.

    `recovered`: events refused before that fit now, in match order; they count in `state_after`.
    """

    state_after: MatchState
    kind: Arrival
    recovered: tuple[MatchEvent, ...] = ()


class Match:
    """Takes a tracker's events and holds the state they fold into. Not thread-safe.

    Events are ordered by (period, elapsed_s); of several at one moment the first to arrive comes first. Duplicates are
    told by `event_id`. An event that contradicts the others is refused, and set aside in case it only came too early
    (a second goal before the first): as soon as the set-aside events fit with a later arrival, they are taken in. Any
    arrival order of one consistent stream therefore ends in the same state.
    """

    def __init__(self, info: MatchInfo) -> None:
        """Raises InputError if a line-up is missing."""
        self.info = info
        self.accepted = 0
        self.duplicates = 0
        self.late = 0
        self.rejected = 0
        self._initial = MatchState.initial(info)
        self._events: list[MatchEvent] = []
        self._keys: list[_Key] = []
        self._states: list[MatchState] = []
        self._ids: set[str] = set()
        self._held: dict[str, tuple[MatchEvent, InputError]] = {}

    @property
    def state(self) -> MatchState:
        """The match as it stands."""
        return self._states[-1] if self._states else self._initial

    @property
    def events(self) -> tuple[MatchEvent, ...]:
        """Everything accepted, in match order."""
        return tuple(self._events)

    @property
    def held(self) -> tuple[tuple[MatchEvent, InputError], ...]:
        """Refused events that may still fit, each with what was wrong when it arrived."""
        return tuple(self._held.values())

    def accept(self, event: MatchEvent) -> Accepted:
        """Takes one event in. Raises InputError if it is of another match, speaks of people not on the line-ups, or
        contradicts the events before or after it; the state is then as it was.
        """
        if event.event_id in self._ids:
            self.duplicates += 1
            return Accepted(self.state, Arrival.DUPLICATE)
        try:
            self._check_belongs(event)
        except InputError:
            self.rejected += 1
            raise
        self._held.pop(event.event_id, None)
        late = bool(self._keys) and _key(event) < self._keys[-1]
        recovered: tuple[MatchEvent, ...] = ()
        try:
            self._insert([event])
        except InputError as error:
            # It may complete a set of which no member fits alone.
            if not self._held or not self._take([event, *self._held_events()]):
                self.rejected += 1
                self._hold(event, error)
                raise
            recovered = self._release(self._held_events())
        else:
            recovered = self._retry_held()
        self.late += late
        return Accepted(self.state, Arrival.LATE if late else Arrival.NEW, recovered)

    def _check_belongs(self, event: MatchEvent) -> None:
        if event.match_id is not None and event.match_id != self.info.id:
            raise InputError(
                f"event {event.event_id!r} is of match {event.match_id!r}, but this is match {self.info.id!r}; "
                "send it to its own match, or leave match_id out"
            )
        self._initial.roster.check(event)

    def _held_events(self) -> list[MatchEvent]:
        return [event for event, _ in self._held.values()]

    def _hold(self, event: MatchEvent, error: InputError) -> None:
        if len(self._held) >= MAX_HELD:
            self._held.pop(next(iter(self._held)))
        self._held[event.event_id] = (event, error)

    def _release(self, events: Sequence[MatchEvent]) -> tuple[MatchEvent, ...]:
        for event in events:
            del self._held[event.event_id]
        self.late += len(events)
        return tuple(sorted(events, key=_key))

    def _retry_held(self) -> tuple[MatchEvent, ...]:
        held = self._held_events()
        if not held:
            return ()
        if self._take(held):
            return self._release(held)
        recovered: list[MatchEvent] = []
        for event in sorted(held, key=_key):
            if self._take([event]):
                recovered.append(event)
        return self._release(recovered)

    def _take(self, events: Sequence[MatchEvent]) -> bool:
        try:
            self._insert(events)
        except InputError:
            return False
        return True

    def _insert(self, new: Sequence[MatchEvent]) -> None:
        """Puts events in their places and folds anew from the first of them; all or nothing."""
        if len(new) == 1 and (not self._keys or _key(new[0]) >= self._keys[-1]):
            state = self.state.apply(new[0])
            self._events.append(new[0])
            self._keys.append(_key(new[0]))
            self._states.append(state)
        else:
            keys, events = self._keys.copy(), self._events.copy()
            first = len(keys)
            for event in new:
                at = bisect_right(keys, _key(event))
                keys.insert(at, _key(event))
                events.insert(at, event)
                first = min(first, at)
            states = self._states[:first]
            state = states[-1] if states else self._initial
            for event in events[first:]:
                try:
                    state = state.apply(event)
                except InputError as error:
                    if any(event is one for one in new):
                        raise
                    placed = ", ".join(repr(one.event_id) for one in new)
                    raise InputError(f"event {placed} contradicts what came after it: {error}") from error
                states.append(state)
            self._keys, self._events, self._states = keys, events, states
        self._ids.update(event.event_id for event in new)
        self.accepted += len(new)


def _key(event: MatchEvent) -> _Key:
    return event.period, event.elapsed_s, _RANK.get(event.type, 1)
