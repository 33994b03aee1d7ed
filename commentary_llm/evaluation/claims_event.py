"""Claims about what happened: goal, save, block, woodwork, cards, penalties, VAR, manner of an attempt."""

from __future__ import annotations

import re
from collections.abc import Iterator

from commentary_llm.evaluation.finding import Finding, doubt
from commentary_llm.evaluation.ledger import ATTEMPTS, SHOOTOUT, Moment
from commentary_llm.evaluation.phrases import LEGEND, NOT_SO, PENALTY, RULED_OUT, STANDS, UNREAL
from commentary_llm.evaluation.reading import Reading
from commentary_llm.match.events import EventType, ShotOutcome, Situation, VarDecision

_FITS: dict[ShotOutcome, tuple[str, ...]] = {
    ShotOutcome.SAVED: ("save",),
    ShotOutcome.BLOCKED: ("block",),
    ShotOutcome.POST: ("woodwork",),
    ShotOutcome.OFF_TARGET: ("miss",),
}

_OFFSIDE = (EventType.OFFSIDE, EventType.VAR_REVIEW, EventType.VAR_DECISION)
_DEFENDING = (EventType.CLEARANCE, EventType.INTERCEPTION, EventType.TACKLE)


def event_claims(reading: Reading, moment: Moment) -> Iterator[Finding]:
    text = reading.annotated
    if moment.event.type in ATTEMPTS:
        yield from _outcome(reading, moment)
    else:
        yield from _other_outcomes(text, moment)
    yield from _penalties(text, moment)
    yield from _reviews(reading, moment)
    if moment.event.type is not EventType.OWN_GOAL and re.search(r"\bown[- ]goal\b|\b(?:his|their) own net\b", text):
        earlier = any(goal.own for goal in moment.goals)
        yield (doubt if earlier else Finding)("outcome", "own goal, but the event is none")
    if (
        moment.event.type is EventType.OWN_GOAL
        and not re.search(r"\bown\b", text)
        and re.search(r"\bP\d+ (?:scores|equali[sz]es)\b", text)
    ):
        yield Finding("outcome", "a goal told as the player's, but it is an own goal")
    offside = re.search(r"\boffside\b|\bflag (?:is |'s )?(?:up|raised)\b|\bflagged\b", text)
    if offside and moment.event.type not in _OFFSIDE and moment.was(EventType.OFFSIDE) is None:
        yield Finding("outcome", "offside, but nobody was")
    yield from _formation(text, moment)
    if moment.event.type is EventType.OFFSIDE and re.search(r"\bonside\b|\bstays? on\b", text):
        yield Finding("outcome", "onside, but the event is an offside")


def _formation(text: str, moment: Moment) -> Iterator[Finding]:
    event = moment.event
    if event.type is not EventType.FORMATION:
        return
    said = re.search(r"\b\d(?:-\d){2,4}\b", text)
    if said and event.formation and said[0] != event.formation:
        yield Finding("outcome", f"{said[0]}, but the formation is {event.formation}")
    if event.formation == moment.formation_before and re.search(r"\bchang\w*|\bswitch\w*|\bnew shape\b|\bnow\b", text):
        yield Finding("outcome", f"a change, but the side has played {event.formation} already")


def _outcome(reading: Reading, moment: Moment) -> Iterator[Finding]:
    """Words for another end of the attempt than the event's."""
    event = moment.event
    scored = event.type in (EventType.GOAL, EventType.OWN_GOAL)
    fits: tuple[str, ...] = ("goal",) if scored else _FITS[event.outcome] if event.outcome else ()
    if event.situation is Situation.PENALTY and not scored:
        fits += ("miss",) if re.search(r"\bmiss(?:es|ed)\b", reading.annotated) else ()
    if event.outcome is ShotOutcome.POST:
        fits += ("miss",) if re.search(r"\bmiss(?:es|ed)\b", reading.annotated) else ()
    happened = event.outcome.value if event.outcome else "a goal" if scored else "no goal"
    if scored and re.search(
        r"\b(?:(?:did|does) not|didn't|doesn't|fails? to) (?:score|find|beat)\b", reading.annotated
    ):
        yield Finding("outcome", "not scored, but the event is a goal")
    for sentence in reading.sentences:
        for kind, words in LEGEND.items():
            match = words.search(_plain_goal(sentence) if kind == "goal" else _by_the_frame(sentence))
            if match is None or kind in fits:
                continue
            before = sentence[: match.start()]
            if kind == "goal" and (
                NOT_SO.search(before.rsplit(",", 1)[-1]) or UNREAL.search(before.rsplit(",", 1)[-1])
            ):
                continue
            if kind != "goal" and scored and re.search(r"\bbut\b|, no\b|\bcan't\b|\bcannot\b|\bbeats\b", sentence):
                continue
            if kind == "save" and re.search(r"no save|can't (?:save|keep)", sentence):
                continue
            if scored and kind == "woodwork" and re.search(r"\bin off\b", sentence):
                yield doubt("outcome", match[0])
                continue
            if not fits and kind != "goal":
                yield doubt("outcome", f"{match[0]!r}, but the event does not say how it ended")
                continue
            if kind in ("save", "block", "miss", "woodwork") and _of_recent(moment, kind, sentence):
                continue
            yield Finding("outcome", f"{match[0]!r} ({kind}), but the event is {happened}")
    if not scored and re.search(r"\bgoal !", _plain_goal(reading.annotated)):
        yield Finding("outcome", f"'goal', but the event is {happened}")
    if not scored and moment.event.period < SHOOTOUT and _claims_change(reading.annotated):
        yield Finding("outcome", f"a change of the score, but the event is {happened}")


