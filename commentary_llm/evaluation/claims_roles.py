"""Claims about who did it to whom: scorer and provider, fouler and fouled, on and off."""

from __future__ import annotations

import re
from collections.abc import Iterator

from commentary_llm.evaluation.finding import Finding, doubt
from commentary_llm.evaluation.ledger import ATTEMPTS, Moment
from commentary_llm.evaluation.reading import Reading
from commentary_llm.match.events import EventType, MatchEvent, ShotOutcome

# Each pattern captures the player in that part.
_SCORER = (
    r"\b(P\d+) (?:scores|has scored|buries|nets|converts|strikes|equali[sz]es|heads|nods|"
    r"makes no mistake|finishes|shoots|lets fly|has it blocked|gets the shot away|on target|"
    r"tries|goes for goal|has a go|fires|blazes|slots|tucks|rolls|wins it|pulls|tees|steps up)\b(?! up| back to)",
    r"\b(P\d+)(?: with the| the| 's) (?:finish|header|goal|strike|shot|effort|scorer|finisher|volley|penalty)\b",
    r"\b(?:finished|scored|put away|headed in|turned in) by (P\d+)\b",
    r"\b(?:shot|effort|header|strike|attempt|penalty) (?:from|by) (P\d+)\b",
)
_PROVIDER = (
    r"\b(?:set up|teed up|laid on|provided|assisted|found|supplied|picked out|created|played in|released) by (P\d+)\b",
    r"\bassist (?:by|from|for|to) (P\d+)\b",
    r"\b(P\d+)(?: with the| the| 's| with an) (?:assist|pass|ball|cross|delivery|provider|corner|"
    r"through ball|supply)\b",
    r"\b(P\d+) (?:(?!P\d)[\w'-]+ ){0,4}?(?:finds (?=P\d|him)|tees up|sets? (?:P\d+|him) up|sets? up|picks out|"
    r"lays it on|feeds|plays in|slips in|squares|crosses for|releases|supplies)\b",
    r"\bfrom (P\d+) 's (?:pass|ball|cross|corner|delivery|assist|through ball)\b",
    r"\b(P\d+) to (?=P\d+)",
)
_ON = (
    r"\b(P\d+) (?:(?!P\d)[\w'-]+ ){0,4}?(?:comes? on|is on\b|goes on\b|is thrown on|replaces|enters|"
    r"is introduced|takes (?:his|the|P\d+ 's) place|is back on|is sent on|gets on|takes over)\b",
    r"\b(?:on comes?|on goes|brings? on|sends? on|throws? on|thrown on|introduces?|time for|enter|"
    r"send(?:s)? for|welcome|here comes) (?:on )?(P\d+)\b",
    r"\b(P\d+) on\b(?! (?:the|his|P\d+ with|a|target|goal|loan))",
    r"\b(P\d+)(?: (?:on|in))? (?:for|in place of|in for) (?=P\d+)",
    r"\bmak\w+ way for (P\d+)\b|\bgiv\w+ way to (P\d+)\b|\breplaced by (P\d+)\b",
    r"\bcome on[ ,]+(P\d+)\b",
)
_OFF = (
    r"\btakes? over from (P\d+)\b",
    r"\b(P\d+)(?:,? (?:a|the) \w+ \w+,?)? (?:(?!P\d)[\w'-]+ ){0,2}?(?:makes way|make way|gives way|"
    r"comes off|goes off|is withdrawn|is taken off|departs|leaves the|trudges off|"
    r"can't continue|is replaced|cannot continue|has to come off|is off\b|is hooked|is substituted)\b",
    r"\b(P\d+) 's (?:(?!P\d)[\w'-]+ ){0,2}?(?:evening|night|game|day|afternoon|match|work|"
    r"race) (?:is (?:over|done|run)|comes to an end)\b",
    r"\b(?:off (?:goes|comes)|takes? off|withdraws?|replaces|replacing|in place of|on for|hooks) (P\d+)\b",
    r"\bP\d+ (?:(?:on|in|comes? (?:on|in)) )?for (P\d+)\b",
    r"\b(P\d+) off\b(?! (?:target|the|balance))",
    r"\bP\d+ takes (?:his|the) place of (P\d+)|\bplace of (P\d+)\b",
)
_FOULER = (
    r"\b(?:foul|challenge|tackle|offence|handball|contact|trip|push|hands?) (?:by|from|of) (P\d+)\b",
    r"\b(?:fouled|brought down|tripped|caught|felled|upended|chopped down|taken out|taken down|"
    r"hauled back|clipped) by (P\d+)\b",
    r"\b(P\d+) (?:(?!P\d|is\b|was\b|been\b|gets\b)[\w'-]+ ){0,2}?(?:fouls|trips|tripped|"
    r"brings? \S+ down|brings? down|brought \S* ?down|catches|caught|clips|upends|hauls|chops|"
    r"pulls (?:back|down)|"
    r"is penali[sz]ed|is pulled up|with the (?:foul|challenge|offence)|the (?:offender|culprit)|"
    r"commits|gives away|concedes|guilty|felled|fells)\b",
    r"\b(P\d+)(?: 's)? (?:foul |challenge |hand )?on (?=P\d+)",
    r"\bit 's (P\d+) who (?:caught|fouled|tripped|brought|felled|clipped)",
    r"\b(?:under (?:the )?(?:challenge|pressure)) (?:of|from) (P\d+)\b",
    r"\bwins? (?:the|a) (?:free[- ]kick|foul|penalty) (?:off|from) (P\d+)\b",
)
_FOULED = (
    r"\b(P\d+) (?:(?!P\d)[\w'-]+ )?(?:wins? (?:the|a) (?:(?!P\d)[\w'-]+ )?(?:free[- ]kick|foul|"
    r"penalty)|is (?:fouled|brought down|tripped|caught|felled|upended|clipped)|goes down|"
    r"was (?:fouled|brought down)|goes to ground|is sent (?:flying|tumbling))\b",
    r"\b(?:fouls|trips|tripped|brings? down|brought down(?! by)|fells|clips|upends|fouled(?! by)|"
    r"catches|chops down|hauls (?:down|back)|foul on|challenge on|foul against) (P\d+)\b",
    r"\bP\d+ on (P\d+)\b",
    r"\bdown goes (P\d+)\b",
)
_KEEPER = (
    r"\b(P\d+) (?:(?!P\d)[\w'-]+ ){0,2}?(?:saves|denies|keeps (?:(?!P\d)[\w'-]+ ){0,2}out|"
    r"kept (?:(?!P\d)[\w'-]+ ){0,2}out|tips|palms|pushes|parries|stands firm|holds firm|makes (?:the|"
    r"a) (?:(?!P\d)[\w'-]+ )?save|dives|guesses|claws|holds on|gathers|says no|to the rescue|is equal|"
    r"beats it away|stops|makes the stop|up to the task|is there to save|has it covered)\b",
    r"\b(?:saved|denied|kept out|stopped|pushed away|clawed away|beaten away|turned away|palmed away|"
    r"held) (?:from the spot )?by (?:(?:his own|the) keeper , )?(P\d+)\b",
    r"\b(?:save|stop) by (P\d+)\b|\bcomfortable for (P\d+)\b|\bstraight at (P\d+)\b|\bpast (P\d+)\b|\bbeats (P\d+)\b",
    r"\bforces (P\d+) into\b|\btests (P\d+)\b",
)
_DENIED = (
    r"\b(?:denies|denying) (P\d+)\b",
    r"\b(P\d+) (?:is|was|has been) (?:denied|thwarted|kept out)\b",
    r"\b(P\d+) 's (?:shot|effort|header|penalty|free[- ]kick|attempt|strike|spot[- ]kick)\b",
)
_BOOKED = (
    r"\b(?:booking|yellow(?: card)?|caution|red(?: card)?|card) (?:is shown )?(?:for|to) (P\d+)\b",
    r"\b(P\d+) (?:(?!P\d)[\w'-]+ ){0,2}?(?:is (?:shown|booked|cautioned|sent off|given|dismissed|off)|"
    r"goes in(?:to)? the|picks up|collects|sees (?:red|yellow)|gets (?:a|the)|has to go|must go)\b",
)


