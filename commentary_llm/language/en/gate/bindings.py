"""Who did it to whom: names resolved, claims with the names around them, names no claim has placed."""

from __future__ import annotations

from commentary_llm.cue.facts import Facts
from commentary_llm.cue.facts.keys import Key
from commentary_llm.language.contract import Cause
from commentary_llm.language.en.gate.lexicon import Claim
from commentary_llm.language.en.gate.pronouns import resolve_pronouns
from commentary_llm.language.en.gate.reading import CONJUNCTIONS, Item, Reading
from commentary_llm.language.en.gate.refusal import Refused

# Nouns that turn "the France …" into the place or men of the side under attack.
_OPPOSED_NOUNS = frozenset(
    [
        "body",
        "legs",
        "rescue",
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
_PAST = frozenset({"was", "were", "had", "been"})
LASTING = frozenset({"still", "remain", "remains", "stay", "stays", "continue", "continues", "keep", "keeps", "hold"})
_PLACING = frozenset({"for", "by", "past", "on", "to", "over", "under", "at", "against", "into", "ahead of", "beyond"})
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
    """Settles whom every name means, and whom every pronoun may mean."""
    facts = reading.facts
    reading.participants = frozenset().union(*(keys for role, keys in facts.roles.items() if role != "has_scored"))
    for item in reading.items:
        if item.kind != "name":
            continue
        if len(item.keys) == 1:
            item.key = next(iter(item.keys))
        else:
            # Two of one name: the one who has a part in the event, if it is only one.
            meant = item.keys & reading.participants
            if len(meant) != 1:
                raise Refused(Cause.AMBIGUOUS_NAME if meant else Cause.PLAYER, item.text)
            item.key = next(iter(meant))
        if item.key.startswith("p:") and item.key not in reading.participants | facts.keys("has_scored"):
            raise Refused(Cause.PLAYER, f"{item.text} has no part in this event")
        if item.key == "k" and "keeper" not in facts.roles and "keeper_actor" not in facts.roles:
            raise Refused(Cause.PLAYER, "no goalkeeper has a part in this event")
    resolve_pronouns(reading)


def check_claims(reading: Reading) -> None:
    """Raises Refused unless every claim is true of those it is said of."""
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
    if claim.cause is Cause.SCORE and (failure := _misplaced_in_time(reading, index, claim)):
        return failure
    if not claim.binds:
        return None
    bound: list[tuple[Item, str]] = []  # with the roles they fill
    for name, preposition in reading.names_after(index):
        roles = claim.after if preposition is None else claim.prepositions.get(preposition)
        if roles is None and (preposition is None or name.kind == "pronoun"):
            continue
        if roles is None and preposition == "for" and _plays_for(reading.subject_before(index), name, facts):
            roles = "side"  # "replaces Messi for Argentina": the side of who does it
        if roles is None:
            if not (preposition == "against" and name.key in facts.keys("other")):
                return _wrong(name, claim)
        elif name.kind == "pronoun":
            if roles and not _may_be(name, facts.keys(roles), reading.subject_before(index)):
                return _wrong(name, claim)
        elif name.key not in facts.keys(roles):
            if preposition != "for" or not _plays_for(reading.subject_before(index), name, facts):
                return _wrong(name, claim)
            roles = "side"
        if name.kind == "name":
            bound.append((name, roles or "other"))
    if claim.needs_object and not any(preposition is None for _, preposition in reading.names_after(index)):
        return Refused(claim.cause, f"{claim.phrase!r} to nobody")
    agents = [name for name, roles in bound if roles != "side"]
    before = reading.subject_before(index) if claim.before is not None else None
    if claim.needs_subject and before is None:
        return Refused(claim.cause, claim.phrase)
    if before is not None:
        keys = facts.keys(claim.before or "")
        if claim.adverbial and before.key not in keys and before.is_object:
            # "Mbappé beats Lloris from the spot": the place goes with the first of them.
            before = reading.subject_before(next(i for i, item in enumerate(reading.items) if item is before)) or before
        if before.kind == "pronoun":
            if (
                not _may_be(before, keys)
                and not (claim.noun and agents)
                and not (claim.loose and before.text != "they")
            ):
                return _wrong(before, claim)
        elif before.key in keys:
            for other in reading.joined_before(before):
                if other.key not in keys:
                    return _wrong(other, claim)
                bound.append((other, claim.before or ""))
            bound.append((before, claim.before or ""))
        elif not (claim.noun and agents) and not claim.loose:
            return _wrong(before, claim)
    if (stranger := _mismatched_change(facts, bound)) is not None:
        return _wrong(stranger, claim)
    for name, roles in bound:
        name.is_object = name.is_object or (name is not before and not name.bound)
        name.bound = True
        reading.parts.append((name.key or "", roles))
    return None


def check_changes(reading: Reading) -> None:
    """Of several changes at once, who comes on and who goes off in one line have to belong together."""
    replaced = reading.facts.replaced
    if len(replaced) < 2:
        return
    named = {key for sentence in reading.earlier for keys in sentence for key in keys}
    on = {key for key, roles in reading.parts if "on" in roles.split(",") and key in replaced}
    off = {key for key, roles in reading.parts if "off" in roles.split(",") and key in replaced.values()}
    on |= named & replaced.keys()
    off |= named & set(replaced.values())
    gone = {replaced[key] for key in on}
    if on and off and not (gone <= off or off <= gone):
        raise Refused(Cause.PLAYER, "players of two different changes")


def _plays_for(player: Item | None, side: Item, facts: Facts) -> bool:
    """Whether "for" may name the side of the player who does it; of an own goal nobody is the doer for his side."""
    key = player.key if player is not None else None
    if key is None or not key.startswith("p:") or "own_goal" in facts.flags:
        return False
    return side.key == f"t:{facts.state.team_of(key[2:]).id}"


def _may_be(pronoun: Item, keys: frozenset[Key], subject: Item | None = None) -> bool:
    """Whether somebody the pronoun may stand for is among `keys`; the subject himself is not his own object."""
    antecedents = pronoun.antecedents
    if subject is not None and subject.key is not None and not pronoun.text.endswith(("self", "selves")):
        antecedents = antecedents - {subject.key}
    return not antecedents or bool(antecedents & keys)


def _mismatched_change(facts: Facts, bound: list[tuple[Item, str]]) -> Item | None:
    """Of several changes at once: whoever is said to replace the wrong man."""
    for on, roles in bound:
        if on.key not in facts.replaced or "on" not in roles.split(","):
            continue
        for off, others in bound:
            if off.key in facts.replaced.values() and "off" in others.split(",") and facts.replaced[on.key] != off.key:
                return off
    return None


def _misplaced_in_time(reading: Reading, index: int, claim: Claim) -> Refused | None:
    """A standing told as past ("were ahead"), as lasting when it is new ("still lead"), or as somebody's doing."""
    flags = reading.facts.flags
    words = reading.words_before(index) | set(claim.phrase.split()[:1])
    after = reading.items[index + 1 : index + 2]
    if words & _PAST and not flags & {"match_over", "period_end"}:
        return Refused(Cause.UNCERTAIN, f"{claim.phrase!r} in the past")
    if "standing_changed" in flags and (words & LASTING or (after and after[0].text == "still")):
        return Refused(Cause.SCORE, f"{claim.phrase!r} is new")
    if "scored" in flags and "margin" in claim.condition.text and words & LASTING:
        return Refused(Cause.SCORE, f"{claim.phrase!r} is new")
    if not flags & {"takes_lead", "equaliser", "standing_changed"} and _caused(reading, index):
        return Refused(Cause.SCORE, f"nobody brought about {claim.phrase!r} here")
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


def _placed(reading: Reading, index: int) -> bool:
    """Whether a preposition puts the name into a part ("for Acuña") that no claim has vouched for."""
    return index > 0 and reading.items[index - 1].text in _PLACING


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
