"""Made-up people, clubs and places in the manner of many languages, in two disjoint sets: for training and held out.

Lists of common given names and of syllables; a family name is put together from syllables or taken from a list of
ordinary ones. No list of a real squad is used. A name belongs to the held-out set by its checksum alone, so a set
never depends on seeds.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from checkpoints.finetune.cultures import CULTURES, listed

_TRIPLE = re.compile(r"(.)\1\1|[aeiou]{4}|[^aeiouyáéíóúãõâêôüöäåøæıě'-]{5}")
_HELD_OUT_SHARE = 7  # one name in seven is kept for evaluation


def is_held_out(name: str) -> bool:
    """Whether `name`, a family name, mononym, given name or place, is of the held-out set."""
    return zlib.crc32(name.encode("utf-8")) % _HELD_OUT_SHARE == 0


def _parts(line: str) -> tuple[str, ...]:
    return tuple(line.split(";"))


# name, nicknames
COUNTRIES: tuple[tuple[str, tuple[str, ...]], ...] = tuple(
    (name, tuple(nicknames))
    for name, *nicknames in (
        country.split(":")
        for country in _parts(
            "Argentina:the Albiceleste;Brazil:the Seleção;France:Les Bleus;Spain:La Roja;Germany;"
            "England:the Three Lions;Portugal;Netherlands:Oranje;Belgium:the Red Devils;Croatia;"
            "Italy:the Azzurri;Uruguay:La Celeste;Denmark;Sweden;Norway;Finland;Iceland;Poland;Czech Republic;"
            "Slovakia;Slovenia;Serbia;Bosnia and Herzegovina;Montenegro;Albania;Greece;Turkey;Ukraine;Romania;"
            "Bulgaria;Hungary;Austria;Switzerland;Scotland;Wales;Northern Ireland;Republic of Ireland;"
            "Morocco:the Atlas Lions;Algeria;Tunisia;Egypt:the Pharaohs;Senegal:the Lions of Teranga;"
            "Ghana:the Black Stars;Nigeria:the Super Eagles;Ivory Coast:the Elephants;"
            "Cameroon:the Indomitable Lions;Mali;Burkina Faso;Cape Verde;South Africa:Bafana Bafana;Zambia;"
            "DR Congo;Angola;Japan;South Korea;Australia:the Socceroos;Iran;Iraq;Saudi Arabia;Qatar;"
            "United States;Canada;Mexico:El Tri;Costa Rica;Panama;Honduras;Jamaica;Colombia;Ecuador;Peru;"
            "Chile;Paraguay;Bolivia;Venezuela;New Zealand;Georgia;Armenia;Kosovo;North Macedonia;Israel;Jordan"
        )
    )
)

_CLUB_FORMS: dict[str, tuple[str, ...]] = {
    "spanish": ("{c}", "Real {c}", "Deportivo {c}", "Atlético {c}", "{c} CF", "Racing {c}", "Sporting {c}", "UD {c}"),
    "portuguese": ("{c}", "Sporting {c}", "{c} FC", "Vitória {c}", "Atlético {c}", "União {c}"),
    "french": ("{c}", "Olympique {c}", "Stade {c}", "AS {c}", "Racing {c}", "RC {c}"),
    "dutch": ("{c}", "FC {c}", "Sparta {c}", "{c} SC", "Sportclub {c}"),
    "german": ("{c}", "SV {c}", "Eintracht {c}", "Union {c}", "VfB {c}", "Fortuna {c}", "TSG {c}"),
    "british": ("{c}", "{c} United", "{c} City", "{c} Town", "{c} Rovers", "{c} Albion", "{c} FC", "{c} Athletic"),
    "italian": ("{c}", "AC {c}", "{c} Calcio", "Virtus {c}", "Sporting {c}"),
    "slavic": ("{c}", "Dynamo {c}", "Slavia {c}", "Lokomotiv {c}", "Sparta {c}"),
    "balkan": ("{c}", "Partizan {c}", "Dinamo {c}", "FK {c}"),
}
_COLOURS = listed("Reds Blues Whites Greens Blacks Yellows Oranges Violets")
_BEASTS = listed("Lions Eagles Wolves Foxes Bulls Falcons Tigers Rams Hornets Stags Owls Dragons Sharks Magpies Cranes")
_COMPETITIONS = _parts(
    "Coastal Cup;Northern League;Crown Cup;Meridian Trophy;Premier Division;First Division;National Cup;"
    "Nations Trophy;Continental Cup;Super League;Lakes Cup;Federation Shield;Challenge Cup;League Cup;"
    "Confederation Cup;Harbour Shield"
)
_STAGES = _parts(
    "final;semi-final;quarter-final;round of 16;group stage;matchday 1;matchday 7;matchday 19;matchday 34;"
    "second leg;third round;play-off"
)
_VENUES = ("{c} Park", "{c} Arena", "Estadio {c}", "Stade {c}", "{c} Road", "{c} Stadium", "The {c} Ground")


@dataclass(frozen=True)
class ClubName:
    name: str
    short_name: str | None
    nicknames: tuple[str, ...]


class NameMaker:
    """Draws names of one set. `held_out` names and training names never meet, part by part."""

    def __init__(self, rng: random.Random, held_out: bool = False) -> None:
        self._rng = rng
        self._held_out = held_out

    def culture(self) -> str:
        return self._rng.choice(sorted(CULTURES))

    def _pick(self, words: Sequence[str]) -> str:
        ours = [word for word in words if is_held_out(word) == self._held_out]
        return self._rng.choice(ours or [self._invented(words)])

    def _invented(self, words: Sequence[str]) -> str:
        """A variant of one of `words` that belongs to this set: for lists too short to have any of it."""
        for _ in range(200):
            word = self._rng.choice(words) + self._rng.choice(listed("a o e i an el in us"))
            if is_held_out(word) == self._held_out:
                return word
        raise AssertionError("no word of this set among 200 variants")

    def given(self, culture: str) -> str:
        """A given name; these are shared by both sets, as they are by people."""
        return self._rng.choice(CULTURES[culture].given)

    def family(self, culture: str) -> str:
        """One family name without particle."""
        kind, rng = CULTURES[culture], self._rng
        if rng.random() < 0.35:
            return self._pick(kind.family)
        while True:
            name = rng.choice(kind.starts) + rng.choice(kind.ends)
            if is_held_out(name) == self._held_out and 3 <= len(name) <= 13 and not _TRIPLE.search(name.lower()):
                return name

    def person(self, culture: str) -> str:
        """What a commentator calls him or her: "Bram van der Kamp", "Caio", "Seung-ho Baek"."""
        kind, rng = CULTURES[culture], self._rng
        if rng.random() < kind.mononym_share:
            return self._pick(kind.given) if rng.random() < 0.5 else self.family(culture)
        family = self.family(culture)
        if rng.random() < kind.hyphen_share:
            family = f"{family}-{self.family(culture)}"
        elif rng.random() < kind.two_family_share:
            family = f"{family} {self.family(culture)}"
        elif kind.particles and rng.random() < 0.2:
            particle = rng.choice(kind.particles)
            glued = particle in ("Mc", "O'")
            family = particle + family if glued else f"{particle} {family}"
        return f"{self.given(culture)} {family}"

    def place(self, culture: str) -> str:
        kind, rng = CULTURES[culture], self._rng
        while True:
            name = rng.choice(kind.starts) + rng.choice(kind.place_ends)
            name = name[0] + name[1:].lower()
            if is_held_out(name) == self._held_out and 4 <= len(name) <= 13 and not _TRIPLE.search(name.lower()):
                return name

    def club(self, culture: str) -> ClubName:
        place = self.place(culture)
        forms = _CLUB_FORMS.get(culture, ("{c}", "{c} FC", "FC {c}", "Sporting {c}"))
        name = self._rng.choice(forms).format(c=place)
        # A short name is not in the prompt: one that a commentator could use would have to be guessed.
        short = place[:3].upper() if self._rng.random() < 0.5 else None
        nicknames: tuple[str, ...] = ()
        if self._rng.random() < 0.4:
            nicknames = (f"the {self._rng.choice(_COLOURS + _BEASTS)}",)
        return ClubName(name, short, nicknames)

    def country(self) -> ClubName:
        ours = [country for country in COUNTRIES if is_held_out(country[0]) == self._held_out]
        name, nicknames = self._rng.choice(ours)
        return ClubName(name, None, nicknames)

    def competition(self) -> str:
        return self._rng.choice(_COMPETITIONS)

    def stage(self) -> str:
        return self._rng.choice(_STAGES)

    def venue(self, culture: str) -> str:
        return self._rng.choice(_VENUES).format(c=self.place(culture))
