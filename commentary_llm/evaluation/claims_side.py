"""Claims about sides: whose goal, corner, penalty or change it is, who won, for whom somebody plays."""

from __future__ import annotations

import re
from collections.abc import Iterator

from commentary_llm.evaluation.finding import Finding
from commentary_llm.evaluation.ledger import SHOOTOUT, Moment
from commentary_llm.evaluation.reading import Reading
from commentary_llm.match.events import EventType

_SET_PIECES = {
    EventType.CORNER: r"corner(?: kick)?",
    EventType.FREE_KICK: r"free[- ]kick",
    EventType.THROW_IN: r"throw(?:-?\s?in)?",
    EventType.GOAL_KICK: r"goal[- ]kick",
    EventType.PENALTY_AWARDED: r"penalty|spot[- ]kick|chance",
}


def side_claims(reading: Reading, moment: Moment) -> Iterator[Finding]:
    """Sides given somebody else's event, and players given to the wrong side."""
    event, text = moment.event, reading.annotated
    for match in re.finditer(
        r"\b(T\d)(?: 's)? (?:striker |keeper |goalkeeper |forward |defender |midfielder |captain )?(P\d+)\b", text
    ):
        owner = moment.sides[reading.player(match[2])]
        if owner != reading.side(match[1]) and not re.search(r"T\d P\d+", match[0]):
            yield Finding("side", f"{match[0]!r}: the player is of the other side")
    for match in re.finditer(
        r"\b(P\d+) (?:(?!P\d)[\w'-]+ ){0,3}?(?:scores|gets 1 back|wins it|strikes|equali[sz]es|"
        r"rescues)(?: \w+){0,2} for (T\d)\b",
        text,
    ):
        owner = moment.sides[reading.player(match[1])]
        if owner != reading.side(match[2]):
            yield Finding("side", f"{match[0]!r}: the player is of the other side")
    for match in re.finditer(r"\b(P\d+) for (T\d)\b", text):
        if moment.sides[reading.player(match[1])] != reading.side(match[2]):
            yield Finding("side", f"{match[0]!r}: the player is of the other side")
    for match in re.finditer(r"\b(T\d) (?:(?!T\d)[\w'-]+ ){0,5}?(?:through|with) (P\d+)\b", text):
        if moment.sides[reading.player(match[2])] != reading.side(match[1]):
            yield Finding("side", f"{match[0]!r}: the player is of the other side")
    if event.type in (EventType.MATCH_END, EventType.PERIOD_END) or (event.period == SHOOTOUT and moment.soon_over):
        yield from _winner(reading, moment)
    elif re.search(
        r"\bT\d (?:win|have won|are (?:the )?(?:world )?champions)(?: the (?:match|cup|"
        r"final|title))?(?= [.!,]|$)",
        text,
    ):
        yield Finding("score", "won, but the match goes on")
    if moment.gains is None:
        return
    yield from _anybodys(reading, moment)
    if event.type in _SET_PIECES:
        yield from _set_piece(reading, moment, _SET_PIECES[event.type])
    if event.type is EventType.FOUL:
        for match in re.finditer(
            r"\bfree[- ]kick (?:for|to) (T\d)\b|\b(T\d) (?:have|win|get|with) (?:a |"
            r"the )?(?:(?!P\d)[\w'-]+ )?free[- ]kick",
            text,
        ):
            if reading.side(match[1] or match[2]) == moment.side:
                yield Finding("side", f"{match[0]!r}: the foul was theirs")
    if event.type is EventType.OFFSIDE:
        for match in re.finditer(r"\boffside against (T\d)\b|\b(T\d)(?: are| is)? (?:caught )?offside\b", text):
            if reading.side(match[1] or match[2]) != moment.side:
                yield Finding("side", f"{match[0]!r}: the other side was offside")
        for match in re.finditer(
            r"\bfree[- ]kick (?:for|to) (T\d)\b|\b(T\d) (?:have|win|get) (?:the|a) free[- ]kick", text
        ):
            if reading.side(match[1] or match[2]) == moment.side:
                yield Finding("side", f"{match[0]!r}: they were offside themselves")
    if event.type in (EventType.GOAL, EventType.OWN_GOAL):
        yield from _goal_side(reading, moment)
    if event.type is EventType.SHOT:
        for match in re.finditer(
            r"\b(T\d) (?:go close|come close|try|threaten|shoot|are denied|test|waste|squander|miss|"
            r"have a (?:go|shot))\b|\b(?:chance|opening|"
            r"effort|shot|opportunity) for (T\d)\b",
            text,
        ):
            if reading.side(match[1] or match[2]) != moment.side:
                yield Finding("side", f"{match[0]!r}: the attempt was the other side's")
        for match in re.finditer(
            r"\b(T\d) (?:survive|get in the way|hold on|get away with it|stand firm)\b|"
            r"\bkeeps? (T\d) in\b|\blet-?\s?off for (T\d)\b",
            text,
        ):
            if reading.side(next(filter(None, match.groups()))) == moment.side:
                yield Finding("side", f"{match[0]!r}: the attempt was their own")
    if event.type is EventType.VAR_DECISION and moment.reviewed is not None:
        about = moment.reviewed.team or moment.sides.get(moment.reviewed.player or "")
        for match in re.finditer(
            r"\b(T\d) (?:have|see|had) (?:a |the |their )?(?:goal|penalty)|\baway from (T\d)\b", text
        ):
            if reading.side(match[1] or match[2]) != about:
                yield Finding("side", f"{match[0]!r}: it was the other side's")
    if event.type in (EventType.SUBSTITUTION, EventType.FORMATION):
        for match in re.finditer(
            r"\b(?:change|substitution|shape|changes|switch|sub)\b(?: \w+){0,2} (?:for|by|"
            r"from) (T\d)\b|\b(T\d) (?:bring|make|send|throw|change|switch)\b",
            text,
        ):
            if reading.side(match[1] or match[2]) != moment.side:
                yield Finding("side", f"{match[0]!r}: it is the other side's change")


