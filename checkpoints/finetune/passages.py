"""Passages of play: build-up by one side, then what comes of it, each event one that the match so far allows."""

from __future__ import annotations

import random

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


class Passages:
    """Plays a match of `make_info`'s line-ups (sides "h" and "a") a passage at a time; `steps` grows.

    `foul_rate`: 1 as in an ordinary match. `hero_share`: how often an attack ends with the side's best man.
    """

    def __init__(self, rng: random.Random, info: MatchInfo, *, foul_rate: float = 1.0, hero_share: float = 0.3) -> None:
        self.rng = rng
        self.info = info
        self.foul_rate = foul_rate
        self.hero_share = hero_share
        self.state = MatchState.initial(info)
        self.steps: list[tuple[MatchEvent, MatchState]] = []
        self.period = 1
        self.now_s = 0.0
        self.hero = {side: rng.choice((8, 9, 10, 11)) for side in ("h", "a")}
        self.changes = {"h": 0, "a": 0}

    def emit(self, kind: EventType, after_s: float = 0.0, **fields: object) -> MatchEvent:
        """The next event, folded into `state`."""
        self.now_s = round(self.moment(kind, after_s), 1)
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

    def moment(self, kind: EventType, after_s: float) -> float:
        """When the next event happens, in seconds of its period; `after_s` is what the passage asks for."""
        return self.now_s + after_s

    def other(self, side: str) -> str:
        return "a" if side == "h" else "h"

    def man(self, side: str, *but: str | None, attack: bool = False) -> str:
        """Somebody on the pitch, no goalkeeper, and none of `but`."""
        ids = sorted(p for p in self.state.on_pitch[side] if not self._keeps(p) and p not in but)
        hero = f"{side}{self.hero[side]}"
        if attack and hero in ids and self.rng.random() < self.hero_share:
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

    def side(self) -> str:
        return self.rng.choice(("h", "a"))

    # Passages of play

    def build_up(self, side: str, steps: int) -> tuple[str, float, float]:
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

    def passage(self, side: str) -> None:
        """A build-up by `side`, and one of all the things that may come of it but a goal."""
        rng = self.rng
        holder, x, y = self.build_up(side, rng.randint(1, 4))
        other = self.other(side)
        ends = {
            "shot": 5.0, "foul": 4.0 * self.foul_rate, "offside": 1.3, "corner": 2.0, "throw": 2.5, "goal_kick": 1.8,
            "tackle": 2.0, "interception": 2.0, "clearance": 2.0, "penalty": 0.35, "loose": 1.0, "save": 0.5,
        }  # fmt: skip
        end = rng.choices(list(ends), weights=list(ends.values()))[0]
        if end == "shot":
            self.shot(side, holder)
        elif end == "foul":
            self.foul(other, holder, x, y)
        elif end == "penalty":
            self.penalty(side, holder)
        elif end == "offside":
            self.emit(EventType.OFFSIDE, 2, team=side, player=holder if self.chance(0.85) else None)
        elif end == "corner":
            self.corner(side)
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

    def corner(self, side: str) -> None:
        """A corner, and perhaps a shot from it."""
        taker = self.man(side) if self.chance(0.6) else None
        self.emit(EventType.CORNER, self.rng.uniform(4, 25), team=side, player=taker, x=1.0,
                  y=self.rng.choice((0.0, 1.0)))  # fmt: skip
        if self.chance(0.35):
            self.shot(side, self.man(side, attack=True), Situation.CORNER)

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

    def shot(self, side: str, shooter: str, situation: Situation = Situation.OPEN_PLAY) -> None:
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
            self.corner(side)

    def foul(self, side: str, fouled: str, x: float, y: float) -> None:
        """A foul by `side` where the other one, its man `fouled`, was at (x, y), with card and free kick perhaps."""
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
                self.review(None, VarDecision.CARD_RESCINDED, VarDecision.NO_CHANGE, card)
        other = self.other(side)
        if self.chance(0.55):
            taker = self.man(other) if self.chance(0.6) else None
            self.emit(EventType.FREE_KICK, self.rng.uniform(8, 20), team=other, player=taker, x=_at(x), y=_at(y))
            if x > 0.6 and self.chance(0.5):
                self.shot(other, taker or self.man(other, attack=True), Situation.FREE_KICK)

    def penalty(self, side: str, fouled: str) -> None:
        """A penalty for `side`, reviewed perhaps, and its kick."""
        given = self.emit(
            EventType.PENALTY_AWARDED, 3, team=side,
            player=fouled if self.chance(0.3) else None,
        )  # fmt: skip
        if self.chance(0.3):
            verdict = self.review(side, VarDecision.PENALTY_CANCELLED, VarDecision.PENALTY_STANDS, given)
            if verdict is VarDecision.PENALTY_CANCELLED:
                return
        self.now_s += self.rng.uniform(30, 70)
        taker = self.man(side, attack=True)
        if self.chance(0.7):
            self.score(side, taker, Situation.PENALTY)
        else:
            self.shot(side, taker, Situation.PENALTY)

    def review(self, side: str | None, off: VarDecision, on: VarDecision, about: MatchEvent) -> VarDecision:
        who = {"team": about.team, "player": about.player} if self.chance(0.5) else {"team": side}
        self.emit(EventType.VAR_REVIEW, self.rng.uniform(8, 25), **who)
        decision = off if self.chance(0.5) else on
        cancels = about.event_id if decision is off else None
        self.emit(EventType.VAR_DECISION, self.rng.uniform(30, 90), decision=decision, cancels=cancels, **who)
        return decision

    def score(self, side: str, scorer: str, situation: Situation, review: bool = True) -> None:
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
            self.review(side, VarDecision.GOAL_DISALLOWED, VarDecision.GOAL_STANDS, goal)

    def goal_passage(self, side: str) -> None:
        """Ends in a standing goal for `side`, and perhaps one before it that did not stand."""
        rng = self.rng
        if self.chance(0.06):
            holder, _, _ = self.build_up(side, 1)
            self.score(side, holder, Situation.OPEN_PLAY)
            self.now_s += rng.uniform(30, 90)
        kinds = {"open": 10, "counter": 2, "corner": 2, "free_kick": 1.5, "penalty": 2.5, "own": 2.2}
        kind = rng.choices(list(kinds), weights=list(kinds.values()))[0]
        if kind == "penalty":
            self.penalty(side, self.man(side))
            return
        self.build_up(side, rng.randint(1, 3))
        if kind == "own":
            other = self.other(side)
            unlucky = self.man(other) if self.chance(0.92) else None
            own = self.emit(EventType.OWN_GOAL, 3, team=other, player=unlucky, x=0.03, y=0.5)
            if self.chance(0.05):
                self.review(side, VarDecision.GOAL_DISALLOWED, VarDecision.GOAL_STANDS, own)
            return
        if kind == "corner":
            self.emit(EventType.CORNER, 5, team=side, player=self.man(side), x=1.0, y=rng.choice((0.0, 1.0)))
        situation = {
            "open": Situation.OPEN_PLAY, "counter": Situation.COUNTER_ATTACK, "corner": Situation.CORNER,
            "free_kick": Situation.FREE_KICK,
        }[kind]  # fmt: skip
        self.score(side, self.man(side, attack=True), situation)

    def change(self, side: str) -> None:
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


def _at(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 3)
