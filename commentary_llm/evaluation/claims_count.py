"""Claims about counts: a player's goals, a side's goals, changes, cards, attempts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from commentary_llm.evaluation.finding import Finding, doubt
from commentary_llm.evaluation.ledger import ATTEMPTS, SHOOTOUT, Moment
from commentary_llm.evaluation.phrases import UNREAL
from commentary_llm.evaluation.reading import Reading
from commentary_llm.match.events import CardType, EventType

_GOALS = (EventType.GOAL, EventType.OWN_GOAL)
_TALLIES: tuple[tuple[str, int], ...] = ((r"\bhat-?\s?trick\b|\btreble\b", 3), (r"\bbrace\b|\bdoubles? for P", 2))
_HIS = re.compile(
    r"\b(?:his |P\d+ (?:'s |with (?:his|a) |gets (?:his|a) |has (?:his|a) ))(1st|2nd|3rd|4th|"
    r"5th)\b(?! (?:yellow|book|caution|change|card|save|chance|attempt|effort|shot|touch|half|go\b))"
)
_FOR_PLAYER = re.compile(
    r"\b(\d)(?: goals)?(?: now)? for (P\d+)\b|\b(P\d+) (?:has|'s got|with|now has|"
    r"has now) (\d)(?: goals?)?(?! (?:yellow|minutes|of)| -|-)\b"
)
_NUMBER_HIS = re.compile(r"\bwith (\d) goals to his name|\b(?:his|a) (\d)(?:st|nd|rd|th) goal\b")
_MAKES = re.compile(
    r"\bmakes? (?:it|that) (\d)(?![-\d]| (?:apiece|all|each|0|minutes|changes))\b|"
    r"\bthat 's (\d)(?! (?:apiece|all|each|changes?|minutes|corners))(?![-\d])(?: for (T\d))?$"
)
_FOR_SIDE = re.compile(
    r"\b(\d)(?: goals)? for (T\d)\b|\b(T\d) have (\d)(?: goals?)?$|\b(T\d) 's (1st|2nd|3rd|4th|"
    r"5th)(?: goal)?(?! \w)|\b(T\d) (?:have|get|with|grab) (?:a|their) (1st|2nd|3rd|4th)$"
)
_AGAIN = re.compile(
    r"\b(P\d+) again\b|\b(?:done|does|did) it again\b|\banother (?:goal|1) (?:for|from) P|\bagain (?:for )?P\d+ scores"
)


def count_claims(reading: Reading, moment: Moment) -> Iterator[Finding]:
    yield from _player_goals(reading, moment)
    yield from _side_goals(reading, moment)
    yield from _changes(reading, moment)
    yield from _bookings(reading, moment)
    yield from _times(reading.annotated, moment)
    yield from _just_on(reading, moment)


def _scorer(reading: Reading, moment: Moment, place: int) -> str | None:
    """Whom a count is about: the next "for P", else the last player named, else the event's."""
    after = re.match(r"[\w-]+(?: \w+)? (?:for|from|by) (P\d+)", reading.annotated[place:])
    if after:
        return reading.player(after[1])
    if moment.event.type is EventType.GOAL and moment.event.player:
        before = re.findall(r"P\d+", reading.annotated[:place])
        return (
            moment.event.player
            if not before or reading.mark_of(moment.event.player) in before
            else reading.player(before[-1])
        )
    named = re.findall(r"P\d+", reading.annotated[:place]) or re.findall(r"P\d+", reading.annotated[place:])
    return reading.player(named[-1]) if named else moment.event.player


def _told(moment: Moment, player: str) -> str:
    return f"that player's goals: {moment.goals_of(player)}"