def _by_the_frame(sentence: str) -> str:
    """Without the woodwork's own saves: "denied by the woodwork", "the post saves them"."""
    frame = r"(?:woodwork|post|bar|crossbar|upright|frame of the goal)"
    return re.sub(
        rf"\b(?:denied|saved|kept out) by the {frame}|\b{frame} (?:\w+ )?(?:saves|denies|keeps|comes to the rescue)",
        frame,
        sentence,
    )


def _plain_goal(sentence: str) -> str:
    sentence = re.sub(r"\b(?:frame|side|face|line) of (?:the )?goal\b", "_", sentence)
    sentence = re.sub(
        r"\bgoal(?=keeper| kick|less|line|-| difference)|\b(?:at|on|for|in|towards) goal\b|\bno goal\b", "_", sentence
    )
    return re.sub(r"\bscores? (?:is|stays|remains|stands)\b", "_", sentence)


def _claims_change(text: str) -> bool:
    return bool(re.search(r"\b(?:makes? it|that makes it) \d-\d\b", text))


def _of_recent(moment: Moment, kind: str, sentence: str) -> bool:
    """ "After the save, …": what another attempt of the last two minutes came to, told as past."""
    if not re.search(r"\b(?:after|from|following|rebound|earlier|again|just)\b", sentence):
        return False
    wanted = {
        "save": ShotOutcome.SAVED,
        "block": ShotOutcome.BLOCKED,
        "miss": ShotOutcome.OFF_TARGET,
        "woodwork": ShotOutcome.POST,
    }
    return any(event.outcome is wanted[kind] for event in moment.recent)


def _other_outcomes(text: str, moment: Moment) -> Iterator[Finding]:
    """Words for an attempt's end when the event is no attempt: something shortly before has to bear them out."""
    event = moment.event
    recent = (*moment.recent, event, *((moment.reviewed,) if moment.reviewed else ()))
    ends = event.type in (EventType.PERIOD_END, EventType.MATCH_END)
    supported = {
        "goal": ends or any(e.type in (EventType.GOAL, EventType.OWN_GOAL) for e in recent),
        "save": any(e.outcome is ShotOutcome.SAVED or e.type is EventType.SAVE for e in recent),
        "block": any(e.outcome is ShotOutcome.BLOCKED or e.type in _DEFENDING for e in recent),
        "woodwork": any(e.outcome is ShotOutcome.POST for e in recent),
        "miss": any(e.outcome is ShotOutcome.OFF_TARGET for e in recent),
    }
    for sentence in re.split(r"[.!?]", text):
        for kind, words in LEGEND.items():
            match = words.search(_plain_goal(sentence) if kind == "goal" else sentence)
            if (
                match is None
                or supported[kind]
                or (event.type is EventType.DRIBBLE and "beats" in match[0])
                or NOT_SO.search(sentence[: match.start()])
                or UNREAL.search(sentence)
            ):
                continue
            certain = kind in ("goal", "save") and event.type not in (
                EventType.SUBSTITUTION,
                EventType.PERIOD_START,
                EventType.TACKLE,
            )
            yield (Finding if certain else doubt)(
                "outcome", f"{match[0]!r}, but nothing of the kind happened just before"
            )
    penalty_follows = any(e.type is EventType.PENALTY_AWARDED for e in moment.soon)
    if event.type is EventType.FOUL and penalty_follows and re.search(r"\bfree[- ]kick\b", text):
        yield Finding("outcome", "a free kick, but it is a penalty")
    if event.type is EventType.CORNER and re.search(r"\bfree[- ]kick\b|\bthrow\b", text):
        yield Finding("outcome", "another set piece than a corner")
    if event.type in (EventType.FREE_KICK, EventType.FOUL, EventType.OFFSIDE) and re.search(
        r"\bcorner\b(?! (?:flag|of the))", text
    ):
        yield Finding("outcome", "a corner, but the event is none")
    foul = any(e.type is EventType.FOUL for e in (*recent, *moment.soon))
    fouled = re.search(r"\bfree[- ]kick\b|\bfoul\b|\bbrings? \S+ ?down\b", text)
    if fouled and not foul and event.type in (*_DEFENDING, EventType.PASS):
        yield Finding("outcome", "a foul, but the event is none")
    if event.type is EventType.PASS and event.completed is False and re.search(r"\bfinds\b|\bpicks out\b", text):
        yield Finding("outcome", "the pass did not arrive")
    if (
        event.type is EventType.PASS
        and event.completed
        and re.search(r"\bcut out\b|\bintercept\w*|\bastray\b|\bgives? it away\b", text)
    ):
        yield Finding("outcome", "the pass arrived")