def _set_piece(reading: Reading, moment: Moment, words: str) -> Iterator[Finding]:
    patterns = (
        rf"\b(?:{words})\b(?: kick)?(?:(?: \S+){{0,6}}?) (?:for|to) (T\d)\b",
        rf"\b(T\d)(?: 's)? (?:have|win|get|earn|with|take|force|are given|want|may)?(?: \S+){{0,4}}? ?(?:{words})\b",
    )
    for pattern in patterns:
        for match in re.finditer(pattern, reading.annotated):
            defending = re.search(r"defend|concede|against|give away|under pressure|have work", match[0])
            if re.search(r"[.!?]", match[0]):
                continue
            if (reading.side(match[1]) == moment.side) is bool(defending):
                yield Finding("side", f"{match[0]!r}: it is the other side's")


_ONE_SIDED = frozenset(
    {
        *_SET_PIECES,
        EventType.SHOT,
        EventType.CARD,
        EventType.SUBSTITUTION,
        EventType.PASS,
        EventType.CARRY,
        EventType.DRIBBLE,
        EventType.TACKLE,
        EventType.INTERCEPTION,
        EventType.CLEARANCE,
    }
)
# Clauses about the score, where either side may be named.
_ABOUT_SCORE = re.compile(
    r"\d+-\d+|\d+-all|\b(?:lead|leads|leading|trail|trails|ahead|behind|level|square|apiece|up|down|"
    r"cushion|in front)\b|"
    r"\bT\d \d\b|\bstill\b|\bbetween\b|\bcomeback\b|\bgoals?\b"
)
# What is said of the side that suffers an attempt, a corner or a free kick.
_SUFFERS = re.compile(
    r"\bagainst\b|\bdefend\w*|\bsurviv\w*|\bspared\b|\boff the hook\b|\blet-?\s?off\b|\brescue\b|"
    r"\bin the way\b|\bin it\b|"
    r"\bbreathe\b|\balert\b|\bwork to do\b|\bpressure on\b|\bunder pressure\b|\bconced\w*|"
    r"\bgives? away\b|\bpast\b|\bstand\w*|"
    r"\bhold\w*|\bclear\w*|\baway from\b|\bfrom T|\btrouble\b|\bdanger\b|\bescape\w*|\brelie\w*|"
    r"\bpunish\w*|\bblock\w*|\bsave\w*|"
    r"\bden(?:y|ies|ied)\b|\bkeep\w*|\bback\b|\bneed\w*|\bwait\w*|\bdeal\b|\bworr\w*|\bT\d 's\b|"
    r"\bwall\b|\bfor cover\b|\bbox\b|"
    r"\bopen(?:ed)?\b|\bexposed\b|\bset themselves\b|\bluck\w*|\bdrop\w*|\bdeep\b|\bbody\b|\bbodies\b|"
    r"\bdefenders?\b|\bget away\b|\bheads? it\b"
)
_SAVED_BY_LUCK = re.compile(
    r"\b(T\d) (?:\w+ )?(?:survive|spared|off the hook|get away with it|throw themselves|breathe again|"
    r"get in the way)\b|"
    r"\b(?:let-?\s?off|rescue|relief) for (T\d)\b|\b(T\d) 's rescue\b|\bkeeps? (T\d) in\b"
)


