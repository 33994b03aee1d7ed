"""Synthetic matches: line-ups and a stream of events that folds without contradiction.

Rare situations (late winners, hat-tricks, red cards, shoot-outs, reviews, own goals) are far more frequent here than in
life, because a model learns nothing from what it never sees. Everything depends on the seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from checkpoints.finetune.matches_lineups import FORMATIONS, make_info
from commentary_llm.match import (
    BodyPart,
    CardType,
    EventType,
    MatchEvent,
    MatchInfo,
    MatchState,
    ShotOutcome,
    Situation,
    VarDecision,
)

# Scenario -> weight. Each bends the plan of goals and incidents; see `_plan`.
_SCENARIOS = {
    "plain": 5, "goals": 3, "goalless": 1, "comeback": 3, "late": 3, "one_man": 2, "dirty": 2, "cup": 3,
}  # fmt: skip


@dataclass(frozen=True)
class SyntheticMatch:
    """`steps`: each event with the state right after it."""

    info: MatchInfo
    scenario: str
    steps: tuple[tuple[MatchEvent, MatchState], ...]


def simulate(seed: int | str, held_out: bool = False) -> SyntheticMatch:
    """One whole match. `held_out`: names of the set kept for evaluation."""
    rng = random.Random(f"match:{seed}:{held_out}")
    info = make_info(rng, f"synthetic-{seed}", held_out)
    scenario = rng.choices(list(_SCENARIOS), weights=list(_SCENARIOS.values()))[0]
    simulation = _Simulation(rng, info, scenario)
    simulation.run()
    return SyntheticMatch(info, scenario, tuple(simulation.steps))


class _Simulation:
    """Plays a match passage by passage: build-up by one side, then what comes of it."""

    def __init__(self, rng: random.Random, info: MatchInfo, scenario: str) -> None:
        self.rng = rng
        self.info = info
        self.scenario = scenario
        self.state = MatchState.initial(info)
        self.steps: list[tuple[MatchEvent, MatchState]] = []
        self.period = 1
        self.now_s = 0.0
        self.hero = {side: rng.choice((8, 9, 10, 11)) for side in ("h", "a")}
        self.foul_rate = 1.8 if scenario == "dirty" else 1.0
        self.changes = {"h": 0, "a": 0}

    # Helpers

    def emit(self, kind: EventType, after_s: float = 0.0, **fields: object) -> MatchEvent:
        self.now_s = round(self.now_s + after_s, 1)
        event = MatchEvent(
            event_id=f"e{len(self.steps)}",
            type=kind,
            period=self.period,
            elapsed_s=self.now_s,
            **fields,  # type: ignore[arg-type]
        )
        self.state = self.state.apply(event)
        self.steps.append((event, self.state))
        return event

    def other(self, side: str) -> str:
        return "a" if side == "h" else "h"

    def man(self, side: str, *but: str | None, attack: bool = False) -> str:
        """Somebody on the pitch, no goalkeeper, and none of `but`."""
        ids = sorted(p for p in self.state.on_pitch[side] if not self._keeps(p) and p not in but)
        hero = f"{side}{self.hero[side]}"
        if attack and hero in ids and self.rng.random() < (0.6 if self.scenario == "one_man" else 0.3):
            return hero
        front = [p for p in ids if self.state.player(p).position in ("forward", "left winger", "right winger")]
        return self.rng.choice(front if attack and front and self.rng.random() < 0.6 else ids)

    def _keeps(self, player: str) -> bool:
        return self.state.player(player).position == "goalkeeper"

    def keeper(self, side: str) -> str | None:
        keeper = self.state.goalkeeper_of(side)
        return keeper.id if keeper else None

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    # The course of the match

    def run(self) -> None:
        goals = self._plan()
        for period in (1, 2):
            self._half(period, 45, [g for g in goals if g[0] == period])
        if self.scenario == "cup" and self.state.score.home == self.state.score.away:
            for period in (3, 4):
                self._half(period, 15, [(period, self.rng.random(), self.side())] if self.chance(0.3) else [])
            if self.state.score.home == self.state.score.away:
                self._shootout()
                return
        self.emit(EventType.MATCH_END, self.rng.uniform(0, 3))

    def side(self) -> str:
        return self.rng.choice(("h", "a"))

    def _plan(self) -> list[tuple[int, float, str]]:
        """Goals to be: (period, place in it from 0 to 1, side), in order."""
        rng, scenario = self.rng, self.scenario
        one, two = rng.sample(("h", "a"), 2)
        if scenario == "goalless":
            sides = []
        elif scenario == "comeback":
            down = rng.choice((1, 1, 2, 2, 3))
            sides = [one] * down + [two] * rng.choice((down, down + 1, down - 1)) + ([one] if self.chance(0.3) else [])
        elif scenario == "goals":
            sides = [self.side() for _ in range(rng.randint(4, 8))]
        elif scenario == "one_man":
            sides = [one] * rng.randint(3, 4) + [two] * rng.randint(0, 2)
            rng.shuffle(sides)
        elif scenario == "cup":
            each = rng.choice((0, 1, 1, 2))
            sides = [one, two] * each
        else:
            sides = [self.side() for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 3, 4)))]
        spread = sorted(rng.random() for _ in sides)
        if scenario in ("late", "comeback", "cup") and spread:
            spread[-1] = rng.uniform(0.93, 1.03)
        places = [(1, x * 2) if x < 0.5 else (2, (x - 0.5) * 2) for x in spread]
        return [(period, place, side) for (period, place), side in zip(places, sides, strict=True)]

    def _half(self, period: int, minutes: int, goals: list[tuple[int, float, str]]) -> None:
        self.period, self.now_s = period, 0.0
        self.emit(EventType.PERIOD_START)
        self.now_s = self.rng.uniform(1, 8)
        regular_s = minutes * 60.0
        added = self.rng.randint(1, 8)
        due = sorted(place * regular_s for _, place, _ in goals)
        sides = [side for _, _, side in goals]
        board = False
        while True:
            if not board and self.now_s >= regular_s - 60:
                board = True
                self.emit(EventType.STOPPAGE_TIME, self.rng.uniform(1, 30), minutes_added=added)
            if self.now_s >= regular_s + added * 60:
                break
            if due and self.now_s >= due[0]:
                due.pop(0)
                self._goal_passage(sides.pop(0))
            else:
                self._passage(self.side())
            self._breaks(period)
            self.now_s += self.rng.uniform(15, 75)
        self.emit(EventType.PERIOD_END, self.rng.uniform(1, 10))

    def _breaks(self, period: int) -> None:
        """What happens while the ball is out of play."""
        if self.chance(0.02):
            side = self.side()
            self.emit(EventType.INJURY, 4, team=side, player=self.man(side))
        if self.chance(0.012) and (period > 1 or self.now_s > 1200):
            self.emit(EventType.FORMATION, 5, team=(side := self.side()), formation=self.rng.choice(FORMATIONS))
        started = period > 2 or (period == 2 and self.now_s > 300)
        if self.chance(0.14 if started else 0.006):
            self._change(self.side())

    def _change(self, side: str) -> None:
        for _ in range(self.rng.choice((1, 1, 1, 2, 2, 3))):
            fresh = [
                p.id
                for p in self.state.team(side).players
                if not p.starter
                and p.position != "goalkeeper"
                and p.id not in self.state.on_pitch[side]
                and p.id not in self.state.sent_off
                and all(sub.player_off != p.id for sub in self.state.substitutions)
            ]
            if self.changes[side] >= 5 or not fresh:
                return
            self.changes[side] += 1
            self.emit(
                EventType.SUBSTITUTION,
                self.rng.uniform(4, 25),
                team=side,
                player=self.man(side),
                player_on=self.rng.choice(fresh),
            )

    # Passages of play

    def _build_up(self, side: str, steps: int) -> tuple[str, float, float]:
        """A few passes, runs and dribbles; returns who has the ball and where."""
        rng = self.rng
        x, y = rng.uniform(0.15, 0.55), rng.uniform(0.08, 0.92)
        holder = self.man(side)
        for _ in range(steps):
            gap_s = rng.uniform(1.5, 5)
            draw = rng.random()
            if draw < 0.72:
                mate = self.man(side, holder)
                self.emit(
                    EventType.PASS, gap_s, team=side, player=holder, receiver=mate, completed=True, x=_at(x), y=_at(y)
                )
                holder = mate
            elif draw < 0.88:
                self.emit(EventType.CARRY, gap_s, team=side, player=holder, x=_at(x), y=_at(y))
            else:
                beaten = self.man(self.other(side)) if self.chance(0.6) else None
                self.emit(
                    EventType.DRIBBLE, gap_s, team=side, player=holder, opponent=beaten, completed=True,
                    x=_at(x), y=_at(y),
                )  # fmt: skip
            x, y = x + rng.uniform(-0.05, 0.2), min(0.95, max(0.05, y + rng.uniform(-0.25, 0.25)))
        return holder, min(x, 0.97), y

    def _passage(self, side: str) -> None:
        rng = self.rng
        holder, x, y = self._build_up(side, rng.randint(1, 4))
        other = self.other(side)
        ends = {
            "shot": 5.0, "foul": 4.0 * self.foul_rate, "offside": 1.3, "corner": 2.0, "throw": 2.5, "goal_kick": 1.8,
            "tackle": 2.0, "interception": 2.0, "clearance": 2.0, "penalty": 0.35, "loose": 1.0, "save": 0.5,
        }  # fmt: skip
        end = rng.choices(list(ends), weights=list(ends.values()))[0]
        if end == "shot":
            self._shot(side, holder)
        elif end == "foul":
            self._foul(other, holder, x, y)
        elif end == "penalty":
            self._penalty(side, holder)
        elif end == "offside":
            self.emit(EventType.OFFSIDE, 2, team=side, player=holder if self.chance(0.85) else None)
        elif end == "corner":
            self._corner(side)
        elif end == "throw":
            taker = self.man(side) if self.chance(0.5) else None
            self.emit(EventType.THROW_IN, 6, team=side, player=taker, x=_at(x), y=rng.choice((0.0, 1.0)))
        elif end == "goal_kick":
            self.emit(EventType.GOAL_KICK, 8, team=other, player=self.keeper(other) if self.chance(0.6) else None)
        elif end == "save":
            keeper = self.keeper(other)
            if keeper:
                self.emit(EventType.SAVE, 2, team=other, player=keeper, x=0.04, y=0.5)
        elif end == "loose":
            self.emit(EventType.PASS, 2, team=side, player=holder, completed=False, x=_at(x), y=_at(y))
        else:
            by = self.man(other)
            place = {"x": _at(1 - x), "y": _at(1 - y)}
            body = BodyPart.HEAD if end == "clearance" and self.chance(0.35) else None
            opponent = holder if end == "tackle" and self.chance(0.7) else None
            self.emit(EventType(end), 2, team=other, player=by, opponent=opponent, body_part=body, **place)

    def _corner(self, side: str) -> None:
        taker = self.man(side) if self.chance(0.6) else None
        self.emit(EventType.CORNER, self.rng.uniform(4, 25), team=side, player=taker, x=1.0,
                  y=self.rng.choice((0.0, 1.0)))  # fmt: skip
        if self.chance(0.35):
            self._shot(side, self.man(side, attack=True), Situation.CORNER)

    def _body(self, situation: Situation) -> BodyPart | None:
        if situation in (Situation.PENALTY, Situation.FREE_KICK):
            return self.rng.choice((None, BodyPart.RIGHT_FOOT, BodyPart.LEFT_FOOT))
        head = 0.55 if situation is Situation.CORNER else 0.15
        if self.chance(head):
            return BodyPart.HEAD
        return self.rng.choice((None, BodyPart.RIGHT_FOOT, BodyPart.RIGHT_FOOT, BodyPart.LEFT_FOOT))

    def _spot(self, situation: Situation, body: BodyPart | None) -> tuple[float, float]:
        rng = self.rng
        if situation is Situation.PENALTY:
            return 0.895, 0.5
        if situation is Situation.FREE_KICK:
            return rng.uniform(0.7, 0.82), rng.uniform(0.25, 0.75)
        if body is BodyPart.HEAD or situation is Situation.CORNER:
            return rng.uniform(0.9, 0.97), rng.uniform(0.4, 0.6)
        return (rng.uniform(0.86, 0.97), rng.uniform(0.3, 0.7)) if self.chance(0.6) else (
            rng.uniform(0.68, 0.85), rng.uniform(0.25, 0.75))  # fmt: skip

    def _shot(self, side: str, shooter: str, situation: Situation = Situation.OPEN_PLAY) -> None:
        rng = self.rng
        if situation is Situation.OPEN_PLAY and self.chance(0.12):
            situation = Situation.COUNTER_ATTACK
        body = self._body(situation)
        x, y = self._spot(situation, body)
        outcome = rng.choices(list(ShotOutcome), weights=(4.0, 4.0, 2.5, 1.0))[0]
        if situation is Situation.PENALTY and outcome is ShotOutcome.BLOCKED:
            outcome = ShotOutcome.SAVED
        other = self.other(side)
        keeper = self.keeper(other) if outcome is ShotOutcome.SAVED else None
        blocker = self.man(other) if outcome is ShotOutcome.BLOCKED and self.chance(0.5) else None
        note = None
        if outcome is ShotOutcome.OFF_TARGET and self.chance(0.5):
            note = rng.choice(("over the bar", "wide"))
        self.emit(
            EventType.SHOT, rng.uniform(1, 4), team=side, player=shooter, goalkeeper=keeper, opponent=blocker,
            outcome=outcome, situation=situation, body_part=body, x=x, y=y, note=note,
        )  # fmt: skip
        if outcome is ShotOutcome.SAVED and self.chance(0.2):
            self.emit(EventType.SAVE, 1.5, team=other, player=keeper)
        if outcome in (ShotOutcome.SAVED, ShotOutcome.BLOCKED) and self.chance(0.4):
            self._corner(side)

    def _foul(self, side: str, fouled: str, x: float, y: float) -> None:
        culprit = self.man(side)
        self.emit(EventType.FOUL, 2, team=side, player=culprit, opponent=fouled if self.chance(0.75) else None,
                  x=_at(1 - x), y=_at(1 - y))  # fmt: skip
        draw = self.rng.random()
        limit = 0.25 * self.foul_rate
        kind = None
        enough = len(self.state.on_pitch[side]) > 8
        if draw < 0.022 * self.foul_rate and enough:
            kind = CardType.RED
        elif draw < limit:
            booked = self.state.yellow_cards(culprit) > 0
            if not booked:
                kind = CardType.YELLOW
            elif enough and self.chance(0.7):
                kind = CardType.SECOND_YELLOW
        elif draw < limit + 0.03 * self.foul_rate and enough:
            booked_men = [p for p in sorted(self.state.on_pitch[side]) if self.state.yellow_cards(p)]
            if booked_men:
                culprit, kind = self.rng.choice(booked_men), CardType.SECOND_YELLOW
        if kind is not None:
            opponent = fouled if self.chance(0.4) else None
            card = self.emit(EventType.CARD, self.rng.uniform(5, 20), team=side, player=culprit, card=kind,
                             opponent=opponent)  # fmt: skip
            if kind is CardType.RED and self.chance(0.25):
                self._review(None, VarDecision.CARD_RESCINDED, VarDecision.NO_CHANGE, card)
        other = self.other(side)
        if self.chance(0.55):
            taker = self.man(other) if self.chance(0.6) else None
            self.emit(EventType.FREE_KICK, self.rng.uniform(8, 20), team=other, player=taker, x=_at(x), y=_at(y))
            if x > 0.6 and self.chance(0.5):
                self._shot(other, taker or self.man(other, attack=True), Situation.FREE_KICK)

    def _penalty(self, side: str, fouled: str) -> None:
        given = self.emit(
            EventType.PENALTY_AWARDED, 3, team=side,
            player=fouled if self.chance(0.3) else None,
        )  # fmt: skip
        if self.chance(0.3):
            verdict = self._review(side, VarDecision.PENALTY_CANCELLED, VarDecision.PENALTY_STANDS, given)
            if verdict is VarDecision.PENALTY_CANCELLED:
                return
        self.now_s += self.rng.uniform(30, 70)
        taker = self.man(side, attack=True)
        if self.chance(0.7):
            self._score(side, taker, Situation.PENALTY)
        else:
            self._shot(side, taker, Situation.PENALTY)

    def _review(self, side: str | None, off: VarDecision, on: VarDecision, about: MatchEvent) -> VarDecision:
        who = {"team": about.team, "player": about.player} if self.chance(0.5) else {"team": side}
        self.emit(EventType.VAR_REVIEW, self.rng.uniform(8, 25), **who)
        decision = off if self.chance(0.5) else on
        cancels = about.event_id if decision is off else None
        self.emit(EventType.VAR_DECISION, self.rng.uniform(30, 90), decision=decision, cancels=cancels, **who)
        return decision

    def _score(self, side: str, scorer: str, situation: Situation, review: bool = True) -> None:
        rng = self.rng
        body = self._body(situation)
        x, y = self._spot(situation, body)
        solo = situation in (Situation.PENALTY, Situation.FREE_KICK)
        assist = self.man(side, scorer) if not solo and self.chance(0.65) else None
        named = self.chance(0.98)
        goal = self.emit(
            EventType.GOAL, rng.uniform(1, 5), team=side, player=scorer if named else None,
            assist=assist if named else None, goalkeeper=self.keeper(self.other(side)) if self.chance(0.6) else None,
            situation=situation, body_part=body, x=x, y=y,
        )  # fmt: skip
        if review and self.chance(0.08):
            self._review(side, VarDecision.GOAL_DISALLOWED, VarDecision.GOAL_STANDS, goal)

    def _goal_passage(self, side: str) -> None:
        """Ends in a standing goal for `side`, and perhaps one before it that did not stand."""
        rng = self.rng
        if self.chance(0.06):
            holder, _, _ = self._build_up(side, 1)
            self._score(side, holder, Situation.OPEN_PLAY)
            self.now_s += rng.uniform(30, 90)
        kinds = {"open": 10, "counter": 2, "corner": 2, "free_kick": 1.5, "penalty": 2.5, "own": 2.2}
        kind = rng.choices(list(kinds), weights=list(kinds.values()))[0]
        if kind == "penalty":
            self._penalty(side, self.man(side))
            return
        self._build_up(side, rng.randint(1, 3))
        if kind == "own":
            other = self.other(side)
            unlucky = self.man(other) if self.chance(0.92) else None
            own = self.emit(EventType.OWN_GOAL, 3, team=other, player=unlucky, x=0.03, y=0.5)
            if self.chance(0.05):
                self._review(side, VarDecision.GOAL_DISALLOWED, VarDecision.GOAL_STANDS, own)
            return
        if kind == "corner":
            self.emit(EventType.CORNER, 5, team=side, player=self.man(side), x=1.0, y=rng.choice((0.0, 1.0)))
        situation = {
            "open": Situation.OPEN_PLAY, "counter": Situation.COUNTER_ATTACK, "corner": Situation.CORNER,
            "free_kick": Situation.FREE_KICK,
        }[kind]  # fmt: skip
        self._score(side, self.man(side, attack=True), situation)

    def _shootout(self) -> None:
        self.period, self.now_s = 5, 0.0
        self.emit(EventType.PERIOD_START)
        first, second = self.rng.sample(("h", "a"), 2)
        taken = {"h": 0, "a": 0}
        for turn in self._turns(first, second):
            takers = sorted(self.state.on_pitch[turn])
            taker = takers[taken[turn] % len(takers)]
            taken[turn] += 1
            other = self.other(turn)
            if self.chance(0.72):
                self.emit(EventType.GOAL, self.rng.uniform(25, 50), team=turn, player=taker,
                          situation=Situation.PENALTY)  # fmt: skip
            else:
                outcome = self.rng.choices(
                    (ShotOutcome.SAVED, ShotOutcome.OFF_TARGET, ShotOutcome.POST), weights=(5, 3, 2)
                )[0]
                keeper = self.keeper(other) if outcome is ShotOutcome.SAVED else None
                self.emit(EventType.SHOT, self.rng.uniform(25, 50), team=turn, player=taker, goalkeeper=keeper,
                          outcome=outcome, situation=Situation.PENALTY)  # fmt: skip
            scored = self.state.shootout
            assert scored is not None
            goals = {"h": scored.home, "a": scored.away}
            if self._decided(goals, taken):
                break
        self.emit(EventType.MATCH_END, 5)

    @staticmethod
    def _turns(first: str, second: str) -> Iterator[str]:
        while True:
            yield first
            yield second

    @staticmethod
    def _decided(goals: dict[str, int], taken: dict[str, int]) -> bool:
        left = {side: max(0, 5 - taken[side]) for side in taken}
        if taken["h"] >= 5 and taken["a"] >= 5:
            return taken["h"] == taken["a"] and goals["h"] != goals["a"]
        return goals["h"] > goals["a"] + left["a"] or goals["a"] > goals["h"] + left["h"]


def _at(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 3)
