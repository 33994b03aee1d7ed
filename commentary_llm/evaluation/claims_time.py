"""Claims about time: minutes, added time, halves, the end."""

from __future__ import annotations

import re
from collections.abc import Iterator

from commentary_llm.evaluation.finding import Finding, doubt
from commentary_llm.evaluation.ledger import SHOOTOUT, Moment
from commentary_llm.evaluation.reading import Reading
from commentary_llm.match.clock import PERIOD_LIMIT_MIN, PERIOD_START_MIN, MatchTime
from commentary_llm.match.events import EventType

_STOPPAGE = re.compile(r"\b(?:stoppage|injury|added)[- ]time\b|\badded on\b")
_NTH_MINUTE = re.compile(
    r"\b(\d{1,3})(?:st|nd|rd|th)(?:-| )minute\b(?! of (?:stoppage|injury|added))|\bminute (\d{1,3})\b"
)
_GONE = re.compile(
    r"\b(\d{1,3}) (?:minutes?|') (?:gone|in\b|played|on the clock|into (?:the|this) (?:match|game|final|1st half))|"
    r"\bafter (?:just |only |barely )?(\d{1,3}) minutes\b|\bjust (\d{1,2}) minutes in"
)
_INTO_HALF = re.compile(r"\b(\d{1,2}) minutes (?:into|after) (?:the|this) (?:2nd half|half|restart|break)")
_WITHIN = re.compile(
    r"(?<!back )\b(?:inside|within|in) (?:the |a |an )?(?:1st |opening )?(\d{1,2}|quarter of an hour|"
    r"half an hour|hour|minute)(?: minutes?)?\b(?! (?:lead|in))"
)
_LEFT = re.compile(
    r"\b(?:(\d{1,2}) minutes?|a minute|1 minute) (?:to go|left|remaining|to play|from time|from the end)\b"
)
_PLUS = re.compile(r"\b(45|90|105|120) ?\+ ?(\d{1,2})\b")
_QUARTERS = {"quarter of an hour": 15, "half an hour": 30, "hour": 60, "minute": 1}


def time_claims(reading: Reading, moment: Moment) -> Iterator[Finding]:
    event = moment.event
    text = reading.annotated
    if event.period < SHOOTOUT:
        yield from _minutes(text, moment)
    late = event.period < SHOOTOUT and event.elapsed_s >= (_length_min(event.period) - 2) * 60
    over = event.type in (EventType.PERIOD_END, EventType.MATCH_END)
    if over and re.search(r"\b(?:into|in for) (?:stoppage|injury|added)[- ]time\b", text):
        yield Finding("time", "stoppage time to come, but the period is over")
    if re.search(r"\b\d+ '(?! ?s\b)", text):
        yield doubt("time", "a minute written with an apostrophe")
    if _STOPPAGE.search(text) and not late and event.type is not EventType.STOPPAGE_TIME:
        yield Finding("time", f"stoppage time, but it is minute {MatchTime(event.period, event.elapsed_s).label}")
    if event.type is EventType.STOPPAGE_TIME and event.minutes_added is not None:
        numbers = {
            int(n) for n in re.findall(r"(?<![-\d+])\b(\d{1,2}) (?:more |added |extra |additional )?minutes?\b", text)
        }
        numbers |= {int(n) for n in re.findall(r"\b(?:shows|signals|board(?: says)?:?) (\d{1,2})\b(?! -|-)", text)}
        for number in numbers - {event.minutes_added, 90, 45, 120, 105}:
            yield Finding("time", f"{number} minutes, but {event.minutes_added} are added")
    yield from _halves(text, moment)


def _length_min(period: int) -> int:
    return PERIOD_LIMIT_MIN[period] - PERIOD_START_MIN[period]