def _penalties(text: str, moment: Moment) -> Iterator[Finding]:
    event = moment.event
    no = re.search(r"\bno penalty\b|\bnot a penalty\b|\bwave\w* away\b|\bplay on\b", text)
    if event.type is EventType.PENALTY_AWARDED and no:
        yield Finding("outcome", "no penalty, but one was awarded")
    match = PENALTY.search(text)
    if match is None or event.period == SHOOTOUT or no:
        return
    if event.type in (EventType.PERIOD_END, EventType.MATCH_END) or moment.kicks:
        return
    if re.search(r"\bpenalties in mind\b|\bahead of the shoot|\bpenalty (?:shoot|area|box)|\bfor penalties\b", text):
        return
    about = [event, *moment.soon, *([moment.reviewed] if moment.reviewed else [])]
    here = any(e.type is EventType.PENALTY_AWARDED or e.situation is Situation.PENALTY for e in about)
    before = any(e.type is EventType.PENALTY_AWARDED or e.situation is Situation.PENALTY for e in moment.recent)
    if event.type in ATTEMPTS and event.situation is not Situation.PENALTY and not re.search(r"rebound|follow", text):
        certain = event.situation is not None or event.type is EventType.OWN_GOAL
        yield (Finding if certain else doubt)("manner", f"{match[0]!r}, but it was no penalty")
    elif not here and not before and event.type is not EventType.VAR_REVIEW and not UNREAL.search(text):
        yield Finding("outcome", f"{match[0]!r}, but there is no penalty")


def _reviews(reading: Reading, moment: Moment) -> Iterator[Finding]:
    event, text = moment.event, reading.annotated
    stands, out = STANDS.search(text), RULED_OUT.search(text)
    if event.type is EventType.VAR_DECISION:
        kept = event.decision in (VarDecision.GOAL_STANDS, VarDecision.PENALTY_STANDS, VarDecision.NO_CHANGE)
        if kept and out:
            yield Finding(
                "decision", f"{out[0]!r}, but the decision is {event.decision.value if event.decision else ''}"
            )
        if not kept and stands and not re.search(r"\bno\b", text[: stands.start()]):
            yield Finding(
                "decision", f"{stands[0]!r}, but the decision is {event.decision.value if event.decision else ''}"
            )
        if event.decision is VarDecision.NO_CHANGE:
            return
        words = {"goal": r"\bgoal\b", "penalty": r"\bpenalty\b|\bspot[- ]kick\b", "card": r"\bcard\b|\bred\b"}
        about = (event.decision.value if event.decision else "").split("_")[0]
        for kind, pattern in words.items():
            of_penalty = moment.reviewed is not None and moment.reviewed.situation is Situation.PENALTY
            excused = (kind, about) == ("goal", "penalty") or (kind == "penalty" and of_penalty)
            if kind != about and not excused and re.search(pattern, text):
                yield doubt("decision", f"{kind}, but the decision is about a {about}")
    elif event.type is EventType.VAR_REVIEW:
        for found in (out, stands):
            if found and not UNREAL.search(re.split(r"[.!?]", text[: found.start()])[-1]):
                yield Finding("decision", f"{found[0]!r}, but nothing is decided yet")
    elif out and event.type not in (EventType.PENALTY_AWARDED, EventType.OFFSIDE):
        no_goal = event.type is EventType.SHOT and out[0] == "no goal"
        if not no_goal and moment.was(EventType.VAR_DECISION) is None:
            yield Finding("decision", f"{out[0]!r}, but no review took anything back")
    if re.search(r"\bvar\b|\bvideo (?:review|assistant)", text) and event.type not in (
        EventType.VAR_REVIEW,
        EventType.VAR_DECISION,
    ):
        near = (*moment.recent, *moment.soon)
        if not any(e.type in (EventType.VAR_REVIEW, EventType.VAR_DECISION) for e in near):
            yield Finding("decision", "VAR, but there is no review")
