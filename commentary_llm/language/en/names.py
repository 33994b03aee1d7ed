"""Everybody and everything in a match that has a name, under every true form of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from commentary_llm.cue.facts.keys import Key, player_key, team_key
from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.en.lists import lines_of
from commentary_llm.language.en.tokens import Token, words_of
from commentary_llm.match import MatchInfo, Player, Team

# Particles that belong to the surname: "Di María", "ter Stegen", "De Paul".
_PARTICLES = frozenset(
    [
        "de",
        "di",
        "da",
        "do",
        "dos",
        "das",
        "del",
        "della",
        "du",
        "des",
        "la",
        "le",
        "el",
        "al",
        "van",
        "von",
        "der",
        "den",
        "ter",
        "ten",
        "te",
        "mac",
        "mc",
        "st",
        "bin",
        "ben",
        "ould",
        "abu",
    ]
)
# Words of a club's name that supporters leave out: "Deportivo Alavés" is "Alavés".
_CLUB_WORDS = frozenset(
    [
        "fc",
        "cf",
        "afc",
        "sc",
        "ac",
        "as",
        "rc",
        "cd",
        "ud",
        "sv",
        "vfb",
        "vfl",
        "tsg",
        "fsv",
        "rb",
        "bk",
        "if",
        "sk",
        "club",
        "sport",
        "deportivo",
        "futbol",
        "calcio",
    ]
)

_NOT_IN_KNOWN = _CLUB_WORDS - {"club", "ac", "as", "bk"} | {"women", "womens", "w"}


@dataclass(frozen=True)
class NameBook:
    """Aliases (folded words) of a match -> the keys they may mean. Longest alias wins when looked up.

    Beside players and teams (see `cue.facts.keys`): "c:<name>" coach or referee, "x:<name>" venue or competition.
    One per match, made by `name_book`; what judges and writes for that match holds it.
    """

    info: MatchInfo
    aliases: dict[tuple[str, ...], frozenset[Key]]
    longest: int
    surnames: dict[str, str] = field(default_factory=dict)  # player id -> the form a commentator uses

    def find(self, tokens: list[Token], start: int) -> tuple[frozenset[Key], int] | None:
        """Keys of the longest name that begins at `start` and the index after it (marks inside skipped)."""
        words: list[str] = []
        best: tuple[frozenset[Key], int] | None = None
        i = start
        while i < len(tokens) and len(words) < self.longest:
            token = tokens[i]
            if token.kind == "mark":
                # "Marc-André", "E. Martínez": marks that stand inside names, nothing else.
                if not words or token.text not in "-.":
                    break
                i += 1
                continue
            words.append(token.text)
            i += 1
            keys = self.aliases.get(tuple(words))
            if keys:
                best = (keys, i)
            if token.possessive:
                break
        return best


def name_book(info: MatchInfo) -> NameBook:
    """The names of `info`: worked out anew at each call, so keep it."""
    aliases: dict[tuple[str, ...], set[Key]] = defaultdict(set)
    weak: dict[tuple[str, ...], set[Key]] = defaultdict(set)
    surnames: dict[str, str] = {}
    shared = defaultdict(set)
    for team in (info.home, info.away):
        for player in team.players:
            shared[words_of(surname(player))].add(player.id)
    for team in (info.home, info.away):
        for form in _team_forms(team):
            aliases[form].add(team_key(team.id))
        if team.coach:
            _add_person(aliases, team.coach, f"c:{team.coach}")
        for player in team.players:
            key = player_key(player.id)
            for form in _player_forms(player):
                aliases[form].add(key)
            first = words_of(player.name.split()[0])
            if len("".join(first)) >= 4:
                weak[first].add(key)
            short = surname(player)
            surnames[player.id] = short if len(shared[words_of(short)]) == 1 else player.name
    _add_known_forms(aliases, info)
    for known in (info.competition, info.venue, _short_venue(info.venue), info.stage, *_competition_forms(info)):
        if known and words_of(known):
            aliases[words_of(known)].add(f"x:{known}")
    if info.referee:
        _add_person(aliases, info.referee, f"c:{info.referee}")
    for form, keys in weak.items():
        # A first name stands for a man only while nobody else is called so.
        if len(keys) == 1 and form not in aliases:
            aliases[form] |= keys
    return NameBook(
        info,
        {form: frozenset(keys) for form, keys in aliases.items() if form},
        max((len(form) for form in aliases), default=1),
        surnames,
    )


def spoken_team_name(name: str) -> str:
    """A club without the words supporters leave out: "Deportivo Alavés" -> "Alavés", "Arsenal FC" -> "Arsenal"."""
    kept = [word for word in name.split() if not set(words_of(word)) <= _CLUB_WORDS]
    return " ".join(kept) or name


def called(team: Team) -> str:
    """The team as a commentator calls it; a short name in capitals ("ARG") is for boards."""
    short = team.short_name
    return short if short and not short.isupper() and len(short) > 3 else spoken_team_name(team.name)


def surname(player: Player) -> str:
    """What a commentator says for short: "Messi", "Di María", "ter Stegen", "Neymar"."""
    words = player.name.split()
    if len(words) == 1:
        return player.name
    for i in range(1, len(words) - 1):
        if words_of(words[i]) and words_of(words[i])[0] in _PARTICLES:
            return " ".join(words[i:])
    if words_of(words[-1])[-1:] in (("jr",), ("junior",), ("sr",)):
        return words[0]
    # Of three names the middle one may be given ("Daniel Alejandro Torres Rojas") or family ("Randal Kolo Muani"):
    # a full name that goes on tells the former.
    if len(words) > 2 and (player.full_name is None or player.full_name == player.name):
        return " ".join(words[1:])
    return words[-1]


def _player_forms(player: Player) -> set[tuple[str, ...]]:
    short = surname(player)
    given = player.name.split()[0]
    last = player.name.split()[-1]
    forms = {words_of(player.name), words_of(short), words_of(last)}
    if short != player.name:
        # "Emiliano Martínez" is also "E. Martínez" and "Emi Martínez".
        forms |= {words_of(f"{given[:end]} {short}") for end in (1, *range(3, len(given) + 1))}
    if len(player.name.split()) > 2:
        forms.add(words_of(player.name.split(maxsplit=1)[1]))
    if "-" in last and words_of(last)[0] in _PARTICLES:
        forms.add(words_of(last)[1:])  # "Al-Owairan" is also "Owairan"
    if player.full_name:
        forms.add(words_of(player.full_name))
    forms.discard(())
    return forms


def _add_known_forms(aliases: dict[tuple[str, ...], set[Key]], info: MatchInfo) -> None:
    """Nicknames and peoples of well-known teams, and "the visitors"; what would fit both sides fits neither."""
    found: dict[tuple[str, ...], set[Key]] = defaultdict(set)
    nations = 0
    for team in (info.home, info.away):
        known = known_teams().get(tuple(word for word in words_of(team.name) if word not in _NOT_IN_KNOWN))
        if known is None:
            continue
        nations += known.nation
        for form in known.forms:
            found[form].add(team_key(team.id))
    # Two nations usually meet on neutral ground, and so do finalists: nobody is at home there.
    if not nations and words_of(info.stage or "") != ("final",):
        for phrase in ("home side", "home team", "hosts"):
            found[words_of(phrase)].add(team_key(info.home.id))
        for phrase in ("visitors", "visiting side", "away side", "away team"):
            found[words_of(phrase)].add(team_key(info.away.id))
    for form, keys in found.items():
        if len(keys) == 1 and form not in aliases:
            aliases[form] |= keys


@dataclass(frozen=True)
class _KnownTeam:
    forms: tuple[tuple[str, ...], ...]
    nation: bool


@lru_cache(maxsize=1)
def known_teams() -> dict[tuple[str, ...], _KnownTeam]:
    """`team_names.txt` by the folded words of each team, read once."""
    return read_known_teams(Path(__file__).with_name("team_names.txt"))


def read_known_teams(file: Path) -> dict[tuple[str, ...], _KnownTeam]:
    """Raises ConfigError, with the line, for what is neither a team nor something that it is called."""
    known: dict[tuple[str, ...], _KnownTeam] = {}
    teams: list[tuple[str, ...]] = []
    called_below = True  # the next team begins anew
    for where, line in lines_of(file):
        kind, _, form = line.partition(":")
        if line.startswith("[") and line.endswith("]"):
            teams = [words_of(line[1:-1])] if called_below else [*teams, words_of(line[1:-1])]
            called_below = False
        elif teams and kind in ("people", "nickname") and words_of(form):
            called_below = True
            for team in teams:
                before = known.get(team, _KnownTeam((), False))
                known[team] = _KnownTeam((*before.forms, words_of(form)), before.nation or kind == "people")
        else:
            raise ConfigError(f"{where}: found {line!r}; expected [team], or people: or nickname: below one")
    return known


def _short_venue(venue: str | None) -> str | None:
    """ "Lusail Stadium" is also "Lusail"."""
    words = (venue or "").split()
    return " ".join(words[:-1]) if len(words) > 1 and words[-1].lower() in ("stadium", "arena", "stadion") else None


def _competition_forms(info: MatchInfo) -> list[str]:
    """ "FIFA World Cup 2022" is also "the World Cup", and its last match "the World Cup final"."""
    words = [word for word in (info.competition or "").split() if not any(char.isdigit() for char in word)]
    if words and words[0].isupper() and len(words) > 1:
        words = words[1:]  # the governing body
    if len(words) < 2:
        return []
    short = " ".join(words)
    is_final = words_of(info.stage or "") == ("final",)
    return [short, *([f"{short} final"] if is_final else [])]


def _add_person(aliases: dict[tuple[str, ...], set[Key]], name: str, key: Key) -> None:
    aliases[words_of(name)].add(key)
    aliases[words_of(name.split()[-1])].add(key)


def _team_forms(team: Team) -> set[tuple[str, ...]]:
    forms = set()
    for name in (team.name, team.short_name, *team.nicknames):
        if not name:
            continue
        words = words_of(name)
        forms.add(words)
        forms.add(tuple(word for word in words if word not in _CLUB_WORDS))
        if words[:1] in (("the",), ("la",), ("les",), ("los",), ("el",)):
            forms.add(words[1:])
    forms.discard(())
    return forms
