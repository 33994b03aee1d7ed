"""Random matches, and clauses that are true of their events, each with lies that change exactly one fact.

Made from events and scores alone: nothing here reads the gate's vocabulary or the facts it judges by.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from commentary_llm.ground.errors import InputError
from commentary_llm.match import MatchEvent, MatchInfo, MatchState, Player, Team
from commentary_llm.match.match import Match

# id -> (name on the line-up, what is said of him); surnames that two share are told apart by the first name.
_HOME = {
    "h1": ("Jón Ásgeirsson", "Ásgeirsson"),
    "h2": ("Paolo Rice", "Rice"),
    "h3": ("Virgil van Dalen", "van Dalen"),
    "h4": ("Diego Costa", "Diego Costa"),
    "h5": ("Bruno Costa", "Bruno Costa"),
    "h6": ("Kofi Mensah-Bright", "Mensah-Bright"),
    "h7": ("Rodrigo De Paula", "De Paula"),
    "h8": ("Marek Zieliński", "Zielinski"),
    "h9": ("Pelé Júnior", "Pelé"),
    "h10": ("Ciarán O'Shea", "O'Shea"),
    "h11": ("Tunde Okafor", "Okafor"),
    "h12": ("Nico Strand", "Strand"),
    "h13": ("Ashley Young", "Young"),
    "h14": ("Emil Tveit", "Tveit"),
    "h15": ("Łukasz Bąk", "Bąk"),
}
_AWAY = {
    "a1": ("Rui Caldeira", "Caldeira"),
    "a2": ("Tonhão", "Tonhão"),
    "a3": ("Alexis Mac Allan", "Mac Allan"),
    "a4": ("Oskar Nyman", "Nyman"),
    "a5": ("Søren Vestergård", "Vestergard"),
    "a6": ("Saleh Al-Owairan", "Al-Owairan"),
    "a7": ("Dudu", "Dudu"),
    "a8": ("Ángel Di Marco", "Di Marco"),
    "a9": ("Joe Cross", "Cross"),
    "a10": ("Felipe Costa", "Felipe Costa"),
    "a11": ("Yannick N'Dour", "N'Dour"),
    "a12": ("Freddie Noakes", "Noakes"),
    "a13": ("Mehdi Ben Aïssa", "Ben Aïssa"),
    "a14": ("Gonçalo Vaz", "Vaz"),
    "a15": ("Ian Ball", "Ball"),
}
SAID = {player: said for players in (_HOME, _AWAY) for player, (_, said) in players.items()}
_ORDINALS = ["", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
_NUMBERS = ["nil", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def _team(team_id: str, name: str, nickname: str, players: dict[str, tuple[str, str]]) -> Team:
    return Team(
        id=team_id,
        name=name,
        nicknames=(nickname,),
        players=tuple(
            Player(id=key, name=full, position="goalkeeper" if i == 0 else None, starter=i < 11)
            for i, (key, (full, _)) in enumerate(players.items())
        ),
    )


INFO = MatchInfo(
    id="random",
    home=_team("brackwell", "Brackwell Town", "the Herons", _HOME),
    away=_team("sao-luis", "São Luís", "the Tigers", _AWAY),
)
_TEAM_SAID = {"brackwell": ("Brackwell Town", "Brackwell Town", "the Herons"), "sao-luis": ("São Luís", "Sao Luis")}


@dataclass(frozen=True)
class TrueClause:
    """`lies`: the same clause with one fact changed, by the kind of change."""

    text: str
    lies: tuple[tuple[str, str], ...] = ()
    opener: str = ""


@dataclass
class _Teller:
    """Builds the clauses of one event."""

    event: MatchEvent
    state: MatchState
    rng: random.Random
    clauses: list[TrueClause] = field(default_factory=list)

    def __post_init__(self) -> None:
        event, state = self.event, self.state
        self.side = event.team or (state.team_of(event.player).id if event.player else INFO.home.id)
        self.other = state.opponent_of(self.side).id
        self.t = self.rng.choice(_TEAM_SAID[self.side])
        self.o = self.rng.choice(_TEAM_SAID[self.other])

    def say(self, text: str, *lies: tuple[str, str] | None, opener: str = "") -> None:
        told = tuple(lie for lie in lies if lie is not None and lie[1] != text)
        self.clauses.append(TrueClause(_capital(text), tuple((kind, _capital(lie)) for kind, lie in told), opener))

    def strangers(self) -> dict[str, str]:
        """One player of each sort who has nothing to do with the event: kind of swap -> name."""
        event, state = self.event, self.state
        involved = {getattr(event, role) for role in ("player", "assist", "goalkeeper", "opponent", "receiver")}
        involved |= {event.player_on}
        keepers = {"h1", "a1"}
        changed = {sub.player_off for sub in state.substitutions[:-4]}
        groups = {
            "same team": state.on_pitch[self.side] - involved - keepers,
            "other team": state.on_pitch[self.other] - involved - keepers,
            "bench": set(SAID) - state.on_pitch[self.side] - state.on_pitch[self.other] - involved - changed,
            "sent off": set(state.sent_off) - involved,
            "substituted": changed - involved,
        }
        recent = {one for past in state.recent for one in (past.player, past.player_on, past.opponent)}
        return {
            kind: SAID[self.rng.choice(sorted(players - recent))]
            for kind, players in groups.items()
            if players - recent
        }

    def swapped(self, shape: str) -> list[tuple[str, str]]:
        """`shape` with a stranger in the place of {p}."""
        return [(f"player: {kind}", shape.format(p=name)) for kind, name in self.strangers().items()]


def random_match(rng: random.Random, events: int = 30) -> Iterator[tuple[MatchEvent, MatchState]]:
    """Events that fold, each with the state after it. Two halves, at times extra time."""
    match = Match(INFO)
    periods = 4 if rng.random() < 0.2 else 2
    each = max(events // periods, 4)
    number = 0
    for period in range(1, periods + 1):
        length = 2700 if period <= 2 else 900
        times = sorted(rng.uniform(5, length + (200 if rng.random() < 0.5 else -1)) for _ in range(each))
        for elapsed_s in [*times, length + 240.0]:
            number += 1
            last = elapsed_s == length + 240.0
            event = _random_event(rng, match.state, number, period, round(elapsed_s), last)
            try:
                yield event, match.accept(event).state_after
            except InputError:
                continue
    yield (
        (end := _random_event(rng, match.state, number + 1, periods, 3000 if periods == 2 else 1200, None)),
        (match.accept(end).state_after),
    )


def _random_event(
    rng: random.Random, state: MatchState, number: int, period: int, elapsed_s: float, last: bool | None
) -> MatchEvent:
    base = {"event_id": f"r{number}", "period": period, "elapsed_s": elapsed_s}
    if last is None:
        return MatchEvent(type="match_end", **base)
    if last:
        return MatchEvent(type="period_end", **base)
    side, other = rng.sample([INFO.home.id, INFO.away.id], 2)
    mine, theirs = sorted(state.on_pitch[side] - {"h1", "a1"}), sorted(state.on_pitch[other] - {"h1", "a1"})
    player, mate = rng.sample(mine, 2)
    foe, keeper = rng.choice(theirs), "h1" if other == INFO.home.id else "a1"
    attempt = {
        "player": player,
        "goalkeeper": keeper,
        "body_part": rng.choice([None, "left_foot", "right_foot", "head"]),
        "situation": rng.choice([None, "open_play", "corner", "counter_attack"]),
    }
    bench = sorted({p.id for p in state.team(side).players if not p.starter} - state.on_pitch[side])
    fields = {
        "goal": attempt | {"assist": rng.choice([None, mate])},
        "penalty goal": attempt | {"situation": "penalty", "body_part": "right_foot"},
        "shot": attempt | {"outcome": rng.choice(["saved", "off_target", "blocked", "post"])},
        "card": {"player": player, "card": rng.choice(["yellow", "yellow", "yellow", "red"])},
        "substitution": {"player": player, "player_on": rng.choice(bench) if bench else mate},
        "foul": {"player": player, "opponent": foe},
        "tackle": {"player": player, "opponent": foe, "completed": True},
        "pass": {"player": player, "receiver": mate, "completed": True},
        "offside": {"player": player},
        "own_goal": {"player": player},
        "corner": {},
        "penalty_awarded": {},
    }
    weights = [9, 2, 8, 5, 5, 4, 2, 3, 2, 1, 2, 1]
    kind = rng.choices(list(fields), weights)[0]
    if rng.random() < 0.04:
        return MatchEvent(type="stoppage_time", minutes_added=rng.randint(1, 9), **base)
    return MatchEvent(type=kind.split()[-1], team=side, **base, **fields[kind])


def true_clauses(event: MatchEvent, state: MatchState, rng: random.Random) -> list[TrueClause]:
    """What may be said of `event`, with lies beside it."""
    teller = _Teller(event, state, rng)
    tell = {
        "goal": _goal,
        "own_goal": _own_goal,
        "shot": _shot,
        "card": _card,
        "substitution": _substitution,
        "foul": _foul,
        "tackle": _tackle,
        "pass": _pass,
        "offside": _offside,
        "corner": _corner,
        "penalty_awarded": _penalty,
        "stoppage_time": _stoppage,
        "period_end": _period_end,
        "match_end": _match_end,
    }.get(event.type.value)
    if tell is not None:
        tell(teller)
    return teller.clauses


def _goal(x: _Teller) -> None:
    event, state, p = x.event, x.state, SAID[x.event.player or ""]
    count, team_count = state.goals_by(event.player or ""), state.score_of(x.side)
    verbs = ["misses", "is denied", "hits the post", "is offside", "saves", "is booked", "shoots wide"]
    x.say(
        f"{p} scores!",
        *x.swapped("{p} scores!"),
        *[("outcome", f"{p} {verb}!") for verb in verbs],
        ("outcome", f"Own goal by {p}!"),
        ("team", f"{p} scores for {x.o}!"),
    )
    stranger = next(iter(x.strangers().values()), None)
    x.say("He scores!", opener=f"Goal! {p}!")
    if stranger is not None:
        x.clauses.append(TrueClause("", (("pronoun", "He scores!"),), opener=f"{stranger}!"))
    if event.assist is not None:
        a = SAID[event.assist]
        x.say(f"{a} sets up {p}!", ("doer and receiver", f"{p} sets up {a}!"), *x.swapped("{p} sets up " + p + "!"))
        x.say(f"{p} scores, with {a} the provider.", ("doer and receiver", f"{a} scores, with {p} the provider."))
    for word, counts in (("brace", 2), ("hat-trick", 3)):
        text = f"A {word} for {p}!"
        if count == counts:
            x.say(text, *x.swapped("A " + word + " for {p}!"))
        else:
            x.clauses.append(TrueClause("", (("ordinal", text),)))
    if count < 9:
        x.say(
            f"It's his {_ORDINALS[count]} goal!",
            *[("ordinal", f"It's his {_ORDINALS[n]} goal!") for n in (count - 1, count + 1, count + 2) if n > 0],
        )
    if team_count < 9:
        x.say(
            f"{x.t}'s {_ORDINALS[team_count]} goal!",
            *[("ordinal", f"{x.t}'s {_ORDINALS[n]} goal!") for n in (team_count - 1, team_count + 1) if n > 0],
            ("team", f"{x.o}'s {_ORDINALS[team_count]} goal!") if state.score_of(x.other) != team_count else None,
        )
    if event.body_part is not None:
        how = {"left_foot": "with the left foot", "right_foot": "with the right foot", "head": "with a header"}
        true = how.pop(event.body_part.value)
        x.say(f"{p} scores {true}!", *[("body", f"{p} scores {lie}!") for lie in how.values()])
    if event.situation is not None and event.situation.value == "penalty":
        x.say(f"{p} scores from the spot!", ("situation", f"{p} scores from the corner!"))
    elif event.situation is not None:
        x.clauses.append(TrueClause("", (("situation", f"{p} scores from the spot!"),)))
    _clock(x, f"{p} scores")
    _standing(x)


def _clock(x: _Teller, start: str) -> None:
    period, elapsed_s = x.event.period, x.event.elapsed_s
    if elapsed_s < (2700 if period <= 2 else 900):
        minute = {1: 0, 2: 45, 3: 90, 4: 105}[period] + int(elapsed_s // 60) + 1
        x.say(
            f"{start} in the {_nth(minute)} minute!",
            *[
                ("minute", f"{start} in the {_nth(minute + off)} minute!")
                for off in (-10, -1, 1, 2)
                if minute + off > 0
            ],
        )
    halves = ["in the first half", "in the second half", "in extra time", "in extra time"]
    lies = {"in the first half", "in the second half", "in extra time"} - {halves[period - 1]}
    # Extra time has halves too: "in the first half" of it is no lie.
    lies = lies if period <= 2 else set()
    x.say(f"{start} {halves[period - 1]}!", *[("half", f"{start} {lie}!") for lie in sorted(lies)])


def _standing(x: _Teller) -> None:
    n, m = x.state.score_of(x.side), x.state.score_of(x.other)
    if max(n, m) > 8:
        return
    x.say(
        f"{x.t} {_NUMBERS[n]}, {x.o} {_NUMBERS[m]}.",
        ("score swapped", f"{x.t} {_NUMBERS[m]}, {x.o} {_NUMBERS[n]}.") if n != m else None,
        ("score", f"{x.t} {_NUMBERS[n + 1]}, {x.o} {_NUMBERS[m]}."),
        ("score", f"{x.t} {_NUMBERS[n]}, {x.o} {_NUMBERS[m + 1]}."),
    )
    high, low = max(n, m), min(n, m)
    if n == m:
        x.say(
            f"It's level at {n}-{m}.",
            ("score", f"It's level at {n + 1}-{m + 1}."),
            ("score", f"It's level at {n + 1}-{m}."),
            ("side", f"{x.t} lead."),
            ("side", f"{x.o} lead."),
            ("side", f"{x.t} trail."),
        )
        return
    leads, trails = (x.t, x.o) if n > m else (x.o, x.t)
    x.say(
        f"{leads} lead {high}-{low}.",
        ("side", f"{trails} lead {high}-{low}."),
        ("score swapped", f"{leads} lead {low}-{high}."),
        ("score", f"{leads} lead {high + 1}-{low}."),
        ("score", f"{leads} lead {_NUMBERS[high]}-{_NUMBERS[low + 1]}."),
        ("side", f"{leads} trail {high}-{low}."),
        ("side", f"It's level at {high}-{low}."),
        ("side", "It's all square."),
        ("side", f"{trails} are in front."),
    )


def _own_goal(x: _Teller) -> None:
    p = SAID[x.event.player or ""]
    x.say(
        f"An own goal by {p}!",
        *x.swapped("An own goal by {p}!"),
        ("outcome", f"A goal by {p}!"),
        ("outcome", f"{p} scores for {x.t}!"),
        ("team", f"A goal for {x.t}!"),
    )


def _shot(x: _Teller) -> None:
    event, p, k = x.event, SAID[x.event.player or ""], SAID[x.event.goalkeeper or ""]
    phrases = {
        "saved": f"{p}'s shot is saved.",
        "off_target": f"{p} misses the target.",
        "blocked": f"{p}'s shot is blocked.",
        "post": f"{p} hits the post.",
    }
    true = phrases.pop(event.outcome.value if event.outcome else "")
    x.say(
        true,
        *[("outcome", lie) for lie in phrases.values()],
        ("outcome", f"{p} scores!"),
        ("outcome", f"Goal for {x.t}!"),
        *x.swapped(true.replace(p, "{p}")),
    )
    if event.outcome is not None and event.outcome.value == "saved":
        wrong = SAID["a1" if event.goalkeeper == "h1" else "h1"]
        x.say(
            f"{p} is denied by {k}!",
            ("doer and receiver", f"{k} is denied by {p}!"),
            ("player", f"{p} is denied by {wrong}!"),
            *x.swapped("{p} is denied by " + k + "!"),
        )
        x.say(f"{k} saves from {p}.", ("doer and receiver", f"{p} saves from {k}."))
        x.clauses.append(TrueClause("", (("pronoun", "He saves!"),), opener=f"{p}!"))
    _clock(x, f"{p} shoots")


def _card(x: _Teller) -> None:
    state, p = x.state, SAID[x.event.player or ""]
    booking = next(b for b in reversed(state.cards) if x.event.event_id in (b.event_id, *b.merged))
    if booking.card.value == "yellow":
        x.say(
            f"{p} is booked.",
            *x.swapped("{p} is booked."),
            ("card", f"{p} is sent off!"),
            ("card", f"A second yellow for {p}!"),
            ("card", f"A red card for {p}!"),
        )
    else:
        x.say(f"{p} is sent off!", *x.swapped("{p} is sent off!"), ("card", f"{p} is booked."))
    x.say(f"A card for {x.t}.", ("team", f"A card for {x.o}."))
    count = len(state.cards)
    if count < 9:
        x.say(
            f"The {_ORDINALS[count]} booking of the match.",
            *[("count", f"The {_ORDINALS[n]} booking of the match.") for n in (count - 1, count + 1) if n > 0],
        )
    gone = {side: sum(state.team_of(player).id == side for player in state.sent_off) for side in (x.side, x.other)}
    men = {1: "ten", 2: "nine"}
    if booking.card.value != "yellow" and gone[x.side] in men:
        lie = men[3 - gone[x.side]]
        x.say(
            f"{x.t} are down to {men[gone[x.side]]} men.",
            ("count", f"{x.t} are down to {lie} men."),
            ("team", f"{x.o} are down to {men[gone[x.side]]} men.") if gone[x.other] != gone[x.side] else None,
        )


def _substitution(x: _Teller) -> None:
    state, off, on = x.state, SAID[x.event.player or ""], SAID[x.event.player_on or ""]
    x.say(
        f"{on} replaces {off}.",
        ("doer and receiver", f"{off} replaces {on}."),
        *x.swapped("{p} replaces " + off + "."),
        *x.swapped(on + " replaces {p}."),
    )
    x.say(f"{off} makes way for {on}.", ("doer and receiver", f"{on} makes way for {off}."))
    x.say(f"A change for {x.t}.", ("team", f"A change for {x.o}."))
    made = sum(sub.team == x.side for sub in state.substitutions)
    x.say(
        f"{x.t}'s {_ORDINALS[made]} change.",
        *[("count", f"{x.t}'s {_ORDINALS[n]} change.") for n in (made - 1, made + 1) if n > 0],
    )


def _foul(x: _Teller) -> None:
    p, q = SAID[x.event.player or ""], SAID[x.event.opponent or ""]
    x.say(
        f"{p} fouls {q}.",
        ("doer and receiver", f"{q} fouls {p}."),
        *x.swapped("{p} fouls " + q + "."),
        *x.swapped(p + " fouls {p}."),
        ("outcome", f"{p} is booked."),
    )
    x.say(f"{q} is brought down by {p}.", ("doer and receiver", f"{p} is brought down by {q}."))


def _tackle(x: _Teller) -> None:
    p, q = SAID[x.event.player or ""], SAID[x.event.opponent or ""]
    x.say(
        f"{p} wins the ball from {q}.",
        ("doer and receiver", f"{q} wins the ball from {p}."),
        *x.swapped("{p} wins the ball from " + q + "."),
    )


def _pass(x: _Teller) -> None:
    p, q = SAID[x.event.player or ""], SAID[x.event.receiver or ""]
    x.say(f"{p} finds {q}.", ("doer and receiver", f"{q} finds {p}."), *x.swapped(p + " finds {p}."))


def _offside(x: _Teller) -> None:
    p = SAID[x.event.player or ""]
    x.say(f"{p} is offside.", *x.swapped("{p} is offside."), ("outcome", f"{p} scores!"))


def _corner(x: _Teller) -> None:
    kinds = ["free kick", "throw-in", "goal kick", "penalty"]
    x.say(f"A corner for {x.t}.", ("team", f"A corner for {x.o}."), *[("outcome", f"A {k} for {x.t}.") for k in kinds])


def _penalty(x: _Teller) -> None:
    x.say(f"A penalty for {x.t}!", ("team", f"A penalty for {x.o}!"), ("outcome", f"{x.t} score!"))


def _stoppage(x: _Teller) -> None:
    n = x.event.minutes_added or 0
    told = [f"{k} minute{'s' if k != 1 else ''} of stoppage time." for k in range(12)]
    x.say(told[n], *[("minute", told[k]) for k in (n - 1, n + 1) if k > 0])


def _period_end(x: _Teller) -> None:
    x.side, x.other = INFO.home.id, INFO.away.id
    x.t, x.o = x.rng.choice(_TEAM_SAID[x.side]), x.rng.choice(_TEAM_SAID[x.other])
    if x.event.period == 1:
        x.say("Half-time.", ("half", "Full time."), ("half", "The end of extra time."))
    _standing(x)


def _match_end(x: _Teller) -> None:
    x.side, x.other = INFO.home.id, INFO.away.id
    n, m = x.state.score_of(x.side), x.state.score_of(x.other)
    x.t, x.o = x.rng.choice(_TEAM_SAID[x.side]), x.rng.choice(_TEAM_SAID[x.other])
    if n == m:
        x.say(f"It ends {n}-{m}.", ("side", f"{x.t} win!"), ("side", f"{x.o} win {n + 1}-{m}!"))
        return
    wins, loses = (x.t, x.o) if n > m else (x.o, x.t)
    high, low = max(n, m), min(n, m)
    x.say(
        f"{wins} win {high}-{low}!",
        ("team", f"{loses} win {high}-{low}!"),
        ("score", f"{wins} win {high + 1}-{low}!"),
        ("side", "It's a draw!"),
        ("half", f"Half-time, and {wins} lead {high}-{low}."),
    )


def _nth(n: int) -> str:
    ending = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
