"""Made-up line-ups for synthetic matches."""

from __future__ import annotations

import random

from checkpoints.finetune.names import ClubName, NameMaker
from commentary_llm.match import MatchInfo, Player, Team

FORMATIONS = ("4-3-3", "4-4-2", "4-2-3-1", "3-5-2", "3-4-3", "5-3-2", "4-1-4-1", "5-4-1", "4-3-1-2")
POSITIONS = ("goalkeeper", "right-back", "centre-back", "centre-back", "left-back", "midfielder", "midfielder",
              "midfielder", "right winger", "forward", "left winger")  # fmt: skip
BENCH = (
    "goalkeeper",
    "defender",
    "defender",
    "midfielder",
    "midfielder",
    "midfielder",
    "forward",
    "forward",
    "forward",
)


def make_info(rng: random.Random, match_id: str, held_out: bool = False) -> MatchInfo:
    """Two sides with eleven starters and a bench each. Names are of one set, see `NameMaker`."""
    names = NameMaker(rng, held_out)
    national = rng.random() < 0.4
    clubs: list[tuple[ClubName, str]] = []
    while len(clubs) < 2:
        culture = names.culture()
        club = names.country() if national else names.club(culture)
        if all(club.name != other.name for other, _ in clubs):
            clubs.append((club, culture))
    taken: set[str] = set()
    home, away = (
        _team(names, rng, side, club, culture, national, taken)
        for side, (club, culture) in zip(("h", "a"), clubs, strict=True)
    )
    return MatchInfo(
        id=match_id,
        home=home,
        away=away,
        competition=names.competition() if rng.random() < 0.8 else None,
        stage=names.stage() if rng.random() < 0.6 else None,
        venue=names.venue(clubs[0][1]) if rng.random() < 0.5 else None,
    )


def _team(
    names: NameMaker, rng: random.Random, side: str, club: ClubName, culture: str, national: bool, taken: set[str]
) -> Team:
    foreign = 0.05 if national else 0.45
    players = []
    shared = names.family(culture) if rng.random() < 0.2 else None  # two of one surname in the side
    positions = (*POSITIONS, *BENCH)
    for i, position in enumerate(positions):
        while True:
            own = culture if rng.random() > foreign else names.culture()
            name = f"{names.given(own)} {shared}" if shared and i in (3, 9) else names.person(own)
            if name not in taken:
                taken.add(name)
                break
        players.append(
            Player(id=f"{side}{i + 1}", name=name, shirt=i + 1, position=position, starter=i < len(POSITIONS))
        )
    return Team(
        id=side,
        name=club.name,
        short_name=club.short_name,
        nicknames=club.nicknames,
        players=tuple(players),
        formation=rng.choice(FORMATIONS),
    )
