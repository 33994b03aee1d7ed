"""Who did it to whom: names resolved, claims with the names around them, names no claim has placed."""

from __future__ import annotations

from commentary_llm.script.gate.lexicon import Claim
from commentary_llm.script.gate.reading import CONJUNCTIONS, Item, Reading
from commentary_llm.script.gate.verdict import Cause, Refused

# Nouns that turn "the France …" into the place or men of the side under attack.
_OPPOSED_NOUNS = frozenset(
    [
        "box",
        "area",
        "goal",
        "half",
        "defence",
        "defenders",
        "defender",
        "keeper",
        "goalkeeper",
        "wall",
        "goalmouth",
        "penalty",
        "back",
        "line",
    ]
)
_BEFORE_SUBJECT = frozenset(
    [
        "and",
        "but",
        "as",
        "so",
        "now",
        "still",
        "with",
        "while",
        "then",
        "though",
        "although",
        "because",
        "where",
        "here",
        "for",
        "of",
        "again",
        "yet",
        "that",
        "it",
        "is",
    ]
)


def resolve_names(reading: Reading) -> None:
    facts = reading.facts
    reading.participants = frozenset().union(*facts.roles.values()) if facts.roles else frozenset()
    for item in reading.items:
        if item.kind != "name":
            continue
        if len(item.keys) == 1:
            item.key = next(iter(item.keys))
        else:
            meant = item.keys & reading.participants
            if len(meant) != 1:
                raise Refused(Cause.AMBIGUOUS_NAME if meant else Cause.PLAYER, item.text)
            item.key = next(iter(meant))
        if item.key.startswith("p:") and item.key not in reading.participants:
            raise Refused(Cause.PLAYER, f"{item.text} has no part in this event")
        if item.key == "k" and "keeper" not in facts.roles and "keeper_actor" not in facts.roles:
            raise Refused(Cause.PLAYER, "no goalkeeper has a part in this event")


def check_claims(reading: Reading) -> None:
    for index, item in enumerate(reading.items):
        if item.kind not in ("claim", "relation"):
            continue
        failures = []
        for claim in item.claims:
            failure = _try_claim(reading, index, claim)
            if failure is None:
                break
            failures.append(failure)
        else:
            # A wrong name says more than a wrong fact when both readings fail.
            raise next((f for f in failures if f.verdict.cause in (Cause.PLAYER, Cause.TEAM)), failures[0])


def _try_claim(reading: Reading, index: int, claim: Claim) -> Refused | None:
    facts = reading.facts
    if not facts.holds(claim.condition):
        return Refused(claim.cause, claim.phrase)
    if claim.cause is Cause.SCORE and not facts.flags & {"takes_lead", "equaliser"} and _caused(reading, index):
        return Refused(Cause.SCORE, f"nobody brought about {claim.phrase!r} here")
    bound = []
    for name, preposition in reading.names_after(index):
        roles = claim.after if preposition is None else claim.prepositions.get(preposition)
        if roles is None and preposition is None:
            continue
        if roles is None:
            if not (preposition == "against" and name.key in facts.keys("other")):
                return _wrong(name, claim)
        elif name.key not in facts.keys(roles):
            return _wrong(name, claim)
        bound.append(name)
    before = reading.name_before(index) if claim.before is not None else None
    if before is not None:
        if before.key in facts.keys(claim.before or ""):
            bound.append(before)
        elif not (claim.noun and bound):
            return _wrong(before, claim)
    for name in bound:
        name.bound = True
    return None


def check_loose_names(reading: Reading) -> None:
    """Names no claim has placed: they may only be those the event is about."""
    facts = reading.facts
    focus = facts.keys("focus")
    for index, item in enumerate(reading.items):
        if item.kind != "name" or item.bound or item.key is None or item.key[0] in "xc":
            continue
        if item.key.startswith("t:"):
            following = reading.items[index + 1] if index + 1 < len(reading.items) else None
            opposed = following is not None and following.text in _OPPOSED_NOUNS
            before = reading.items[index - 1] if index else None
            opposed = opposed or (before is not None and before.text == "against")
            sides = facts.roles.get("other" if opposed else "side", frozenset())
            if facts.event.team is None and facts.event.player is None:
                continue  # a period or the clock: both sides are in it
            if item.key not in sides:
                raise Refused(Cause.TEAM, item.text)
        elif item.key not in focus:
            raise Refused(Cause.PLAYER, item.text)


def _caused(reading: Reading, index: int) -> bool:
    """Whether the words say that somebody makes a side lead or be level: "sends Argentina ahead".

    Where no goal did that, only the side itself may stand before the words, not a verb with the side as object.
    """
    items = reading.items[:index]
    while items and items[-1].kind in ("word", "number") and items[-1].text not in CONJUNCTIONS:
        items = items[:-1]
    if not items or items[-1].kind != "name" or not (items[-1].key or "").startswith("t:"):
        return False
    items = items[:-1]
    while items and items[-1].text in ("the", "los", "les"):
        items = items[:-1]
    return bool(items) and items[-1].kind == "word" and items[-1].text not in _BEFORE_SUBJECT


def _wrong(name: Item, claim: Claim) -> Refused:
    cause = Cause.TEAM if (name.key or "").startswith("t:") else Cause.PLAYER
    return Refused(cause, f"{name.text} with {claim.phrase!r}")