def _anybodys(reading: Reading, moment: Moment) -> Iterator[Finding]:
    """The other side named as if the event were its own, or the acting side as if it had suffered it."""
    event = moment.event
    lost = event.type is EventType.PASS and event.completed is False  # the ball is the other side's now
    if event.type not in _ONE_SIDED or event.period == SHOOTOUT or lost:
        return
    for sentence in reading.sentences:
        for clause in re.split(r" [,;:–—] | but | while ", sentence):
            if _ABOUT_SCORE.search(clause) or re.search(r"T\d (?:against|v) T\d", clause):
                continue
            for mark in re.findall(r"\bT\d\b", clause):
                if reading.side(mark) != moment.side and not _SUFFERS.search(sentence):
                    yield Finding("side", f"{clause!r}: the event is the other side's")
    if moment.event.type is EventType.SHOT:
        for match in _SAVED_BY_LUCK.finditer(reading.annotated):
            if reading.side(next(filter(None, match.groups()))) == moment.side:
                yield Finding("side", f"{match[0]!r}: the attempt was their own")


def _goal_side(reading: Reading, moment: Moment) -> Iterator[Finding]:
    text = reading.annotated
    gains = moment.gains
    for match in re.finditer(
        r"\bgoal for (T\d)\b|\b(T\d) (?:score|scores|make it|makes it|have scored|strike|equali[sz]e|have 1|get 1|"
        r"pull 1|have their|have a goal|break|have snatched|celebrate)\b|"
        r"\b(T\d) have (?:\d|it(?! all))\b|\bequali[sz]er for (T\d)\b|\b(T\d) are (?:back )?level\b|"
        r"\b(?:away|home|in|scores|net) for (T\d)\b|\b(T\d) on the (?:counter|break)\b",
        text,
    ):
        side = reading.side(next(filter(None, match.groups())))
        if side != gains and moment.event.period != SHOOTOUT:
            yield Finding("side", f"{match[0]!r}: the goal is the other side's")
    for match in re.finditer(
        r"\b(T\d) (?:concede|are punished|are stunned|are in (?:real )?trouble)\b|\b(?:heartbreak|"
        r"nightmare|blow) for (T\d)\b",
        text,
    ):
        if reading.side(match[1] or match[2]) == gains:
            yield Finding("side", f"{match[0]!r}: they have just scored")


def _winner(reading: Reading, moment: Moment) -> Iterator[Finding]:
    won = moment.leader or moment.shootout_leader
    over = moment.soon_over and moment.next_period is None
    pattern = (
        r"\b(T\d) (?:(?:have|has|are|is) )?(?:win|wins|won|beat|take it|world champions|champions|"
        r"through|victorious|prevail|triumph|hold on|lift|have their hands on)\b|"
        r"\bvictory for (T\d)\b|\b(T\d) (?:the winners)\b"
    )
    for match in re.finditer(pattern, reading.annotated):
        if re.search(rf"{re.escape(match[0])} (?:a|the|it) (?:corner|free|throw|penalty|ball)", reading.annotated):
            continue
        side = reading.side(next(filter(None, match.groups())))
        if not over:
            yield Finding("score", f"{match[0]!r}, but the match goes on")
        elif side != won:
            yield Finding("score", f"{match[0]!r}, but the winner is {won or 'nobody'}")
    for match in re.finditer(
        r"\b(T\d) (?:lose|are (?:out|beaten)|go out|bow out|are knocked out)\b|\bdefeat for (T\d)\b", reading.annotated
    ):
        if reading.side(match[1] or match[2]) == won:
            yield Finding("score", f"{match[0]!r}, but they won")
    beat = re.search(r"\b(T\d) (?:beat|have beaten) (T\d)\b", reading.annotated)
    if beat and won and reading.side(beat[1]) != won:
        yield Finding("score", f"{beat[0]!r}, but the winner is {won}")
