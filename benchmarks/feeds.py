"""Dense match feeds, made up from a seed: eight tellable events a minute in each of many matches at once.

Far denser than life, and with far more goals, penalties and reviews, so that percentiles of urgent calls have samples
to rest on; the shares of shots, fouls, corners and the like among the rest are those of ordinary matches. No word of a
name stands in two matches: what one of them says can be told from what another says.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from checkpoints.finetune.matches_lineups import BENCH, FORMATIONS, POSITIONS
from checkpoints.finetune.names import NameMaker
from checkpoints.finetune.passages import Passages
from commentary_llm.ground.errors import ConfigError
from commentary_llm.match import CardType, EventType, MatchEvent, MatchInfo, Player, Situation, Team

TELLABLE_PER_MINUTE = 8
# What a commentator has a call for; passes, runs, throw-ins and the like fill the time between.
TELLABLE = frozenset(
    {
        EventType.PERIOD_START,
        EventType.PERIOD_END,
        EventType.GOAL,
        EventType.OWN_GOAL,
        EventType.SHOT,
        EventType.SAVE,
        EventType.CORNER,
        EventType.FOUL,
        EventType.FREE_KICK,
        EventType.OFFSIDE,
        EventType.CARD,
        EventType.SUBSTITUTION,
        EventType.PENALTY_AWARDED,
        EventType.VAR_REVIEW,
        EventType.VAR_DECISION,
    }
)
# What cuts into a line: it often follows what led to it before that has been told. A penalty's kick takes its time.
_SUDDEN = frozenset({EventType.GOAL, EventType.OWN_GOAL, EventType.PENALTY_AWARDED, EventType.VAR_DECISION})
_SUDDEN_SHARE = 0.9
_SUDDEN_S = (0.8, 2.5)
MAX_MINUTES = 150.0  # an event's clock ends two hours after its period's kick-off
_HALF_S = 45 * 60.0
_GRID_S = 60.0 / TELLABLE_PER_MINUTE
# What a passage of play comes to, and how often. A shot, a foul, a penalty bring more events with them.
_PASSAGES = {
    "shot": 9.0,
    "foul": 6.5,
    "corner": 3.0,
    "offside": 2.5,
    "save": 1.0,
    "change": 2.0,
    "goal": 3.0,
    "penalty": 2.5,
}
_FOUL_RATE = 1.6  # against `Passages`: cards often enough
_MIN_WORD, _MAX_WORD = 4, 12  # shorter ones are often words of the language too
_ATTEMPTS = 2000


@dataclass(frozen=True)
class TimedEvent:
    """`at_s`: seconds after the feed's start, at 1x."""

    at_s: float
    event: MatchEvent


@dataclass(frozen=True)
class Feed:
    """One match and what happens in it, in order. Folding the events is never refused."""

    info: MatchInfo
    events: tuple[TimedEvent, ...]


class FeedMaker:
    """Makes one different match after another. The same seed makes the same ones, however many are asked for."""

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self._count = 0
        self._taken: set[str] = set()  # words of all names so far

    def feed(self, minutes: float, salt: str = "") -> Feed:
        """The next match, `minutes` of it from the kick-off. `salt` makes another one of it.

        Raises ConfigError when `minutes` is not above 0 and at most MAX_MINUTES, or when there are no more names.
        """
        if not 0 < minutes <= MAX_MINUTES:
            raise ConfigError(f"a feed of {minutes:g} minutes: expected more than 0, at most {MAX_MINUTES:g}")
        self._count += 1
        rng = random.Random(f"feed:{self._seed}:{self._count}:{salt}")
        info = self._lineups(rng, f"feed-{self._seed}-{self._count}{salt}")
        play = _DensePlay(rng, info)
        play.run(minutes * 60)
        events = tuple(TimedEvent(at_s, event) for at_s, event in play.timed if at_s < minutes * 60)
        return Feed(info, events)

    def _lineups(self, rng: random.Random, match_id: str) -> MatchInfo:
        names = NameMaker(rng)
        cultures = [names.culture(), names.culture()]
        home, away = (self._team(rng, names, side, culture) for side, culture in zip("ha", cultures, strict=True))
        return MatchInfo(id=match_id, home=home, away=away)

    def _team(self, rng: random.Random, names: NameMaker, side: str, culture: str) -> Team:
        def person() -> str:
            own = culture if rng.random() < 0.6 else names.culture()
            return f"{names.given(own)} {names.family(own)}"

        def stranger() -> str:
            return f"{names.family(names.culture())} {names.family(names.culture())}"

        players = tuple(
            Player(
                id=f"{side}{number}",
                name=self._new(person, stranger),
                shirt=number,
                position=position,
                starter=number <= len(POSITIONS),
            )
            for number, position in enumerate((*POSITIONS, *BENCH), start=1)
        )
        return Team(
            id=side,
            name=self._new(lambda: names.place(culture), lambda: names.place(names.culture())),
            players=players,
            formation=rng.choice(FORMATIONS),
        )

    def _new(self, draw: Callable[[], str], or_else: Callable[[], str]) -> str:
        """A name none of whose words has been used, by `or_else` when `draw` finds none."""
        for attempt in range(_ATTEMPTS):
            name = draw() if attempt < _ATTEMPTS // 20 else or_else()
            words = name_words(name)
            fits = all(_MIN_WORD <= len(word) <= _MAX_WORD for word in words) and len(words) == len(name.split())
            if fits and len(set(words)) == len(words) and self._taken.isdisjoint(words):
                self._taken.update(words)
                return name
        raise ConfigError(f"{self._count} matches: no names are left of which no word is in use; ask for fewer")