def role_claims(reading: Reading, moment: Moment) -> Iterator[Finding]:
    event = moment.event
    plural = re.search(r"(?:^|[.!?,] )(P\d+) (?:have|are|lead|trail|attack|shoot|score|were)\b", reading.annotated)
    if plural and not re.search(rf"and {plural[1]}\b", reading.annotated):
        yield Finding("role", f"{plural[0]!r}: a player told as a side")
    if event.type in ATTEMPTS:
        yield from _attempt(reading, moment)
    elif event.type is EventType.SAVE:
        yield from _expect(reading, _KEEPER, {event.player, event.goalkeeper}, "the save")
    elif event.type is EventType.SUBSTITUTION:
        yield from _change(reading, moment)
    elif event.type is EventType.CARD:
        yield from _expect(reading, _BOOKED, {event.player}, "the card", others=_fouled_near(moment))
        yield from _foul(reading, moment.was(EventType.FOUL))
        if moment.was(EventType.FOUL) is None and event.player:
            yield from _expect(reading, _FOULER, {event.player}, "the foul")
    elif event.type is EventType.FOUL:
        yield from _foul(reading, event)
    elif event.type in (EventType.PENALTY_AWARDED, EventType.FREE_KICK):
        yield from _foul(reading, moment.was(EventType.FOUL))
    elif event.type is EventType.PASS:
        passer = ({event.player}, {event.receiver})
        yield from _expect(reading, _PROVIDER, passer[0], "the pass")
        for match in re.finditer(
            r"\b(?:finds|to|picks out|feeds|looks? for|looking for|reaches) (P\d+)\b", reading.annotated
        ):
            if event.receiver and reading.player(match[1]) != event.receiver:
                yield Finding("role", f"{match[0]!r}, but the pass went to another")
    elif event.type in _DUELS:
        yield from _duel(reading, event)


