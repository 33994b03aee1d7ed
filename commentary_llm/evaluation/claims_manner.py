"""Claims about how an attempt was made, and claims that no event can bear out (records, careers, verdicts)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from commentary_llm.evaluation.finding import Finding, doubt
from commentary_llm.evaluation.ledger import ATTEMPTS, Moment
from commentary_llm.evaluation.phrases import COUNTER, FAR, FOOT, HEAD, HISTORY, INVENTED, LEFT, NEAR, RIGHT
from commentary_llm.evaluation.reading import Reading
from commentary_llm.match.events import BodyPart, EventType, MatchEvent, ShotOutcome, Situation


def manner_claims(reading: Reading, moment: Moment) -> Iterator[Finding]:
    text = reading.annotated
    if moment.event.type in ATTEMPTS:
        yield from _manner(text, moment)
    history = HISTORY.search(text)
    hurt = moment.event.type is EventType.INJURY or moment.was(EventType.INJURY) is not None
    if history and not (hurt and history[0] in ("injured", "hurt")):
        yield doubt("history", f"{history[0]!r} cannot be known from the events")
    invented = INVENTED.search(text)
    note = (moment.event.note or "").lower()
    if invented and invented[0].rstrip("s") not in note and moment.event.type is not EventType.INJURY:
        yield doubt("manner", f"{invented[0]!r} is not in the event")


def _manner(text: str, moment: Moment) -> Iterator[Finding]:
    event, part = moment.event, moment.event.body_part
    for pattern, own in ((HEAD, BodyPart.HEAD), (LEFT, BodyPart.LEFT_FOOT), (RIGHT, BodyPart.RIGHT_FOOT)):
        match = pattern.search(text)
        if match is None or part is own:
            continue
        if (
            own is BodyPart.HEAD
            and re.search(r"\b(?:clear|cleared|away)\b", text)
            and event.outcome is ShotOutcome.BLOCKED
        ):
            continue
        yield (
            doubt("manner", f"{match[0]!r} is not in the event")
            if part is None
            else Finding("manner", f"{match[0]!r}, but it was {part.value}")
        )
    if part is BodyPart.HEAD and FOOT.search(text):
        yield Finding("manner", "a foot, but it was a header")
    set_pieces = (
        (r"\bfree[- ]kick\b", Situation.FREE_KICK, EventType.FREE_KICK),
        (
            r"\bcorner\b(?<!bottom corner)(?<!top corner)(?<!far corner)(?<!near corner)(?! (?:of|pocket))",
            Situation.CORNER,
            EventType.CORNER,
        ),
    )
    for words, situation, kind in set_pieces:
        if re.search(words, text) and event.situation is not situation and moment.was(kind) is None:
            if re.search(r"\b(?:for|behind for|wins?|win) (?:a|the) (?:corner|free kick)", text):
                yield doubt("outcome", "a set piece after the attempt")
            else:
                known = event.situation is not None
                play = event.situation.value if event.situation else "unknown play"
                yield (Finding if known else doubt)("manner", f"{situation.value}, but it came from {play}")
    if event.situation is Situation.PENALTY and re.search(r"\bthe wall\b", text):
        yield Finding("manner", "a wall, but it was a penalty")
    counter = COUNTER.search(text)
    if counter and event.situation is not Situation.COUNTER_ATTACK:
        yield doubt("manner", f"{counter[0]!r} is not in the event")
    if event.situation is not Situation.PENALTY:
        yield from _distance(text, event)


def _distance(text: str, event: MatchEvent) -> Iterator[Finding]:
    far, near = FAR.search(text), NEAR.search(text)
    if not far and not near:
        return
    if event.x is None:
        if "distance" not in (event.note or "") and "outside" not in (event.note or ""):
            yield doubt("manner", f"{(far or near)[0]!r}, but the event has no place")  # type: ignore[index]
        return
    metres = (((1 - event.x) * 105) ** 2 + ((0.5 - (event.y if event.y is not None else 0.5)) * 68) ** 2) ** 0.5
    claimed = int(far[1]) * 0.9144 if far and far[1] else 17.0
    if (far and metres < claimed - 4) or (near and metres > 12):
        yield Finding("manner", f"{(far or near)[0]!r}, but it was from {metres:.0f} m")  # type: ignore[index]
