"""Claims about the score: numbers, who leads, by how much, level or not, and how a goal changed it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from commentary_llm.evaluation.finding import Finding, doubt
from commentary_llm.evaluation.ledger import ATTEMPTS, SHOOTOUT, Moment
from commentary_llm.evaluation.phrases import UNREAL
from commentary_llm.evaluation.reading import Reading
from commentary_llm.match.events import EventType

_PAIR = re.compile(r"(?<![\d-])(\d{1,2})-(\d{1,2})(?![\d-]|-)")
_EACH = re.compile(r"(?<![\d-])(\d{1,2})[- ](?:all|apiece|each|goals? apiece|goals? each)\b|\blevel at (\d)\b(?!-)")
_GOALS_TO = re.compile(r"\b(\d) goals? to (\d)\b")
_LISTED = re.compile(r"\b(T\d) (\d{1,2}) ?,? ?(?:and )?(T\d) (\d{1,2})\b")
_BETWEEN = re.compile(r"\b(T\d) (\d{1,2})-(\d{1,2}) (T\d)\b")
_PASSES = re.compile(r"(?:\b(?:a|quick|neat|nice|little|clever) 1-2\b)|1-2 with")
_ON_PENALTIES = re.compile(r"penalt|shoot-?\s?out|from the spot|sudden death")
_PAST = re.compile(r"\b(?:from|were|was|had|came back|recovered|led|trailed|after being|having been)\b")

_LEAD = re.compile(
    r"\b(?:leads?|leading|ahead|in front|on top|to the good|(?:take|takes|retake|restore|regain|reclaim)s? the lead|"
    r"upper hand|advantage|\d(?:-\d)? up(?! front)|a goal up|hold on|holding on|(?:goal|goals|man) clear)\b"
)
_TRAIL = re.compile(
    r"\b(?:trail|trails|trailing|behind|deficit|\d(?:-\d)? down|a goal down|losing|adrift|in arrears)\b|"
    r"\bT\d are down\b(?! to)"
)
_LEVEL = re.compile(
    r"\b(?:level|levels|levelled|equali[sz]\w+|all square|square(?= at)|honours even|on terms|parity|tied|all-square|"
    r"nothing between|no winner|a draw|deadlocked)\b|\brescues? a (?:draw|point)\b"
)
_NOT_LEVEL = re.compile(r"level-?headed|level of|levels of|new level|next level")
_OBJECT = re.compile(
    r"\b(?:puts?|putting|gives?|giving|sends?|fires?|edges?|heads?|hands?|brings?|drags?|keeps?|leaves?|has) (T\d)\b"
)
_MARGIN = (
    re.compile(r"\b(\d)-goal (?:lead|cushion|advantage|deficit|margin)\b"),
    re.compile(r"\b(?:lead|leads|leading|ahead|behind|trail|trails|in front) by (\d)\b(?! goals? to| to)"),
    re.compile(r"(?<![-\d])\b(\d)(?: goals?)? (?:up|down|ahead|to the good|behind|in front|clear)\b(?! to)"),
    re.compile(r"\bback within (\d)\b"),
)
_ONE_GOAL = re.compile(
    r"\ba goal (?:up|down|ahead|to the good|behind|in front|clear)\b|\bby a (?:single )?goal\b|1 goal in it"
)


def score_claims(reading: Reading, moment: Moment) -> Iterator[Finding]:
    yield from _numbers(reading, moment)
    for sentence in reading.sentences:
        for clause in _clauses(sentence):
            yield from _standing(reading, moment, sentence, clause)
    yield from _turns(reading, moment)
    scored = moment.event.type in (EventType.GOAL, EventType.OWN_GOAL)
    still = re.search(
        r"\b(?:still|remains?|stays?) (?:at |all )?(?:\d+-\d+|\d+-all|\d apiece|level|"
        r"square)",
        reading.annotated,
    )
    if scored and still:
        yield Finding("score", f"{still[0]!r}, but the event has just changed the score")
    again = re.search(r"\bstill (?:leads?|ahead|in front|trails?|behind)\b", reading.annotated)
    if scored and again and _order_before(moment) != _order(moment.shootout or moment.score, moment):
        yield Finding("lead", f"{again[0]!r}, but the event has just changed who leads")


def _order(score: dict[str, int], moment: Moment) -> int:
    """1 if the home side leads, -1 if the away side does, 0 if level."""
    home, away = score[moment.home], score[moment.away]
    return (home > away) - (home < away)


def _order_before(moment: Moment) -> int:
    if moment.shootout is None:
        return _order(moment.before, moment)
    earlier = {side: sum(scored for taker, _, scored in moment.kicks[:-1] if taker == side) for side in moment.score}
    return _order(earlier, moment)


def _clauses(sentence: str) -> list[str]:
    return [
        part.strip() for part in re.split(r" [,;:–—] | but | while | though | as (?=T|P)", sentence) if part.strip()
    ]


def _pairs(moment: Moment, sentence: str) -> list[tuple[int, int]]:
    """(home, away) pairs that a score said in this sentence may mean."""
    score = (moment.score[moment.home], moment.score[moment.away])
    if moment.shootout is None:
        return [score]
    kicks = (moment.shootout[moment.home], moment.shootout[moment.away])
    return [kicks] if _ON_PENALTIES.search(sentence) else [kicks, score]


def _told(moment: Moment) -> str:
    told = f"it is {moment.score[moment.home]}-{moment.score[moment.away]}"
    if moment.shootout is not None:
        told += f", {moment.shootout[moment.home]}-{moment.shootout[moment.away]} on penalties"
    return told


def _numbers(reading: Reading, moment: Moment) -> Iterator[Finding]:
    for sentence in reading.sentences:
        allowed = _pairs(moment, sentence)
        text = _PASSES.sub(" ", sentence)
        said: list[tuple[int, int, int]] = []  # two numbers, place
        for match in (*_PAIR.finditer(text), *_GOALS_TO.finditer(text)):
            said.append((int(match[1]), int(match[2]), match.start()))
        for match in _EACH.finditer(text):
            number = int(match[1] or match[2])
            said.append((number, number, match.start()))
        for first, second, place in said:
            if max(first, second) > 15 or text[:place].endswith("on "):
                continue
            fits = [pair for pair in allowed if {first, second} == set(pair) and first + second == sum(pair)]
            clause = text[:place].rsplit(",", 1)[-1]
            if not fits and _PAST.search(clause) and any({first, second} == set(p) for p in moment.history):
                continue
            if not fits and UNREAL.search(clause):
                yield doubt("score", f"{first}-{second} as what may come; {_told(moment)}")
            elif not fits:
                yield Finding("score", f"{first}-{second}, but {_told(moment)}")
            elif (
                re.search(r"\bafter (?:extra[- ]time|90|120)|\bin normal time", text)
                and moment.shootout is not None
                and fits == allowed[:1] != allowed[1:]
            ):
                yield Finding("score", f"{first}-{second} before the shoot-out, but {_told(moment)}")
            else:
                yield from _direction(reading, moment, text, place, (first, second), fits)
        for match in _LISTED.finditer(text):
            yield from _exact(reading, moment, allowed, {match[1]: int(match[2]), match[3]: int(match[4])})
        for match in _BETWEEN.finditer(text):
            yield from _exact(reading, moment, allowed, {match[1]: int(match[2]), match[4]: int(match[3])})
        if re.search(r"\bgoalless\b|\bscoreless\b|\bno goals\b", text) and (0, 0) not in allowed:
            yield Finding("score", f"goalless, but {_told(moment)}")
        if re.search(r"\bdeadlock\b", text) and sum(moment.score.values()) > 1:
            yield Finding("score", f"deadlock, but {_told(moment)}")


def _exact(reading: Reading, moment: Moment, allowed: list[tuple[int, int]], said: dict[str, int]) -> Iterator[Finding]:
    if len(said) == 1:
        yield Finding("score", "one side twice in a score said side by side")
    elif (said["T0"], said["T1"]) not in allowed:
        yield Finding("score", f"{said['T0']}-{said['T1']} said side by side, but {_told(moment)}")


def _direction(
    reading: Reading, moment: Moment, text: str, place: int, said: tuple[int, int], fits: list[tuple[int, int]]
) -> Iterator[Finding]:
    """ "Two-one to France", "France two-one": the side named beside a score leads, unless the words say it is down."""
    if said[0] == said[1]:
        return
    after = re.match(
        r"\d+-\d+ (?:to|for|,|now|now to|,? it is to) ?(?:the )?(T\d)\b(?! (?:trail|are (?:down|behind)))", text[place:]
    )
    before = re.search(
        r"(?:^|[ ,])(T\d)(?: (?:are|is|now|lead|still|by|win|won|take it|go|have it))* ?,? ?$", text[:place]
    )
    down = re.match(r"\d+-\d+ (?:down|behind)", text[place:])
    if said[0] < said[1] and re.search(r"\b(?:leads?|leading|ahead|in front) $", text[:place]):
        yield Finding("lead", f"a lead of {said[0]}-{said[1]}")
    trailing = re.search(r"\b(?:trail\w*(?: \w+)?|(?:beat|beaten|past|defeated) (?:the )?T\d) ,? ?$", text[:place])
    mark = after[1] if after else before[1] if before else None
    if mark is None or trailing:
        return
    index = int(mark[1])
    ahead = any(pair[index] > pair[1 - index] for pair in fits)
    if bool(down) is ahead:
        yield Finding(
            "lead", f"{said[0]}-{said[1]} {'down' if down else 'to'} {_name(moment, mark)}, but {_told(moment)}"
        )


def _name(moment: Moment, mark: str) -> str:
    return (moment.info.home if mark == "T0" else moment.info.away).name


def _subject(reading: Reading, moment: Moment, sentence: str, clause: str, place: int) -> str | None:
    """The side a statement is about: an object of "puts … ahead", else whoever is named last before it."""
    for match in _OBJECT.finditer(clause[:place]):
        return reading.side(match[1])
    following = re.match(r"\w+(?: \w+){0,3}? (?:for|to) (T\d)\b", clause[place:])
    if following:
        return reading.side(following[1])
    upto = sentence[: sentence.find(clause) + place]
    marks = re.findall(r"\b(?:T\d|P\d+)\b(?! ')", clause[:place]) or re.findall(r"\b(?:T\d|P\d+)\b", upto)
    if marks:
        mark = (
            marks[-1]
            if not re.search(r"\bagainst$|\bto$", clause[:place].rsplit(marks[-1], 1)[0].strip())
            else marks[0]
        )
        return reading.side(mark) if mark[0] == "T" else moment.sides[reading.player(mark)]
    return moment.gains if moment.event.type in (EventType.GOAL, EventType.OWN_GOAL) else None


def _leaders(moment: Moment, sentence: str) -> set[str | None]:
    """Sides that "lead" may mean here; None stands for level."""
    if moment.shootout is None:
        return {moment.leader}
    if _ON_PENALTIES.search(sentence):
        return {moment.shootout_leader}
    return {moment.shootout_leader, moment.leader}


def _standing(reading: Reading, moment: Moment, sentence: str, clause: str) -> Iterator[Finding]:
    if UNREAL.search(clause):
        yield from _chances(moment, clause)
        return
    leaders = _leaders(moment, sentence)
    rest = re.sub(r"\b(?:led|were (?:ahead|in front|behind|level)|was (?:ahead|level))\b.*", "", clause)
    rest = re.sub(
        r"\blead-?up\b|\bleads? (?:him|the counter|the charge|the line|a charge)|\bup ahead\b|\bsteps? up\b", "", rest
    )
    rest = re.sub(
        r"\bfrom \d(?:-\d| goals?)? down\b|\b(?:behind|ahead|in front) of\b|\b1st blood\b|advantage (?:is )?played",
        "",
        rest,
    )
    rest = re.sub(r"\bdown to (?=\d)", "", rest)
    if re.search(r"\ba goal (?:to find|short)\b|\bneed a goal\b", rest) and leaders == {None}:
        yield Finding("lead", f"a goal short, but {_told(moment)}")
    rest = re.sub(r"\bfrom (?:\w+(?: \w+)? )?behind\b", "", rest)
    lead, trail = _LEAD.search(rest), _TRAIL.search(rest)
    if lead:
        side = _subject(reading, moment, sentence, rest, lead.start())
        if leaders == {None}:
            yield Finding("lead", f"{lead[0]!r}, but {_told(moment)}")
        elif side is not None and side not in leaders:
            yield Finding("lead", f"{lead[0]!r} of {_side_name(moment, side)}, but {_told(moment)}")
    if trail and not re.search(r"behind (?:the|his|him|closed)|\bin behind\b|\bleaves?\b.* behind", rest):
        side = _subject(reading, moment, sentence, rest, trail.start())
        if leaders == {None}:
            yield Finding("lead", f"{trail[0]!r}, but {_told(moment)}")
        elif side is not None and side in leaders and len(leaders) == 1:
            yield Finding("lead", f"{trail[0]!r} of {_side_name(moment, side)}, but {_told(moment)}")
    level = _LEVEL.search(_NOT_LEVEL.sub("", rest))
    if level and None not in leaders:
        certain = not re.search(r"\b(?:the|an|that|'s) equali[sz]er", rest) or moment.event.type in ATTEMPTS
        kind = Finding if certain else doubt
        yield kind("lead", f"{level[0]!r}, but {_told(moment)}")
    if (
        level
        and re.search(r"\bT\d are level\b", rest)
        and moment.event.type not in (EventType.GOAL, EventType.OWN_GOAL)
    ):
        yield doubt("lead", "one side is level, but nobody has just drawn level")
    if lead and moment.event.period == SHOOTOUT and moment.soon_over and re.search(r"\bleads?\b", rest):
        yield doubt("lead", "a lead, but the shoot-out is won")
    yield from _margins(moment, rest)


_DOUBLED = re.compile(
    r"\bdoubles? (?:their|the|its|\S+ 's) (?:lead|advantage)|\bdoubled (?:their|the) (?:lead|advantage)"
)


def _side_name(moment: Moment, side: str) -> str:
    return (moment.info.home if side == moment.home else moment.info.away).name


def _margins(moment: Moment, clause: str) -> Iterator[Finding]:
    margins = {abs(moment.score[moment.home] - moment.score[moment.away])}
    if moment.shootout is not None:
        margins.add(abs(moment.shootout[moment.home] - moment.shootout[moment.away]))
    said = {int(match[1]) for pattern in _MARGIN for match in pattern.finditer(clause)}
    if _ONE_GOAL.search(clause):
        said.add(1)
    for number in said - margins:
        if number < 6:
            yield Finding("score", f"a margin of {number}, but {_told(moment)}")


def _chances(moment: Moment, clause: str) -> Iterator[Finding]:
    """A penalty's promise can be checked: "the chance to draw level" needs a deficit of one."""
    side = moment.gains
    if side is None or moment.event.type is not EventType.PENALTY_AWARDED:
        return
    lead = moment.score[side] - moment.score[moment.other(side)]
    if re.search(r"chance to (?:draw |pull |get )?level|chance to equali[sz]e", clause) and lead != -1:
        yield Finding("lead", f"a chance to level, but {_told(moment)}")
    if re.search(r"chance to (?:go|take the|get|move) (?:ahead|lead|in front)", clause) and lead != 0:
        yield Finding("lead", f"a chance to lead, but {_told(moment)}")