def _players(patterns: tuple[str, ...], reading: Reading) -> Iterator[tuple[str, str]]:
    """(words, player id) of everybody a pattern puts in that part."""
    for pattern in patterns:
        for match in re.finditer(pattern, reading.annotated):
            mark = next(filter(None, match.groups()), None)
            if mark is not None and not re.search(r"[.!?]", match[0]):
                yield match[0], reading.player(mark)


def _expect(
    reading: Reading,
    patterns: tuple[str, ...],
    allowed: set[str | None],
    part: str,
    others: frozenset[str] = frozenset(),
) -> Iterator[Finding]:
    for words, player in _players(patterns, reading):
        if player not in allowed and player not in others:
            yield Finding("role", f"{words!r}: {part} is not of {_label(reading, player)}")


def _label(reading: Reading, player: str) -> str:
    return f"{player!r}"


def _fouled_near(moment: Moment) -> frozenset[str]:
    foul = moment.was(EventType.FOUL)
    return frozenset(filter(None, (foul.opponent,))) if foul else frozenset()


def _attempt(reading: Reading, moment: Moment) -> Iterator[Finding]:
    event = moment.event
    keeper = event.goalkeeper or (moment.keeper_of(moment.other(moment.side)) if moment.side else None)
    if event.type is EventType.OWN_GOAL:
        for words, player in _players(
            (r"\b(P\d+) (?:gets|grabs|has) the (?:equali[sz]er|goal|winner)", *_SCORER), reading
        ):
            if player != event.player:
                yield Finding("role", f"{words!r}, but it is an own goal of another")
        for match in re.finditer(
            r"\b(P\d+) (?:has |have )?(?:put|puts|turns?|turned|heads?|sliced?)", reading.annotated
        ):
            if reading.player(match[1]) != event.player:
                yield Finding("role", f"{match[0]!r}, but it is an own goal of another")
        return
    yield from _expect(reading, _SCORER, {event.player}, "the attempt")
    for match in re.finditer(
        r"\b(P\d+) [!.,]+ (?:and )?he (?:scores|has scored|finds the net|"
        r"converts|shoots)\b",
        reading.annotated,
    ):
        if reading.player(match[1]) != event.player:
            yield Finding("role", f"{match[0]!r}: the attempt is another's")
    if event.type is EventType.GOAL:
        for match in re.finditer(r"\bfrom (P\d+)\b(?! 's)", reading.annotated):
            if reading.player(match[1]) not in (event.player, event.assist):
                yield Finding("role", f"{match[0]!r}: neither scorer nor provider")
    rebound = frozenset(p for e in moment.recent[-3:] if e.type in ATTEMPTS for p in (e.player,) if p)
    for words, player in _players(_PROVIDER, reading):
        if player == event.assist or (words.startswith("found") and player == event.player):
            continue
        if event.type is EventType.GOAL or player == event.player:
            told = "another's" if event.assist else "not in the event"
            yield Finding("role", f"{words!r}, but the assist is {told}")
        elif player not in rebound:
            yield doubt("role", f"{words!r}: who provided is not in the event")
    provided = re.search(r"\b(?:it 's )?(P\d+) (?:lays|rolls|tees) it (?:on|up) for (P\d+)", reading.annotated)
    if provided and reading.player(provided[2]) != event.player:
        yield Finding("role", f"{provided[0]!r}, but another took the attempt")
    if re.search(r"\bown keeper\b", reading.annotated):
        yield Finding("role", "his own keeper, but the other side's faced it")
    if event.outcome is ShotOutcome.SAVED or event.type is EventType.GOAL:
        for words, player in _players(_KEEPER, reading):
            if player != keeper and (keeper is not None or moment.sides[player] == moment.side):
                yield Finding("role", f"{words!r}, but that is not the keeper who faced it")
        for words, player in _players(_DENIED, reading):
            if player != event.player and not (words.endswith("free kick") and player == event.assist):
                yield Finding("role", f"{words!r}, but the attempt was another's")


