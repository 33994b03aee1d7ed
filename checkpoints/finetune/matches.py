"""Synthetic matches: line-ups and a stream of events that folds without contradiction.

Rare situations (late winners, hat-tricks, red cards, shoot-outs, reviews, own goals) are far more frequent here than in
life, because a model learns nothing from what it never sees. Everything depends on the seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from checkpoints.finetune.matches_lineups import FORMATIONS, make_info
from checkpoints.finetune.passages import Passages
from commentary_llm.match import (
    EventType,
    MatchEvent,
    MatchInfo,
    MatchState,
    ShotOutcome,
    Situation,
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


class _Simulation(Passages):
    """Plays a whole match passage by passage, by a plan of its goals."""

    def __init__(self, rng: random.Random, info: MatchInfo, scenario: str) -> None:
        foul_rate, hero_share = 1.8 if scenario == "dirty" else 1.0, 0.6 if scenario == "one_man" else 0.3
        super().__init__(rng, info, foul_rate=foul_rate, hero_share=hero_share)
        self.scenario = scenario

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
                self.goal_passage(sides.pop(0))
            else:
                self.passage(self.side())
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
            self.change(self.side())

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
