"""What is true at one event: flags and roles, the one ground that templates are chosen and clauses are judged on."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass

from commentary_llm.match import (
    BodyPart,
    CardType,
    EventType,
    MatchEvent,
    MatchState,
    ShotOutcome,
    Team,
    VarDecision,
)
from commentary_llm.script.names import player_key, team_key

PERIOD_OFFSETS_S = {1: 0.0, 2: 2700.0, 3: 5400.0, 4: 6300.0, 5: 7200.0}
_PITCH_M = (105.0, 68.0)
_RELATED_S = 20.0  # an event this long ago may still be spoken of: the save before the corner
_BODY = {
    BodyPart.HEAD: "header",
    BodyPart.LEFT_FOOT: "left_foot",
    BodyPart.RIGHT_FOOT: "right_foot",
}
_MARGINS = {1: "margin_1", 2: "margin_2", 3: "margin_3"}


def match_seconds(event: MatchEvent) -> float:
    """Match time as one number that grows through the match: regular period starts plus elapsed seconds."""
    return PERIOD_OFFSETS_S[event.period] + event.elapsed_s


def minute_of(event: MatchEvent) -> tuple[int, int]:
    """The minute as boards show it, (regular, added): 22:10 is (23, 0), 93:30 of the second half (90, 4)."""
    start = int(PERIOD_OFFSETS_S[event.period] // 60)
    length = 45 if event.period <= 2 else 15
    played = int(event.elapsed_s // 60)
    if event.period == 5:
        return 120, 0
    if played < length:
        return start + played + 1, 0
    return start + length, played - length + 1


@dataclass(frozen=True)
class Facts:
    """`flags` are true statements by name; `roles` map a part to the keys (`p:id`, `t:id`) that fill it."""

    event: MatchEvent
    state: MatchState
    flags: frozenset[str]
    roles: dict[str, frozenset[str]]

    def holds(self, condition: str) -> bool:
        """A condition: flags that must all hold, `!flag` for one that must not, `a/b` for either."""
        for term in condition.split():
            if term.startswith("!"):
                if term[1:] in self.flags:
                    return False
            elif not any(flag in self.flags for flag in term.split("/")):
                return False
        return True

    def keys(self, roles: str) -> frozenset[str]:
        """Keys of the comma-separated roles together."""
        return frozenset().union(*(self.roles.get(role, frozenset()) for role in roles.split(",")))


def facts_of(event: MatchEvent, state: MatchState) -> Facts:
    """Everything that templates and gate may build on at `event`; `state` is the match right after it."""
    builder = _Builder(event, state)
    builder.add_kind()
    builder.add_place()
    builder.add_time()
    builder.add_score()
    builder.add_goal_story()
    builder.add_recent()
    builder.add_again()
    return Facts(
        event, state, frozenset(builder.flags), {role: frozenset(keys) for role, keys in builder.roles.items()}
    )


class _Builder:
    def __init__(self, event: MatchEvent, state: MatchState) -> None:
        self.event = event
        self.state = state
        # "stoppage_time" is true of the clock, not of the board.
        self.flags: set[str] = {"stoppage_board" if event.type is EventType.STOPPAGE_TIME else event.type.value}
        self.roles: dict[str, set[str]] = defaultdict(set)
        self.side = event.team or (state.team_of(event.player).id if event.player is not None else None)

    def role(self, role: str, player: str | None, side: str | None = None) -> None:
        """Puts a player (and the side, by default his own) into a role."""
        if player is not None:
            self.roles[role].add(player_key(player))
            side = side or self.state.team_of(player).id
        if side is not None:
            self.roles[role].add(team_key(side))

    def other(self, team_id: str | None) -> str | None:
        return self.state.opponent_of(team_id).id if team_id is not None else None

    def add_kind(self) -> None:
        event, flags = self.event, self.flags
        self.role("actor", event.player, self.side)
        self.role("side", None, self.side)
        self.role("other", None, self.other(self.side))
        if event.situation is not None:
            flags.add(f"from_{event.situation.value}")
        if event.body_part in _BODY:
            flags.add(_BODY[event.body_part])
        kind = event.type
        if kind in (EventType.GOAL, EventType.SHOT):
            self._add_attempt()
        elif kind is EventType.OWN_GOAL:
            flags.add("scored")
            self.role("unlucky", event.player, self.side)
            self.role("credited", None, self.other(self.side))
            self.role("conceding", None, self.side)
        elif kind is EventType.SAVE:
            self.role("keeper", event.player, self.side)
            self.role("shooter", event.opponent)
            self.roles["keeper"].add("k")
        elif kind is EventType.CARD:
            self._add_card()
        elif kind is EventType.SUBSTITUTION:
            self._add_substitution()
        elif kind in (EventType.FOUL, EventType.TACKLE, EventType.INTERCEPTION):
            self.role("winner_of_ball" if kind is not EventType.FOUL else "fouler", event.player, self.side)
            self.role(
                "loser_of_ball" if kind is not EventType.FOUL else "fouled", event.opponent, self.other(self.side)
            )
        elif kind is EventType.PASS:
            self.role("passer", event.player, self.side)
            self.role("receiver", event.receiver, self.side)
            if event.completed is not False and event.receiver is not None:
                flags.add("completed")
                self.role("receiver_done", event.receiver, self.side)
        elif kind is EventType.DRIBBLE:
            self.role("dribbler", event.player, self.side)
            self.role("beaten", event.opponent, self.other(self.side))
        elif kind in (EventType.VAR_REVIEW, EventType.VAR_DECISION) and event.decision is not None:
            flags.add(event.decision.value)
            if event.decision in (
                VarDecision.GOAL_DISALLOWED,
                VarDecision.PENALTY_CANCELLED,
                VarDecision.CARD_RESCINDED,
            ):
                flags.add("overturned")
        elif kind is EventType.STOPPAGE_TIME and event.minutes_added == 1:
            flags.add("one_minute_added")
        if event.completed is not None:
            flags.add("completed" if event.completed else "incomplete")
        for name in ("player", "assist", "goalkeeper", "opponent", "receiver", "player_on", "team"):
            if getattr(event, name) is not None:
                flags.add(f"has_{name}")
        if kind in (EventType.PASS, EventType.CARRY, EventType.DRIBBLE):
            self.role("defending", None, self.other(self.side))
        if kind is EventType.FOUL:
            self.role("side_fk", None, self.other(self.side))
        if kind is EventType.OFFSIDE:
            self.role("side_fk", None, self.other(self.side))
        if kind in (EventType.FREE_KICK, EventType.SHOT, EventType.GOAL, EventType.PASS):
            self.role("actor_fk", event.player, self.side)
            self.role("side_fk", None, self.side)
        if kind is EventType.GOAL_KICK:
            self.role("keeper_side", event.player, self.side)
        if self._is_keeper(event.player):
            self.roles["keeper_actor"].add("k")
        self._add_focus()

    def _add_focus(self) -> None:
        """Players that may be named without a claim: the event is about them."""
        event = self.event
        focus = {event.player, event.player_on}
        if event.type is EventType.SAVE or event.outcome is ShotOutcome.SAVED:
            focus.add(event.goalkeeper)
            self.roles["focus"].add("k")
        if event.type is EventType.PASS and "completed" in self.flags:
            focus.add(event.receiver)
        self.roles["focus"] |= {player_key(player) for player in focus if player is not None} | self.roles[
            "keeper_actor"
        ]
        for player in {*self.roles["on"], *self.roles["off"]}:
            if player.startswith("p:"):
                self.roles["focus"].add(player)
        self.roles["anyone"] = set().union(*self.roles.values())

    def _is_keeper(self, player_id: str | None) -> bool:
        if player_id is None:
            return False
        return "keeper" in (self.state.player(player_id).position or "").lower()

    def _add_attempt(self) -> None:
        event, flags = self.event, self.flags
        flags.add("attempt")
        self.role("shooter", event.player, self.side)
        self.role("keeper", event.goalkeeper, self.other(self.side))
        self.roles["keeper"].add("k")
        self.role("assister", event.assist)
        self.role("blocker", event.opponent if event.outcome is ShotOutcome.BLOCKED else None, self.other(self.side))
        if event.period == 5:
            flags.add("kick")
        if event.type is EventType.GOAL:
            flags.add("scored")
            flags.add("kick_scored" if event.period == 5 else "open_goal")
            self.role("scorer", event.player, self.side)
            self.role("credited", None, self.side)
            self.role("conceding", None, self.other(self.side))
        else:
            flags.add("no_goal")
            if event.outcome is not None:
                flags.add(event.outcome.value)
            # The outcome does not tell over from wide; a tracker's note may.
            note = (event.note or "").lower()
            if event.outcome is ShotOutcome.OFF_TARGET and re.search(r"\b(over|high)\b", note):
                flags.add("over")
            if event.outcome is ShotOutcome.OFF_TARGET and re.search(r"\bwide\b", note):
                flags.add("wide")
            if event.period == 5:
                flags.add("kick_missed")

    def _add_card(self) -> None:
        event = self.event
        self.role("booked", event.player, self.side)
        # The state knows better than the tracker: a second yellow may come as a plain one.
        booking = next(
            (b for b in reversed(self.state.cards) if event.event_id in (b.event_id, *b.merged)),
            None,
        )
        card = booking.card if booking is not None else event.card
        self.flags.add(card.value if card else "card_unknown")
        if card in (CardType.RED, CardType.SECOND_YELLOW):
            self.flags.add("sent_off")
            self.role("sent_off", event.player, self.side)
        self.role("fouled", event.opponent)

    def _add_substitution(self) -> None:
        event = self.event
        self.role("off", event.player, self.side)
        self.role("on", event.player_on, self.side)
        now_s = match_seconds(event)
        same = [
            sub
            for sub in self.state.recent
            if sub.type is EventType.SUBSTITUTION
            and (sub.team or "") == (event.team or "")
            and abs(match_seconds(sub) - now_s) <= 60
            and sub.event_id != event.event_id
        ]
        if same:
            self.flags.add("double_substitution" if len(same) == 1 else "many_substitutions")
            for sub in same:
                self.role("off", sub.player, sub.team)
                self.role("on", sub.player_on, sub.team)

    def add_place(self) -> None:
        """Flags of the place, from x and y; "left" and "right" as the attacking side sees them."""
        event, flags = self.event, self.flags
        if event.x is None or event.y is None:
            return
        to_goal_m = math.hypot((1 - event.x) * _PITCH_M[0], (event.y - 0.5) * _PITCH_M[1])
        wide_m = abs(event.y - 0.5) * _PITCH_M[1]
        depth_m = (1 - event.x) * _PITCH_M[0]
        in_box = depth_m <= 16.5 and wide_m <= 20.16
        if in_box:
            flags.add("in_box")
        elif depth_m <= 21.5 and wide_m <= 16:
            flags.add("edge_of_box")
        if not in_box and to_goal_m >= 22 and event.x > 0.5:
            flags.add("long_range")
        if to_goal_m <= 8:
            flags.add("close_range")
        if event.x >= 2 / 3:
            flags.add("final_third")
        flags.add("own_half" if event.x < 0.5 else "opposing_half")
        if 0.35 <= event.x <= 0.65:
            flags.add("midfield")
        if event.y <= 0.25:
            flags.add("left_side")
        elif event.y >= 0.75:
            flags.add("right_side")
        elif 0.35 <= event.y <= 0.65:
            flags.add("central")

    def add_time(self) -> None:
        event, flags = self.event, self.flags
        period = event.period
        flags.add({1: "first_half", 2: "second_half", 3: "extra_first", 4: "extra_second", 5: "shootout"}[period])
        if period in (3, 4):
            flags.add("extra_time")
        minute, added = minute_of(event)
        if added:
            flags.add("stoppage_time")
        if event.type is EventType.MATCH_END:
            flags.add("match_over")
            if period >= 3:
                flags.add("after_extra")
        if period == 5:
            if event.type is EventType.PERIOD_START:
                flags |= {"shootout_start", "after_extra"}
            if event.type is EventType.PERIOD_END:
                flags.add("shootout_end")
            return
        if event.elapsed_s < 600:
            flags.add("early_in_period")
            if period == 1:
                flags.add("early")
        if (period == 2 and minute >= 80) or (period == 4 and minute >= 113):
            flags.add("late")
        if added and period in (2, 4):
            flags.add("stoppage_late")
        if (period == 2 and minute >= 87) or (period == 4 and minute >= 117):
            flags.add("closing")
        if event.type is EventType.PERIOD_START:
            flags |= {"starts", {1: "kick_off", 2: "restart", 3: "extra_start", 4: "extra_restart"}[period]}
        if event.type is EventType.PERIOD_END:
            flags.add({1: "half_time", 2: "full_time", 3: "extra_half_time", 4: "extra_end"}[period])
            if period == 4:
                flags.add("after_extra")
        if event.type is EventType.MATCH_END and period <= 2:
            flags.add("full_time")

    def add_score(self) -> None:
        state, flags = self.state, self.flags
        event = self.event
        kick = event.period == 5 and event.type in (EventType.GOAL, EventType.SHOT)
        # While kicks are taken "lead" and "level" mean the shoot-out.
        pair = state.shootout if kick and state.shootout is not None else state.score
        home, away = pair.home, pair.away
        flags.add("level" if home == away else "has_leader")
        if home == away == 0 and not kick:
            flags.add("goalless")
        if home != away:
            margin = abs(home - away)
            flags.add(_MARGINS.get(margin, "margin_more"))
            ahead, behind = (state.info.home, state.info.away) if home > away else (state.info.away, state.info.home)
            self.roles["leader"].add(team_key(ahead.id))
            self.roles["trailer"].add(team_key(behind.id))
            if self.side is not None:
                flags.add("side_leads" if self.side == ahead.id else "side_trails")
        else:
            self.roles["level"] |= {team_key(state.info.home.id), team_key(state.info.away.id)}
        for team in (state.info.home, state.info.away):
            self._add_men(team)
        if state.shootout is not None:
            flags.add("has_shootout")
        if self.event.type is EventType.MATCH_END:
            winner = state.winner()
            if winner is None:
                flags.add("drawn")
            else:
                flags.add("won")
                self.roles["winner"].add(team_key(winner))
                self.roles["loser"].add(team_key(state.opponent_of(winner).id))
                if home == away:
                    flags.add("won_on_penalties")

    def _add_men(self, team: Team) -> None:
        gone = sum(1 for player in self.state.sent_off if self.state.team_of(player).id == team.id)
        if gone == 1:
            self.flags.add("ten_men")
            self.roles["ten_men"].add(team_key(team.id))
        if gone:
            self.flags.add("short_handed")
            self.roles["short_handed"].add(team_key(team.id))

    def add_goal_story(self) -> None:
        """What a goal meant: equaliser, opener, comeback, hat-trick, …"""
        event, state, flags = self.event, self.state, self.flags
        if event.type not in (EventType.GOAL, EventType.OWN_GOAL) or event.period == 5 or not state.goals:
            return
        context = state.goal_context(event.event_id)
        if context is None:
            return
        flags.add("match_goal")
        credited = context.goal.team
        at_home = credited == state.info.home.id
        after = (context.after.home - context.after.away) * (1 if at_home else -1)
        earlier = state.goals[: state.goals.index(context.goal)]
        margins = [0]
        for goal in earlier:
            margins.append(margins[-1] + (1 if goal.team == credited else -1))
        if context.opener:
            flags.add("opener")
        if after == 0:
            flags.add("equaliser")
        if after == 1:
            flags.add("takes_lead")
            self.role("takes_scorer", event.player if event.type is EventType.GOAL else None, credited)
            if max(margins) >= 1:
                flags.add("restores_lead")
        if after >= 2:
            flags.add("extends_lead")
            self.role("takes_scorer", None, credited)
        if after < 0:
            flags.add("pulls_back")
            if after == -1:
                flags.add("halves_deficit")
        if context.deficit_overcome >= 2 and after == 0:
            flags.add("from_two_down")
        if context.deficit_overcome and after >= 1 and max(margins) <= 0:
            flags.add("turnaround")
        if context.deficit_overcome:
            flags.add("came_back")
        if context.player_goals:
            flags.add({1: "first_of_player", 2: "brace", 3: "hat_trick"}.get(context.player_goals, "many_of_player"))

    def add_again(self) -> None:
        """Flag `again_ok`: "again" and "another" are true here."""
        flags = self.flags
        repeated = {"brace", "hat_trick", "many_of_player", "restores_lead", "extends_lead", "period_end", "restart"}
        if flags & (repeated | {"pass", "carry", "extra_start", "extra_restart"}):
            flags.add("again_ok")
        if "equaliser" in flags and len(self.state.goals) > 2:
            flags.add("again_ok")
        side = self.side
        penalties = sum(penalty.team == side for penalty in self.state.penalties)
        changes = sum(change.team == side for change in self.state.substitutions)
        if ("penalty_awarded" in flags and penalties > 1) or ("substitution" in flags and changes > 1):
            flags.add("again_ok")

    def add_recent(self) -> None:
        """Flags of what led to this event: `after_save`, `after_shot`, `after_foul`, `after_penalty_awarded`."""
        now_s = match_seconds(self.event)
        for past in self.state.recent:
            if past.event_id == self.event.event_id or not 0 <= now_s - match_seconds(past) <= _RELATED_S:
                continue
            if past.type is EventType.SHOT and past.team == self.side:
                self.flags.add("after_shot")
                if past.outcome is ShotOutcome.SAVED:
                    self.flags.add("after_save")
            if past.type is EventType.FOUL and self.event.type is EventType.CARD and past.player == self.event.player:
                self.flags.add("after_foul")
                self.role("fouler", past.player, past.team)
                self.role("fouled", past.opponent)