def _turns(reading: Reading, moment: Moment) -> Iterator[Finding]:
    """How the score came to be: one back, doubled, turned round, first blood, the winner."""
    text, side = reading.annotated, moment.gains
    goal = moment.event.type in (EventType.GOAL, EventType.OWN_GOAL) and moment.event.period != SHOOTOUT
    if not goal or side is None:
        if _DOUBLED.search(text) or re.search(r"pulls? 1 back|pulled 1 back", text):
            yield doubt("score", "a change of the score without a goal")
        if re.search(r"\bwins? it\b(?! back| off| from| for him)|\bwinner\b", text) and not UNREAL.search(text):
            yield from _won(reading, moment)
        return
    lead, before = (s[side] - s[moment.other(side)] for s in (moment.score, moment.before))
    home_or_away = [score if side == moment.home else score[::-1] for score in moment.history]
    worst = min(own - other for own, other in home_or_away)
    checks = (
        (r"(?:pulls?|pulled|gets?|got|have|has|with|claws?) (?:1|a goal) back|\b1 back\b|"
        r"halve\w* (?:it|the)", lead < 0),
        (_DOUBLED.pattern, (before, lead) == (1, 2)),
        (r"(?:restore|regain|retake|reclaim)s? (?:the|their)(?: \d-goal)? lead|back in front|"
        r"back ahead|lead again|again lead", before == 0 and lead == 1 and _led_before(moment, side)),
        (r"restore\w* (?:the|their) \d-goal", before >= 1),
        (r"turn(?:s|ed)? (?:it|this|things|the game|the match) (?:all )?(?:a)?round|on its head|"
        r"from behind to lead", lead > 0 and worst < 0),
        (r"\bcomeback\b|\bcome (?:all the way )?back\b", lead >= 0 and worst < 0),
        (r"(?:break|breaks|broke|broken) the deadlock|(?:draws?|drawn) 1st blood|have 1st blood|"
        r"\bopener\b|opens? the scoring|opening goal", sum(moment.score.values()) == 1),
        (r"\bwinner\b|\bwins? it\b|\bsnatche[sd]? it|\bsnatched it|\bwon it\b|\bis won\b|have it won", lead > 0),
        (r"\bequali[sz]e[sd]?\b|\bequali[sz]er\b|draws? level|pulls? level", lead == 0),
        (r"\bleads? for the 1st time\b|\bin front for the 1st time\b", lead > 0 and not _led_before(moment, side)),
    )  # fmt: skip
    for pattern, holds in checks:
        match = re.search(pattern, text)
        if match and not holds and not UNREAL.search(_around(text, match.start())):
            yield Finding("score", f"{match[0]!r}, but {_told(moment)}, after {_was(moment)}")
    early = moment.event.elapsed_s < 40 * 60 if moment.event.period < 3 else moment.event.elapsed_s < 12 * 60
    if early and re.search(r"\bwins? it for\b|\bwon it\b|\bthe winner\b", text):
        yield doubt("score", "a winner, but much is left to play")
    for match in re.finditer(r"\bfrom (\d)(?:-\d| goals?)? down\b", text):
        if worst != -int(match[1]):
            yield Finding("score", f"{match[0]!r}, but the largest deficit was {-worst}")


def _won(reading: Reading, moment: Moment) -> Iterator[Finding]:
    if moment.event.period == SHOOTOUT or moment.ended:
        return
    yield Finding("score", f"won, but the match goes on and {_told(moment)}")


def _led_before(moment: Moment, side: str) -> bool:
    index = 0 if side == moment.home else 1
    return any(score[index] > score[1 - index] for score in moment.history[:-1])


def _was(moment: Moment) -> str:
    return f"{moment.before[moment.home]}-{moment.before[moment.away]}"


def _around(text: str, place: int) -> str:
    return re.split(r"[.!?]", text[:place])[-1]
