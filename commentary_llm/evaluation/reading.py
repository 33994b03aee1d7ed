"""Reads a spoken line for the auditor: who is named, which numbers, in one plain annotated string.

    "Goal! Mbappé! Les Bleus are level, two-all."  ->  "goal ! P21 ! T1 are level , 2-all ."

Players become `P<n>`, sides `T0` (home) and `T1` (away), number words digits, everything else lower case without
diacritics; tokens are parted by single spaces, hyphens stay tight. Claims are then found by plain patterns.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from commentary_llm.evaluation.ledger import Moment
from commentary_llm.evaluation.vocabulary import (
    AWAY_WORDS,
    DEMONYMS,
    HOME_WORDS,
    NO_NAMES,
    NUMBERS,
    ORDINALS,
    PLAIN_CAPITALS,
)
from commentary_llm.ground.text import fold
from commentary_llm.match.events import MatchInfo

_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|[^\w\s]")
_TENS = {"20", "30", "40", "50", "60", "70", "80", "90"}
# Words that may follow "the" or a possessive and still be part of nobody's name.
_NOT_NAMES = re.compile(r"[a-z0-9']+")


@dataclass(frozen=True)
class Token:
    text: str  # as written
    plain: str  # folded, without a possessive ending
    possessive: bool
    tight: bool  # no space before it
    first: bool  # begins a sentence


def tokens_of(text: str) -> list[Token]:
    found: list[Token] = []
    first, end = True, -1
    for match in _TOKEN.finditer(text):
        written, plain = match.group(), fold(match.group())
        possessive = plain.endswith("'s") and len(plain) > 2
        found.append(Token(written, plain[:-2] if possessive else plain, possessive, match.start() == end, first))
        first, end = written in ".!?…:" or (first and written in "\"'“‘("), match.end()
    return found


class NameFinder:
    """Every form in which the people and sides of a match may be named, as sequences of folded tokens."""

    def __init__(self, info: MatchInfo) -> None:
        self.players: dict[tuple[str, ...], set[str]] = defaultdict(set)
        self.weak: dict[tuple[str, ...], set[str]] = defaultdict(set)
        self.sides: dict[tuple[str, ...], int] = {}
        self.known: set[str] = set(PLAIN_CAPITALS)
        self.number = {p.id: n for n, p in enumerate((*info.home.players, *info.away.players))}
        self.ids = {n: player for player, n in self.number.items()}
        self.side_ids = (info.home.id, info.away.id)
        for index, team in enumerate((info.home, info.away)):
            for player in team.players:
                for name in filter(None, (player.name, player.full_name)):
                    words = _words(name)
                    for start in range(len(words)):
                        self.players[words[start:]].add(player.id)
                    for word in words:
                        if len(word) > 2:
                            self.weak[(word,)].add(player.id)
            for name in filter(None, (team.name, team.short_name, *team.nicknames)):
                words = _words(name)
                self.sides[words] = index
                if words[0] in ("the", "los", "las", "les", "la", "os", "as"):
                    self.sides[words[1:]] = index
            for word in DEMONYMS.get(fold(team.name), ()):
                self.sides[(word,)] = index
            # Part of a longer name ("Alavés" of "Deportivo Alavés"), unless the other side has it too.
            words = _words(team.name)
            other = set(_words((info.away if index == 0 else info.home).name))
            for size in range(len(words) - 1, 0, -1):
                for part in (words[:size], words[-size:]):
                    if not set(part) & other and max(map(len, part)) > 3:
                        self.sides.setdefault(part, index)
        for index, forms in enumerate((HOME_WORDS, AWAY_WORDS)):
            for form in forms:
                self.sides[tuple(form.split())] = index
        for extra in (info.competition, info.stage, info.venue, info.referee, info.home.coach, info.away.coach):
            self.known.update(_words(extra or ""))
        staff = {word for name in (info.referee, info.home.coach, info.away.coach) for word in _words(name or "")}
        self.staff = sorted(staff - {word for form in self.players for word in form})  # known, but they do not play
        self.longest = max(map(len, (*self.players, *self.sides)), default=1)


def _words(name: str) -> tuple[str, ...]:
    return tuple(token.plain for token in tokens_of(name))


@dataclass(frozen=True)
class Reading:
    """One line, annotated. `unknown`: name-like words that belong to nobody of the match; `suspect`: perhaps names;
    `ambiguous`: names that two people on the pitch answer to, the first time in the line.
    """

    text: str
    annotated: str
    unknown: tuple[str, ...]
    suspect: tuple[str, ...]
    ambiguous: tuple[str, ...]
    finder: NameFinder

    @cached_property
    def sentences(self) -> list[str]:
        return [part.strip() for part in re.split(r"[.!?…]", self.annotated) if part.strip()]

    @cached_property
    def clauses(self) -> list[str]:
        """Sentences cut at commas, semicolons, colons, dashes and "but"."""
        return [
            part.strip()
            for sentence in self.sentences
            for part in re.split(r" [,;:–—] | but ", f" {sentence} ")
            if part.strip()
        ]

    def player(self, mark: str) -> str:
        """The id behind "P12"."""
        return self.finder.ids[int(mark[1:])]

    def side(self, mark: str) -> str:
        """The id behind "T0"."""
        return self.finder.side_ids[int(mark[1:])]

    def mark_of(self, player: str | None) -> str:
        return f"P{self.finder.number[player]}" if player in self.finder.number else ""

    @cached_property
    def players(self) -> tuple[str, ...]:
        """Ids of everybody named, in order, each once."""
        return tuple(dict.fromkeys(self.player(mark) for mark in re.findall(r"\bP\d+", self.annotated)))


def read_line(text: str, moment: Moment, finder: NameFinder) -> Reading:
    tokens = tokens_of(text)
    pieces: list[tuple[str, bool]] = []  # piece, tight
    unknown: list[str] = []
    suspect: list[str] = []
    ambiguous: list[str] = []
    on_pitch = frozenset().union(*moment.on_pitch.values())
    at = 0
    while at < len(tokens):
        size, piece = _name_at(tokens, at, moment, finder)
        token = tokens[at]
        if size:
            last = tokens[at + size - 1]
            form = tuple(token.plain for token in tokens[at : at + size])
            if len(finder.players.get(form, set()) & on_pitch) > 1 and all(piece != earlier for earlier, _ in pieces):
                ambiguous.append(" ".join(token.text for token in tokens[at : at + size]))
            pieces.append((piece, token.tight and bool(pieces) and pieces[-1][0] in "-("))
            if last.possessive:
                pieces.append(("'s", False))
            at += size
            continue
        capital = token.text[0].isupper() and token.text not in ("I",)
        if capital and token.plain not in finder.known and _NOT_NAMES.fullmatch(token.plain):
            if not token.first:
                unknown.append(token.text)
            else:
                suspect.append(token.text)
        number = NUMBERS.get(token.plain) or ORDINALS.get(token.plain) or token.plain
        ordinal = token.plain in ("st", "nd", "rd", "th") and token.tight and bool(pieces) and pieces[-1][0].isdigit()
        after_hyphen = bool(pieces) and pieces[-1][0] == "-" and token.tight
        pieces.append((number, (token.plain == "-" and token.tight) or after_hyphen or ordinal))
        if token.possessive:
            pieces.append(("'s", False))
        at += 1
    annotated = "".join(piece if tight else f" {piece}" for piece, tight in pieces).strip()
    unknown += _acting([*(word for word in suspect if fold(word) not in NO_NAMES), *finder.staff], annotated)
    doubtful = [word for word in _suspects(suspect, annotated) if word not in unknown]
    return Reading(text, _joined_numbers(annotated), tuple(unknown), tuple(doubtful), tuple(ambiguous), finder)


def _name_at(tokens: list[Token], at: int, moment: Moment, finder: NameFinder) -> tuple[int, str]:
    """How many tokens from `at` on are a name, and its mark; 0 if none. The longest form wins, people before sides."""
    for size in range(min(finder.longest, len(tokens) - at), 0, -1):
        window = tokens[at : at + size]
        if any(token.possessive for token in window[:-1]):
            continue
        form = tuple(token.plain for token in window)
        capital = any(token.text[0].isupper() for token in window if token.text[0].isalpha())
        if capital and form in finder.players:
            return size, f"P{finder.number[_meant(finder.players[form], moment)]}"
        if form in finder.sides and (capital or form in _PLAIN_SIDES):
            return size, f"T{finder.sides[form]}"
        if size == 1 and capital and form in finder.weak:
            return 1, f"P{finder.number[_meant(finder.weak[form], moment)]}"
    return 0, ""


_PLAIN_SIDES = frozenset(tuple(words.split()) for words in (*HOME_WORDS, *AWAY_WORDS))


def _meant(candidates: set[str], moment: Moment) -> str:
    """Of several namesakes the one whom the event involves, else the latest before, else one on the pitch."""
    event = moment.event
    acting = [event.player, event.player_on, event.assist, event.goalkeeper, event.opponent, event.receiver]
    for player in acting:
        if player in candidates:
            return str(player)
    reviewed = moment.involved() & candidates
    if reviewed:
        return min(reviewed)
    keepers = {moment.keeper_of(side) for side in moment.on_pitch} & candidates
    if keepers:
        return str(min(filter(None, keepers)))
    recent = moment.involved_recently() & candidates
    if recent:
        return min(recent)
    on_pitch = candidates & frozenset().union(*moment.on_pitch.values())
    return min(on_pitch or candidates)


def _joined_numbers(text: str) -> str:
    """ "20-3" of "twenty-three" -> "23"; "100 and 20" -> "120"; scores stay as they are."""
    text = re.sub(
        r"\b([2-9]0)-(\d(?:st|nd|rd|th)?)\b(?!-)",
        lambda m: m.group(1)[0] + m.group(2) if m.group(1) in _TENS else m.group(),
        text,
    )
    text = re.sub(r"\b(?:1|a) hundred and (\d\d?)\b", lambda m: str(100 + int(m.group(1))), text)
    return re.sub(r"\b(\d) (nil|0)\b", r"\1-0", text.replace("nil", "0"))


_PLAYS = r" (?:scores|shoots|replaces|saves|denies|heads|fires|wins it|comes on|goes off|is (?:booked|off|fouled))\b"


def _acting(words: Iterable[str], annotated: str) -> list[str]:
    """Words that do what only a player does: "Ronaldo scores", "Scaloni comes on"."""
    return [word for word in words if re.search(rf"\b{re.escape(fold(word))}{_PLAYS}", annotated)]


def _suspects(words: list[str], annotated: str) -> list[str]:
    """First words of sentences that act like a name: "Croatia are level", "Neymar scores"."""
    acting = r" (?:are|have|lead|scores?|is|has|wins?|takes?|gets?|makes?|were|'s (?:got|scored|won))"
    return [
        word
        for word in words
        if fold(word).split("'")[0] not in NO_NAMES
        and re.search(rf"(?:^|[.!?] ){re.escape(fold(word))}{acting}\b", annotated)
    ]
