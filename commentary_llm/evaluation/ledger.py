"""The auditor's own book of a match: raw events folded into plain facts, one `Moment` per event.

Nothing here is shared with the engine's match state or fact gate; two books kept apart are what makes an audit worth
having. The fold is simple and forgiving: events in match order, each counted once, nothing refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from commentary_llm.match.events import (
    CardType,
    EventType,
    MatchEvent,
    MatchInfo,
    ShotOutcome,
    Situation,
    VarDecision,
)
from commentary_llm.match.feeds import Recording

SHOOTOUT = 5
# A VAR decision that names nothing is about a goal at most so old.
_REVIEW_S = 300.0
# "Shortly before": what a line may still talk about.
RECENT_S = 120.0
SOON_S = 20.0
_PLACE_IN_MOMENT = {EventType.PERIOD_START: 0, EventType.PERIOD_END: 2, EventType.MATCH_END: 3}
_PLAYER_FIELDS = ("player", "player_on", "assist", "goalkeeper", "opponent", "receiver")
ATTEMPTS = frozenset({EventType.GOAL, EventType.OWN_GOAL, EventType.SHOT})


@dataclass(frozen=True)
class GoalEntry:
    """A goal in play. `team` is the side it counts for; `player` who put it in (into his own net if `own`)."""

    event: MatchEvent
    team: str
    player: str | None
    own: bool


@dataclass(frozen=True)
class Moment:
    """What holds right after `event`. Sides and players are ids; scores and counts are by side."""

    info: MatchInfo
    event: MatchEvent
    side: str | None  # acting side, told by the player where the event leaves it out
    score: dict[str, int]
    before: dict[str, int]  # score before the event
    history: tuple[tuple[int, int], ...]  # every (home, away) so far, this one last
    shootout: dict[str, int] | None
    kicks: tuple[tuple[str, str | None, bool], ...]  # side, taker, scored
    goals: tuple[GoalEntry, ...]
    cards: tuple[tuple[MatchEvent, str | None, CardType], ...]  # event, side, colour with second yellows told
    substitutions: tuple[MatchEvent, ...]
    attempts: tuple[MatchEvent, ...]  # goals, own goals and shots so far, this one last
    on_pitch: dict[str, frozenset[str]]
    formation_before: str | None  # the acting side's before the event: "4-3-3"
    sent_off: frozenset[str]
    recent: tuple[MatchEvent, ...]  # earlier events of this period no older than RECENT_S, oldest first
    reviewed: MatchEvent | None  # the goal, card or penalty a VAR event is about, where it can be told
    soon: tuple[MatchEvent, ...]  # what follows within SOON_S: a line may be spoken when it is known already
    next_period: int | None  # the period that follows this one, if the match goes on
    soon_over: bool  # no attempt follows: a shoot-out's last kick, or the match is over
    sides: dict[str, str] = field(default_factory=dict)  # player id -> side
    ended: bool = False

    @property
    def home(self) -> str:
        return self.info.home.id

    @property
    def away(self) -> str:
        return self.info.away.id

    def other(self, side: str) -> str:
        return self.away if side == self.home else self.home

    @property
    def gains(self) -> str | None:
        """The side a goal counts for (the other one's on an own goal); elsewhere the acting side."""
        if self.side is not None and self.event.type is EventType.OWN_GOAL:
            return self.other(self.side)
        return self.side

    @property
    def leader(self) -> str | None:
        home, away = self.score[self.home], self.score[self.away]
        return None if home == away else self.home if home > away else self.away

    @property
    def shootout_leader(self) -> str | None:
        if self.shootout is None or self.shootout[self.home] == self.shootout[self.away]:
            return None
        return max(self.shootout, key=lambda side: (self.shootout or {})[side])

    def goals_of(self, player: str) -> int:
        return sum(goal.player == player and not goal.own for goal in self.goals)

    def involved(self) -> frozenset[str]:
        """Players of the event itself; of what a review is about too."""
        return frozenset(players_of(self.event)) | frozenset(players_of(self.reviewed) if self.reviewed else ())

    def involved_recently(self) -> frozenset[str]:
        return frozenset(player for event in self.recent for player in players_of(event))

    def was(self, kind: EventType) -> MatchEvent | None:
        """The latest of the recent events of that kind."""
        return next((event for event in reversed(self.recent) if event.type is kind), None)

    def attempt_was(self, outcome: ShotOutcome) -> bool:
        """Whether the event, or one shortly before it, is a shot that ended so."""
        return any(event.outcome is outcome for event in (*self.recent, self.event))

    def situation_is(self, situation: Situation) -> bool:
        return self.event.situation is situation

    def keeper_of(self, side: str) -> str | None:
        """The goalkeeper on the pitch, where the line-up says who that is."""
        team = self.info.home if side == self.home else self.info.away
        found = [
            player.id
            for player in team.players
            if player.id in self.on_pitch[side] and "keeper" in (player.position or "").lower()
        ]
        return found[0] if len(found) == 1 else None


def players_of(event: MatchEvent) -> Iterator[str]:
    for name in _PLAYER_FIELDS:
        if (player := getattr(event, name)) is not None:
            yield player


def moments(recording: Recording) -> dict[str, Moment]:
    """Every event's moment, by event id. Duplicates are dropped; late events stand where they belong."""
    return {moment.event.event_id: moment for moment in _fold(recording)}


def _in_order(recording: Recording) -> list[MatchEvent]:
    unique = list({event.event_id: event for event in reversed(recording.events)}.values())[::-1]
    return sorted(unique, key=lambda e: (e.period, e.elapsed_s, _PLACE_IN_MOMENT.get(e.type, 1)))


def _fold(recording: Recording) -> Iterator[Moment]:
    info = recording.info
    home, away = info.home.id, info.away.id
    sides = {player.id: team.id for team in (info.home, info.away) for player in team.players}
    pitch = {team.id: frozenset(p.id for p in team.players if p.starter) for team in (info.home, info.away)}
    formations = {team.id: team.formation for team in (info.home, info.away)}
    goals: list[GoalEntry] = []
    kicks: list[tuple[str, str | None, bool]] = []
    cards: list[tuple[MatchEvent, str | None, CardType]] = []
    substitutions: list[MatchEvent] = []
    sent_off: set[str] = set()
    past: list[MatchEvent] = []
    history = [(0, 0)]
    ended = False
    events = _in_order(recording)
    for at, event in enumerate(events):
        side = event.team or (sides.get(event.player) if event.player else None)
        before = {team: sum(goal.team == team for goal in goals) for team in (home, away)}
        reviewed = None
        if event.type in ATTEMPTS and side is not None:
            if event.period == SHOOTOUT:
                kicks.append((side, event.player, event.type is EventType.GOAL))
            elif event.type is not EventType.SHOT:
                own = event.type is EventType.OWN_GOAL
                goals.append(GoalEntry(event, side if not own else away if side == home else home, event.player, own))
        elif event.type is EventType.CARD and event.card is not None:
            colour = event.card
            booked = any(e.player == event.player and kind is CardType.YELLOW for e, _, kind in cards)
            if colour is CardType.YELLOW and event.player is not None and booked:
                colour = CardType.SECOND_YELLOW
            cards.append((event, side, colour))
            if colour is not CardType.YELLOW and event.player is not None and side is not None:
                sent_off.add(event.player)
                pitch[side] = pitch[side] - {event.player}
        elif event.type is EventType.SUBSTITUTION and side is not None and event.player and event.player_on:
            substitutions.append(event)
            pitch[side] = (pitch[side] - {event.player}) | {event.player_on}
        elif event.type in (EventType.VAR_REVIEW, EventType.VAR_DECISION):
            reviewed = _reviewed(event, past)
            if event.decision is VarDecision.GOAL_DISALLOWED and reviewed is not None:
                goals = [goal for goal in goals if goal.event is not reviewed]
            if event.decision is VarDecision.CARD_RESCINDED and reviewed is not None:
                cards = [card for card in cards if card[0] is not reviewed]
                if reviewed.player in sent_off and side is not None:
                    sent_off.discard(reviewed.player)
                    pitch[side] = pitch[side] | {reviewed.player}
        ended = ended or event.type is EventType.MATCH_END
        score = {team: sum(goal.team == team for goal in goals) for team in (home, away)}
        if (score[home], score[away]) != history[-1]:
            history.append((score[home], score[away]))
        shootout = None
        if event.period == SHOOTOUT:
            shootout = {team: sum(scored for kicker, _, scored in kicks if kicker == team) for team in (home, away)}
        yield Moment(
            info=info,
            event=event,
            side=side,
            score=score,
            before=before,
            history=tuple(history),
            shootout=shootout,
            kicks=tuple(kicks),
            goals=tuple(goals),
            cards=tuple(cards),
            substitutions=tuple(substitutions),
            attempts=tuple(e for e in (*past, event) if e.type in ATTEMPTS),
            on_pitch=dict(pitch),
            formation_before=formations.get(side or ""),
            sent_off=frozenset(sent_off),
            recent=tuple(e for e in past if e.period == event.period and event.elapsed_s - e.elapsed_s <= RECENT_S),
            reviewed=reviewed,
            soon=tuple(
                e
                for e in events[at + 1 :]
                if e.period == event.period
                and (e.elapsed_s - event.elapsed_s <= SOON_S or (event.period == SHOOTOUT and e is events[at + 1]))
            ),
            next_period=next((e.period for e in events[at + 1 :] if e.period > event.period), None),
            soon_over=not any(e.type in ATTEMPTS for e in events[at + 1 :]),
            sides=sides,
            ended=ended,
        )
        past.append(event)
        if event.type is EventType.FORMATION and side is not None:
            formations[side] = event.formation


def _reviewed(event: MatchEvent, past: list[MatchEvent]) -> MatchEvent | None:
    """What a review or decision is about: what it names, else the latest goal, card or penalty of the last minutes."""
    if event.cancels is not None:
        return next((earlier for earlier in past if earlier.event_id == event.cancels), None)
    kinds: tuple[EventType, ...] = (EventType.GOAL, EventType.OWN_GOAL, EventType.PENALTY_AWARDED, EventType.CARD)
    if event.decision in (VarDecision.GOAL_DISALLOWED, VarDecision.GOAL_STANDS):
        kinds = kinds[:2]
    elif event.decision in (VarDecision.PENALTY_CANCELLED, VarDecision.PENALTY_STANDS):
        kinds = kinds[2:3]
    elif event.decision is VarDecision.CARD_RESCINDED:
        kinds = kinds[3:]
    for earlier in reversed(past):
        if earlier.period != event.period or event.elapsed_s - earlier.elapsed_s > _REVIEW_S:
            return None
        if earlier.type in kinds and (event.player is None or earlier.player in (None, event.player)):
            return earlier
    return None