def make_feeds(count: int, minutes: float, seed: int = 1) -> list[Feed]:
    """`count` different matches of `minutes` each. Raises ConfigError, see `FeedMaker`."""
    maker = FeedMaker(seed)
    return [maker.feed(minutes) for _ in range(count)]


def name_words(name: str) -> list[str]:
    """The words of a name, in small letters."""
    return re.findall(r"[^\W\d_]+", name.casefold())


class _DensePlay(Passages):
    """Plays on, with a tellable event in each of the minute's eight parts, wherever in it; sudden ones come early."""

    def __init__(self, rng: random.Random, info: MatchInfo) -> None:
        super().__init__(rng, info, foul_rate=_FOUL_RATE)
        self.timed: list[tuple[float, MatchEvent]] = []
        self._told = 0  # tellable events so far
        self._due_s = self._draw()
        self._last_s = self._last_told_s = 0.0  # of the whole feed, as `_due_s`
        self._kicked_off_s = 0.0

    def run(self, seconds: float) -> None:
        """Plays until no more can come before `seconds`."""
        self.emit(EventType.PERIOD_START)
        while self._due_s < seconds:
            if self.period == 1 and self._due_s >= _HALF_S:
                self._half_time()
            side = self.side()
            end = self.rng.choices(list(_PASSAGES), weights=list(_PASSAGES.values()))[0]
            self._play(end, side)

    def emit(self, kind: EventType, after_s: float = 0.0, **fields: object) -> MatchEvent:
        sudden = kind in _SUDDEN or fields.get("card") in (CardType.RED, CardType.SECOND_YELLOW)
        if sudden and fields.get("situation") is not Situation.PENALTY and self.chance(_SUDDEN_SHARE):
            soon_s = max(self._last_told_s + self.rng.uniform(*_SUDDEN_S), (self._told - 1) * _GRID_S)
            self._due_s = min(self._due_s, soon_s)
        event = super().emit(kind, after_s, **fields)
        self._last_s = self._kicked_off_s + event.elapsed_s
        self.timed.append((self._last_s, event))
        if kind in TELLABLE:
            self._told += 1
            self._last_told_s = self._last_s
            self._due_s = self._draw()
        return event

    def moment(self, kind: EventType, after_s: float) -> float:
        """A tellable event comes when it is due, others in the time before that."""
        left_s = max(0.0, self._due_s - self._last_s)
        at_s = self._due_s if kind in TELLABLE else self._last_s + min(after_s, left_s / 2)
        return max(at_s, self._last_s) - self._kicked_off_s

    def _draw(self) -> float:
        return (self._told + self.rng.uniform(0.05, 0.95)) * _GRID_S

    def _half_time(self) -> None:
        self.emit(EventType.PERIOD_END)
        self.period, self._kicked_off_s = 2, self._last_s
        self.emit(EventType.PERIOD_START)

    def _play(self, end: str, side: str) -> None:
        if end == "change":
            self.change(side)
        elif end == "goal":
            self.goal_passage(side)
        else:
            holder, x, y = self.build_up(side, self.rng.randint(0, 2))
            self._end(end, side, holder, x, y)

    def _end(self, end: str, side: str, holder: str, x: float, y: float) -> None:
        other = self.other(side)
        keeper = self.keeper(other)
        if end == "shot":
            self.shot(side, holder)
        elif end == "foul":
            self.foul(other, holder, x, y)
        elif end == "corner":
            self.corner(side)
        elif end == "offside":
            self.emit(EventType.OFFSIDE, team=side, player=holder)
        elif end == "penalty":
            self.penalty(side, holder)
        elif keeper is not None:
            self.emit(EventType.SAVE, team=other, player=keeper)