def _player_goals(reading: Reading, moment: Moment) -> Iterator[Finding]:
    text = reading.annotated
    said: list[tuple[str, str | None, int]] = []
    for pattern, number in _TALLIES:
        said += [(m[0], _scorer(reading, moment, m.start()), number) for m in re.finditer(pattern, text)]
    if moment.event.type is EventType.GOAL:
        for m in _HIS.finditer(text):
            named = re.match(r"P\d+", m[0]) or re.search(r"P\d+(?= with $)", text[: m.start()])
            said.append(
                (m[0], reading.player(named[0]) if named else _scorer(reading, moment, m.start()), int(m[1][0]))
            )
        if re.search(r"\b2 in (?:\d|as many|a|quick) ", text) and moment.event.player:
            said.append(("two", moment.event.player, 2))
    for m in _FOR_PLAYER.finditer(text):
        if moment.event.type in ATTEMPTS or moment.event.type is EventType.SUBSTITUTION:
            said.append((m[0], reading.player(m[2] or m[3]), int(m[1] or m[4])))
    for m in _NUMBER_HIS.finditer(text):
        said.append((m[0], _scorer(reading, moment, m.start()), int(m[1] or m[2])))
    for words, player, number in said:
        if player is None or UNREAL.search(_before(text, words)):
            yield doubt("count", words)
        elif moment.event.period == SHOOTOUT or moment.goals_of(player) != number:
            yield Finding("count", f"{words!r} ({number}), but {_told(moment, player)}")
    again = _AGAIN.search(text)
    if again and moment.event.type is EventType.GOAL and moment.event.player and moment.event.period != SHOOTOUT:
        player = reading.player(again[1]) if again[1] else moment.event.player
        if player == moment.event.player and moment.goals_of(player) < 2:
            yield Finding("count", f"{again[0]!r}, but {_told(moment, player)}")
    scorer = re.search(r"\bscorer\b|\bscored (?:tonight|today|earlier)", text)
    if scorer and moment.event.type is EventType.SUBSTITUTION:
        marks = re.findall(r"P\d+", text[: scorer.start()])
        if marks and not moment.goals_of(reading.player(marks[-1])):
            yield Finding("count", "a scorer without a goal")


def _times(text: str, moment: Moment) -> Iterator[Finding]:
    """ "For the second time": the player's attempts that ended like this one."""
    event = moment.event
    nth = re.search(r"\bfor the (1st|2nd|3rd|4th|5th) time\b", text)
    if not nth or event.type not in ATTEMPTS or event.period == SHOOTOUT:
        return
    alike = [
        e for e in moment.attempts if e.player == event.player and (e.type, e.outcome) == (event.type, event.outcome)
    ]
    sides = [e for e in moment.attempts if moment.sides.get(e.player or "") == moment.side]
    if nth[1] != "1st" and int(nth[1][0]) not in (len(alike), len(sides)):
        yield Finding("count", f"{nth[0]!r}, but it is number {len(alike)} of the player")


def _before(text: str, words: str) -> str:
    return re.split(r"[.!?,]", text[: text.find(words)])[-1]


def _side_goals(reading: Reading, moment: Moment) -> Iterator[Finding]:
    if moment.event.type not in _GOALS or moment.gains is None:
        return
    totals = {side: (moment.shootout or moment.score)[side] for side in moment.score}
    gains = totals[moment.gains]
    for clause in reading.clauses:
        for m in _MAKES.finditer(clause):
            number = int(m[1] or m[2])
            owner = reading.side(m[3]) if m[3] else None
            fits = (
                {totals[owner]}
                if owner
                else {gains, *((moment.goals_of(moment.event.player),) if moment.event.player else ())}
            )
            if number not in fits:
                yield Finding("count", f"{m[0]!r}, but {_goals_told(totals)}")
        for m in _FOR_SIDE.finditer(clause):
            mark = m[2] or m[3] or m[5] or m[7]
            number = int((m[1] or m[4] or m[6] or m[8])[0])
            if "T" in mark and totals[reading.side(mark)] != number:
                yield Finding("count", f"{m[0]!r}, but {_goals_told(totals)}")
        if re.search(r"\b2 (?:goals? )?up\b|\bhave 2\b", clause) and gains < 2:
            yield Finding("count", f"two, but {_goals_told(totals)}")
    nth = re.search(
        r"\b(1st|2nd|3rd|4th|5th|6th) goal of the (?:game|match|night|afternoon|evening|day|final)", reading.annotated
    )
    if nth and int(nth[1][0]) not in (sum(totals.values()), moment.goals_of(moment.event.player or "")):
        yield Finding("count", f"{nth[0]!r}, but {_goals_told(totals)}")