def _minutes(text: str, moment: Moment) -> Iterator[Finding]:
    event = moment.event
    time = MatchTime(event.period, event.elapsed_s)
    running = PERIOD_START_MIN[event.period] + event.elapsed_s / 60  # minutes on the stadium clock
    label = f"but it is minute {time.label}"
    for m in _NTH_MINUTE.finditer(text):
        if int(m[1] or m[2]) not in (time.minute, int(running) + 1):
            yield Finding("time", f"{m[0]!r}, {label}")
    for m in _GONE.finditer(text):
        number = int(next(filter(None, m.groups())))
        if abs(number - running) > 0.75 and not (
            time.added and number == time.minute
        ):  # minute 23 is the 23rd: 22 are played
            yield (Finding if abs(number - running) > 1.5 else doubt)("time", f"{m[0]!r}, {label}")
    for m in _INTO_HALF.finditer(text):
        if abs(int(m[1]) - event.elapsed_s / 60) > 2:
            yield Finding("time", f"{m[0]!r}, {label}")
    for m in _WITHIN.finditer(text):
        limit = _QUARTERS.get(m[1]) or int(m[1])
        if m[0].startswith("in ") and not re.search(r"1st|opening", m[0]):
            continue
        if "of" not in text[m.end() : m.end() + 4] and running > limit + 0.5:
            yield Finding("time", f"{m[0]!r}, {label}")
    for m in _LEFT.finditer(text):
        left = PERIOD_LIMIT_MIN[event.period] - running
        number = int(m[1] or 1)
        if abs(left - number) > max(1.0, number * 0.2) and event.type is not EventType.STOPPAGE_TIME:
            yield Finding("time", f"{m[0]!r}, {label}")
    for m in _PLUS.finditer(text):
        if (int(m[1]), int(m[2])) != (time.minute, time.added):
            yield Finding("time", f"{m[0]!r}, {label}")
    if re.search(
        r"\b(?:last|final|dying|closing) (?:minutes?|seconds|moments)\b|\bat the death\b|\bright at the end\b", text
    ):
        # In added time of the first half these are not the last minutes of anything but the half.
        of_half = re.search(r"of (?:the|this) (?:1st )?half", text)
        if (event.period == 1 and not of_half) or event.elapsed_s < (_length_min(event.period) - 8) * 60:
            yield Finding("time", f"last minutes, {label}")
    if re.search(r"\bnormal time\b", text) and event.period > 2:
        yield Finding("time", f"normal time, {label}")
    if (
        re.search(r"\b(?:late|late on|late in the (?:game|match|day))\b(?! (?:challenge|tackle|on|in the 1st))", text)
        and running < 70
    ):
        yield doubt("time", f"late, {label}")
    if (
        re.search(r"\bearly (?:on|in the (?:game|match|1st half|half)|chance|goal|lead)\b", text)
        and event.elapsed_s > 25 * 60
    ):
        yield doubt("time", f"early, {label}")
    if re.search(r"\bhalf-hour|\bhour mark\b", text) and min(abs(running - 30), abs(running - 60)) > 3:
        yield Finding("time", f"half-hour or hour mark, {label}")


