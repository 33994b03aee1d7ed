"""Claims about cards: their colour, who got them, how many are left on the pitch."""

from __future__ import annotations

import re
from collections.abc import Iterator

from commentary_llm.evaluation.finding import Finding
from commentary_llm.evaluation.ledger import Moment
from commentary_llm.evaluation.phrases import MEN, RED, SECOND, UNREAL, YELLOW
from commentary_llm.evaluation.reading import Reading
from commentary_llm.match.events import CardType, EventType


def card_claims(reading: Reading, moment: Moment) -> Iterator[Finding]:
    event, text = moment.event, reading.annotated
    yellow, red, second = YELLOW.search(text), RED.search(text), SECOND.search(text)
    colour = next((kind for e, _, kind in moment.cards if e.event_id == event.event_id), event.card)
    if event.type is EventType.CARD:
        if colour is CardType.YELLOW:
            gone = red or re.search(r"\bis off\b|\bhas to go\b|\bmust go\b|\bis walking\b", text)
            if (
                gone
                and not UNREAL.search(_sentence_of(text, gone.start()))
                and not re.search(r"\b(?:only|just) (?:a )?yellow|escapes|lucky", text)
            ):
                yield Finding("card", f"{gone[0]!r}, but the card is yellow")
            if second:
                yield Finding("card", f"{second[0]!r}, but it is the player's first")
        elif colour is CardType.SECOND_YELLOW:
            if re.search(r"\bstraight red\b", text):
                yield Finding("card", "a straight red, but it is a second yellow")
            if re.search(r"\b(?:just|only) a (?:booking|yellow|caution)", text) or (
                yellow and not red and not second and not _sent(text)
            ):
                yield Finding("card", "only a yellow, but the player is sent off")
        elif colour is CardType.RED and (
            second or (yellow and not re.search(r"\bnot? (?:a )?yellow|no booking|already", text))
        ):
            yield Finding("card", f"{(second or yellow)[0]!r}, but it is a straight red")  # type: ignore[index]
    else:
        recent = {e.event_id for e in (*moment.recent, *moment.soon)}
        recent_cards = [kind for e, _, kind in moment.cards if e.event_id in recent] + [
            e.card for e in moment.soon if e.card
        ]
        named = [reading.player(mark) for mark in re.findall(r"P\d+", text)]
        booked = any(e.player in named for e, _, _ in moment.cards if e.player)
        if (
            yellow
            and not recent_cards
            and not booked
            and event.type is not EventType.VAR_DECISION
            and not UNREAL.search(text)
        ):
            yield Finding("card", f"{yellow[0]!r}, but nobody was booked just before")
        if (
            red
            and not moment.sent_off
            and not UNREAL.search(text)
            and not (red[0] == "off he goes" and event.type is EventType.SUBSTITUTION)
        ):
            yield Finding("card", f"{red[0]!r}, but nobody was sent off")
    yield from _men(reading, moment)


def _sent(text: str) -> bool:
    return bool(re.search(r"\boff\b|\bgo\b|\bwalk\w*\b|\bred\b", text))


def _sentence_of(text: str, place: int) -> str:
    return re.split(r"[.!?]", text[:place])[-1]


def _men(reading: Reading, moment: Moment) -> Iterator[Finding]:
    left = {side: 11 - sum(moment.sides[p] == side for p in moment.sent_off) for side in moment.on_pitch}
    text = reading.annotated
    for sentence in reading.sentences:
        for match in MEN.finditer(sentence):
            if match[4]:
                if {int(match[4]), int(match[5])} != set(left.values()):
                    yield Finding("card", f"{match[0]!r}, but {sorted(left.values())} are on the pitch")
                continue
            number = int(next(filter(None, match.groups())))
            if not 6 < number < 11:
                continue
            after = re.match(r" (T\d)\b", sentence[match.end() :])
            marks = re.findall(r"\b(?:T\d|P\d+)\b", sentence[: match.start()])
            side = reading.side(after[1]) if after else None
            if side is None and marks:
                side = reading.side(marks[-1]) if marks[-1][0] == "T" else moment.sides[reading.player(marks[-1])]
            if number not in ({left[side]} if side else set(left.values())):
                yield Finding("card", f"{match[0]!r}, but {left} are on the pitch")
        short = re.search(r"(?:(T\d|P\d+) )?(?:\w+ ){0,3}(?:a man (?:short|down|light)|will finish with 10)", sentence)
        if short and short[1]:
            side = reading.side(short[1]) if short[1][0] == "T" else moment.sides[reading.player(short[1])]
            if left[side] > 10 or (left[side] == left[moment.other(side)] and "finish" not in short[0]):
                yield Finding("card", f"a man short, but {left} are on the pitch")
    if re.search(r"\bdown to 10\b", text) and not moment.sent_off:
        yield Finding("card", "down to ten, but nobody was sent off")