def _goals_told(totals: dict[str, int]) -> str:
    return "goals are " + ", ".join(f"{side} {number}" for side, number in totals.items())


def _changes(reading: Reading, moment: Moment) -> Iterator[Finding]:
    if moment.event.type is not EventType.SUBSTITUTION:
        return
    near = [
        event
        for event in (*moment.recent, *moment.soon)
        if event.type is EventType.SUBSTITUTION
        and _side_of(moment, event.player) == moment.side
        and abs(event.elapsed_s - moment.event.elapsed_s) <= 45
    ]
    mine = [event for event in moment.substitutions if _side_of(moment, event.player) == moment.side]
    together = len(near) + 1
    text = reading.annotated
    if re.search(r"\bdouble (?:change|switch|substitution|sub)\b|\b(?:2|two) changes at once", text) and together != 2:
        yield Finding("count", f"a double change, but {together} at once")
    if re.search(r"\btriple (?:change|switch|substitution|sub)\b", text) and together != 3:
        yield Finding("count", f"a triple change, but {together} at once")
    nth = re.search(r"\b(1st|2nd|3rd|4th|5th|6th) (?:change|substitution|switch)\b", text)
    if nth and int(nth[1][0]) not in (len(mine), len(mine) + len([e for e in near if e in moment.soon])):
        yield Finding("count", f"{nth[0]!r}, but it is number {len(mine)} of the side")
    many = re.search(r"\b(\d) changes\b", text)
    if many and int(many[1]) not in (len(mine), together):
        yield Finding("count", f"{many[0]!r}, but {len(mine)} so far, {together} at once")
    if re.search(r"\bas well\b|\banother change\b|\btoo$", text) and len(mine) < 2 and together < 2:
        yield doubt("count", "another change, but it is the first")


def _just_on(reading: Reading, moment: Moment) -> Iterator[Finding]:
    if not re.search(
        r"\b(?:just|only just) (?:come |been brought |been sent )?on\b|\bhas just come on\b|\bfresh off the bench\b",
        reading.annotated,
    ):
        return
    came = {sub.player_on for sub in moment.substitutions}
    if not came & set(reading.players):
        yield Finding("count", "just on, but nobody named here came on")


def _side_of(moment: Moment, player: str | None) -> str | None:
    return moment.sides.get(player) if player else None


def _bookings(reading: Reading, moment: Moment) -> Iterator[Finding]:
    if moment.event.type is not EventType.CARD:
        return
    text = reading.annotated
    mine = [card for card in moment.cards if card[1] == moment.side]
    if re.search(r"\banother (?:T\d|yellow|booking|card|caution)|\byet another", text) and len(mine) < 2:
        recent = len(moment.cards) > 1 and not re.search(r"another T", text)
        if not recent:
            yield Finding("count", "another card, but it is the first of the side")
    nth = re.search(
        r"\b(1st|3rd|4th|5th|6th) (?:yellow|booking|card|caution)|\b(\d) (?:bookings|yellows|cautions) (?:now )?for T",
        text,
    )
    if nth:
        number = int((nth[1] or nth[2])[0])
        yellows = [card for card in moment.cards if card[2] is not CardType.RED]
        if number not in (len(mine), len(moment.cards), len(yellows)):
            yield Finding("count", f"{nth[0]!r}, but cards so far: {len(moment.cards)}, of the side: {len(mine)}")