def _halves(text: str, moment: Moment) -> Iterator[Finding]:
    event, kind = moment.event, moment.event.type
    text = re.sub(r"\bon the break\b|\bquick break\b|\bthe break(?= from| by|s\b)", " ", text)
    minutes = event.elapsed_s / 60
    extra = re.search(r"\bextra[- ]time\b", text)
    half_time = re.search(r"\bhalf-?\s?time\b|\bthe break\b|\bthe interval\b", text)
    if half_time:
        over = kind is EventType.PERIOD_END and event.period in (1, 3)
        near = (event.period in (1, 3) and minutes >= _length_min(event.period) - 10) or (
            event.period in (2, 4) and minutes <= 25
        )
        near = near and kind not in (EventType.PERIOD_END, EventType.MATCH_END)
        goes_on = (
            kind is EventType.PERIOD_END
            and event.period == 2
            and moment.next_period == 3
            and half_time[0] == "the break"
        )
        if not over and not near and not goes_on:
            yield Finding("time", f"{half_time[0]!r}, but the event is {kind.value} of period {event.period}")
    end = re.search(
        r"\bfull-?\s?time\b|\bfinal whistle\b|\bit 's all over\b|\ball over\b|\bend of the match\b|"
        r"\bit 's over\b(?= *[.!]|$)|90 minutes up",
        text,
    )
    if end and kind not in (EventType.SHOT,):
        at_90 = kind is EventType.PERIOD_END and event.period == 2
        closing = kind is EventType.MATCH_END or (
            kind is EventType.PERIOD_END and event.period >= 2 and moment.next_period is None
        )
        decisive = event.period == SHOOTOUT and moment.soon_over
        if not at_90 and not closing and not decisive and "90" not in end[0]:
            yield Finding("time", f"{end[0]!r}, but the event is {kind.value} of period {event.period}")
    elif end and event.period == SHOOTOUT and not moment.soon_over:
        yield Finding("time", f"{end[0]!r}, but the shoot-out goes on")
    if extra and event.period < 3 and moment.next_period != 3:
        yield Finding("time", "extra time, but there is none")
    if extra and event.period < 3 and not (event.period == 2 and minutes > 35):
        yield Finding("time", f"extra time in period {event.period}")
    to_penalties = re.search(
        r"\b(?:goes to|to|have|for|into) (?:a |the )?(?:penalties|penalty shoot-?out|shoot-?out)\b|"
        r"\bpenalties(?: ,)? then\b|\bsettled from the spot\b",
        text,
    )
    if (
        to_penalties
        and kind in (EventType.PERIOD_END, EventType.MATCH_END)
        and moment.next_period != SHOOTOUT
        and event.period < SHOOTOUT
    ):
        yield Finding("time", "a shoot-out, but none follows")
    shootout = re.search(r"\bshoot-?\s?out\b", text)
    if shootout and event.period < SHOOTOUT and (kind is EventType.PERIOD_START or moment.next_period != SHOOTOUT):
        yield Finding("time", f"a shoot-out in period {event.period}")
    won = re.search(r"\bshoot-?\s?out (?:is )?won\b|\bwon the shoot-?\s?out\b|\bwins? the shoot-?\s?out\b", text)
    if won and event.period == SHOOTOUT and not moment.soon_over:
        yield Finding("time", f"{won[0]!r}, but the shoot-out goes on")
    if re.search(r"\bsudden death\b", text) and len(moment.kicks) < 9:
        yield Finding("time", "sudden death, but the first five kicks are not over")
    first, second = (re.search(rf"\b{nth}(?:-| )half\b", text) for nth in ("1st", "2nd"))
    if (
        first
        and event.period not in (1, 3)
        and not re.search(r"\b1st-?\s?half (?:goal|lead|strike|penalty|booking)", text)
    ):
        yield Finding("time", f"first half in period {event.period}")
    if second and event.period not in (2, 4) and not (event.period in (1, 3) and kind is EventType.PERIOD_END):
        yield Finding("time", f"second half in period {event.period}")
    if re.search(r"\b2nd half of extra time\b", text) and event.period not in (3, 4):
        yield Finding("time", "second half of extra time")
    if kind is EventType.PERIOD_END and event.period == 3 and re.search(r"\bfor extra[- ]time\b", text):
        yield Finding("time", "extra time, but its first half is over")
    under_way = re.search(
        r"\bunder way\b|\bunderway\b|\bkick-?\s?off\b|\bkicks? off\b|\bwe 're off\b|\bwe 're back\b", text
    )
    if (
        under_way
        and kind is not EventType.PERIOD_START
        and minutes > 1
        and not re.search(r"\b(?:check|review)\b", text)
    ):
        yield doubt("time", f"{under_way[0]!r}, but the event is {kind.value}")
    if kind is EventType.PERIOD_START and extra and event.period not in (3, 4):
        yield Finding("time", "extra time begins, but it does not")