def _change(reading: Reading, moment: Moment) -> Iterator[Finding]:
    event = moment.event
    near = [
        e
        for e in (*moment.recent, *moment.soon)
        if e.type is EventType.SUBSTITUTION and moment.sides.get(e.player or "") == moment.side
    ]
    pairs = {(e.player_on, e.player) for e in (event, *near)}
    on, off = ({pair[i] for pair in pairs} for i in (0, 1))
    for words, player in _players(_ON, reading):
        if player not in on:
            yield Finding("role", f"{words!r}: {_label(reading, player)} does not come on")
    for words, player in _players(_OFF, reading):
        if player not in off:
            yield Finding("role", f"{words!r}: {_label(reading, player)} does not go off")
    named = reading.players
    comers, goers = [p for p in named if p in on], [p for p in named if p in off]
    if len(comers) == 1 and len(goers) == 1 and (comers[0], goers[0]) not in pairs:
        yield Finding("role", "the one who comes on replaces another")
    if not {event.player, event.player_on} & set(named) and named:
        yield Finding("role", "neither player of this change is named, others are")
    if re.search(r"\bdouble (?:change|substitution)", reading.annotated):
        missing = [
            p
            for p in comers
            if p not in {e.player_on for e in (event, *near) if abs(e.elapsed_s - event.elapsed_s) <= 45}
        ]
        if missing:
            yield Finding("role", "a double change with one who came on earlier")


def _foul(reading: Reading, foul: MatchEvent | None) -> Iterator[Finding]:
    if foul is None:
        return
    for words, player in _players(_FOULER, reading):
        if player != foul.player:
            yield Finding("role", f"{words!r}, but the foul is another's")
    for words, player in _players(_FOULED, reading):
        if (foul.opponent is not None and player != foul.opponent) or player == foul.player:
            if not (words.endswith("goes down") and foul.opponent is None):
                yield Finding("role", f"{words!r}, but another was fouled")
        elif foul.opponent is None:
            yield doubt("role", f"{words!r}: who was fouled is not in the event")


_DUELS = frozenset(
    {
        EventType.TACKLE,
        EventType.DRIBBLE,
        EventType.INTERCEPTION,
        EventType.CLEARANCE,
        EventType.CARRY,
        EventType.INJURY,
    }
)
_DOES = (
    r"\b(P\d+) (?:clears|reads|cuts|intercepts|hooks|heads|steps in|wins|gets there|drives|carries|"
    r"runs|skips|beats|dances|is down|stays down|needs)\b",
    r"\b(?:cleared|intercepted|won|tackle|interception|clearance) (?:away )?(?:by|from) (P\d+)\b",
)


def _duel(reading: Reading, event: MatchEvent) -> Iterator[Finding]:
    verbs = (
        r"takes it off|skips past|goes past|beats|dispossesses|robs|nicks it off|wins it (?:off|from)|"
        r"gets past|dances past|tackles|leaves"
    )
    for match in re.finditer(rf"\b(P\d+) (?:(?!P\d)[\w'-]+ )?(?:{verbs}) (P\d+)\b", reading.annotated):
        if reading.player(match[1]) != event.player or (event.opponent and reading.player(match[2]) != event.opponent):
            yield Finding("role", f"{match[0]!r}: the other way round, or another")
    yield from _expect(reading, _DOES, {event.player}, f"the {event.type.value}")
