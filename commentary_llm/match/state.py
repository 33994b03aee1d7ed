"""The match as its events tell it: an immutable state and one pure step, `MatchState.apply`.

Strict about what would put a falsehood on air; raises InputError, naming the event, for
- a team or player that is not on the line-ups, or a player acting for the wrong side;
- a goal by a man sent off or substituted off, a goal after the end, an own goal in a shoot-out;
- a substitution of a man who is not on the pitch, or of one coming on who is on, was off before or was sent off;
- a further card, minutes later, for a man sent off;
- a VAR decision that cancels what does not stand;
- a claimed score that differs from the goals that stand.

Tolerant where feeds are untidy:
- periods need no start event: the first event of a period starts it;
- a goal, card or shot may leave out the player (not confirmed yet, or staff for a card), and `team` where the player
  tells it;
- a player on the bench may act (his substitution was lost or comes late): the act counts, the line-up stays;
- a second yellow may come as `second_yellow`, as another `yellow`, or as either with a `red` beside it within two
  minutes: one booking, with the ids of the others kept;
- `goal_disallowed`, `penalty_cancelled` and `card_rescinded` without `cancels` take back the latest fitting event of
  the last five minutes; if there is none (the feed never reported it) nothing changes;
- cards, substitutions and decisions during a break or after the end are taken as they come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from commentary_llm.ground.errors import InputError
from commentary_llm.match import corrections, incidents
from commentary_llm.match.clock import SHOOTOUT_PERIOD, MatchTime
from commentary_llm.match.events import CardType, EventType, MatchEvent, MatchInfo, Player, Score, Team
from commentary_llm.match.roster import Roster
from commentary_llm.match.tally import (
    Booking,
    Goal,
    GoalContext,
    GoalEffect,
    Penalty,
    Phase,
    ShootoutKick,
    Substitution,
)

__all__ = [
    "RECENT_EVENTS",
    "Booking",
    "Goal",
    "GoalContext",
    "GoalEffect",
    "MatchState",
    "Penalty",
    "Phase",
    "ShootoutKick",
    "Substitution",
]

RECENT_EVENTS = 12
_ROUTINE = frozenset(
    {
        EventType.PASS,
        EventType.CARRY,
        EventType.THROW_IN,
        EventType.GOAL_KICK,
        EventType.TACKLE,
        EventType.INTERCEPTION,
        EventType.CLEARANCE,
        EventType.DRIBBLE,
    }
)


@dataclass(frozen=True)
class MatchState:
    """Everything that holds right after `last_event`. Team and player values are ids of `info`."""

    info: MatchInfo
    time: MatchTime | None = None
    phase: Phase = Phase.PRE_MATCH
    score: Score = field(default_factory=lambda: Score(home=0, away=0))
    shootout: Score | None = None  # kicks scored, apart from `score`; None before a shoot-out
    goals: tuple[Goal, ...] = ()  # standing ones
    disallowed: tuple[Goal, ...] = ()
    cards: tuple[Booking, ...] = ()
    penalties: tuple[Penalty, ...] = ()  # awarded in play and not cancelled
    substitutions: tuple[Substitution, ...] = ()
    kicks: tuple[ShootoutKick, ...] = ()
    on_pitch: Mapping[str, frozenset[str]] = field(default_factory=dict)  # team id -> player ids
    sent_off: frozenset[str] = frozenset()
    formations: Mapping[str, str | None] = field(default_factory=dict)  # team id -> "4-3-3"
    stoppage_minutes: Mapping[int, int] = field(default_factory=dict)  # period -> minutes on the board
    recent: tuple[MatchEvent, ...] = ()  # the last RECENT_EVENTS worth mentioning, oldest first
    last_event: MatchEvent | None = None
    roster: Roster = field(default=None, compare=False, repr=False)  # type: ignore[assignment]  # set by initial()

    @classmethod
    def initial(cls, info: MatchInfo) -> MatchState:
        """The state before kick-off: starters on the pitch, 0-0. Raises InputError if a line-up is missing."""
        roster = Roster(info)
        return cls(
            info=info,
            on_pitch={team.id: roster.starters(team.id) for team in (info.home, info.away)},
            formations={team.id: team.formation for team in (info.home, info.away)},
            roster=roster,
        )

    def apply(self, event: MatchEvent) -> MatchState:
        """The state after `event`; `self` is untouched. Raises InputError as the module describes."""
        team = self.roster.check(event)
        time = MatchTime(event.period, event.elapsed_s)
        after = self._advance(event, time)
        kind = event.type
        if kind in (EventType.GOAL, EventType.SHOT) and event.period == SHOOTOUT_PERIOD:
            after = incidents.shootout_kick(after, event, team)
        elif kind in (EventType.GOAL, EventType.OWN_GOAL):
            after = incidents.goal(after, event, team, time)
        elif kind is EventType.CARD:
            after = incidents.card(after, event, team, time)
        elif kind is EventType.SUBSTITUTION:
            after = incidents.substitution(after, event, team, time)
        elif kind is EventType.PENALTY_AWARDED and team is not None:
            after = replace(after, penalties=(*after.penalties, Penalty(event.event_id, team, time)))
        elif kind is EventType.VAR_DECISION:
            after = corrections.take_back(after, event, team, time)
        elif kind is EventType.STOPPAGE_TIME and event.minutes_added is not None:
            after = replace(after, stoppage_minutes={**after.stoppage_minutes, event.period: event.minutes_added})
        elif kind is EventType.FORMATION and team is not None and event.formation is not None:
            after = replace(after, formations={**after.formations, team: event.formation})
        if event.score is not None:
            after._check_claim(event, before=self.score)
        return after

    def _advance(self, event: MatchEvent, time: MatchTime) -> MatchState:
        phase = self.phase
        new_period = self.time is None or event.period > self.time.period
        if event.type is EventType.MATCH_END:
            phase = Phase.ENDED
        elif phase is not Phase.ENDED:
            if event.type is EventType.PERIOD_END:
                phase = Phase.BREAK
            elif new_period or event.type is EventType.PERIOD_START:
                phase = Phase.SHOOTOUT if event.period == SHOOTOUT_PERIOD else Phase.PLAYING
        shootout = self.shootout
        if shootout is None and phase is Phase.SHOOTOUT:
            shootout = Score(home=0, away=0)
        recent = self.recent if event.type in _ROUTINE else (*self.recent[1 - RECENT_EVENTS :], event)
        latest = time if self.time is None else max(self.time, time)
        return replace(self, time=latest, phase=phase, shootout=shootout, recent=recent, last_event=event)

    def _check_claim(self, event: MatchEvent, before: Score) -> None:
        claim = event.score
        assert claim is not None
        if claim == self.score:
            return
        claimed, held = f"{claim.home}-{claim.away}", f"{self.score.home}-{self.score.away}"
        what = f"event {event.event_id!r} claims the score {claimed}, but the goals that stand make it {held}"
        if claim.home < before.home or claim.away < before.away:
            raise InputError(
                f"{what}: a score goes back only by a var_decision that takes a goal back; report that event first"
            )
        raise InputError(f"{what}: report the missing goal first, or mend the score of this event")

    # Who is who

    def team(self, team_id: str) -> Team:
        """The team with that id; KeyError if neither side has it."""
        return self.roster.teams[team_id]

    def player(self, player_id: str) -> Player:
        """The player with that id; KeyError if not on the line-ups."""
        return self.roster.players[player_id]

    def team_of(self, player_id: str) -> Team:
        """The side a player is of; KeyError if not on the line-ups."""
        return self.roster.teams[self.roster.side[player_id]]

    def opponent_of(self, team_id: str) -> Team:
        return self.roster.teams[self.roster.opponent[team_id]]

    def goalkeeper_of(self, team_id: str) -> Player | None:
        """Who stands in goal, as far as the line-up tells positions."""
        keepers = (self.player(p) for p in sorted(self.on_pitch[team_id]))
        return next((p for p in keepers if p.position and "goalkeeper" in p.position.lower()), None)

    # What stands

    def goals_by(self, player_id: str) -> int:
        """Goals of a player that stand; own goals and shoot-out kicks do not count."""
        return sum(goal.player == player_id and not goal.own_goal for goal in self.goals)

    def score_of(self, team_id: str) -> int:
        self.team(team_id)
        return self.score.home if team_id == self.info.home.id else self.score.away

    def leader(self) -> str | None:
        """Id of the side ahead on goals, None when level (shoot-out apart)."""
        return self._ahead(self.score)

    def winner(self) -> str | None:
        """Once the match has ended, the id of the side that won it, a shoot-out included; None for a draw."""
        if self.phase is not Phase.ENDED:
            return None
        return self.leader() or (self._ahead(self.shootout) if self.shootout else None)

    def _ahead(self, score: Score) -> str | None:
        if score.home == score.away:
            return None
        return self.info.home.id if score.home > score.away else self.info.away.id

    def yellow_cards(self, player_id: str) -> int:
        """0, 1 or 2 (a second yellow counts as two even if the feed left out the first)."""
        held = [booking.card for booking in self.cards if booking.player == player_id]
        return 2 if CardType.SECOND_YELLOW in held else held.count(CardType.YELLOW)

    def goal_context(self, event_id: str | None = None) -> GoalContext | None:
        """What a standing goal did to the match: by default the last one. None if it does not stand."""
        home, away, worst = 0, 0, {self.info.home.id: 0, self.info.away.id: 0}
        wanted = event_id if event_id is not None else (self.goals[-1].event_id if self.goals else None)
        tally: dict[str, int] = {}
        for goal in self.goals:
            before = Score(home=home, away=away)
            at_home = goal.team == self.info.home.id
            margin = home - away if at_home else away - home
            home, away = home + at_home, away + (not at_home)
            if goal.player is not None and not goal.own_goal:
                tally[goal.player] = tally.get(goal.player, 0) + 1
            if goal.event_id == wanted:
                effect = (
                    GoalEffect.GO_AHEAD
                    if margin == 0
                    else GoalEffect.EQUALISER
                    if margin == -1
                    else GoalEffect.EXTENDS
                    if margin > 0
                    else GoalEffect.REDUCES
                )
                overcome = worst[goal.team] if effect in (GoalEffect.EQUALISER, GoalEffect.GO_AHEAD) else 0
                own = goal.own_goal or goal.player is None
                scored = 0 if own else tally[goal.player or ""]
                return GoalContext(goal, effect, before, Score(home=home, away=away), scored, overcome)
            worst[self.info.home.id] = max(worst[self.info.home.id], away - home)
            worst[self.info.away.id] = max(worst[self.info.away.id], home - away)
        return None
