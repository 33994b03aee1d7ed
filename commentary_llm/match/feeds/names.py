"""Finding a team or player by what a person would type."""

from __future__ import annotations

from collections.abc import Iterable

from commentary_llm.ground.text import fold
from commentary_llm.match.events import MatchInfo, Player, Team


def _typed(text: str) -> str:
    """Folded, with single spaces: "Julián  Álvarez" -> "julian alvarez"."""
    return " ".join(fold(text).split())


class NameIndex:
    """Ids behind names. A player answers to his id, his name, his full name and the end of either ("Messi", "De Paul");
    a side to its id, name, short name and nicknames.
    """

    def __init__(self, info: MatchInfo) -> None:
        self._sides = (info.home, info.away)
        self._players = {p.id: p for side in self._sides for p in side.players}
        self._whole: dict[str, set[str]] = {}
        self._ends: dict[str, set[str]] = {}
        for player in self._players.values():
            for name in filter(None, (player.name, player.full_name)):
                words = _typed(name).split()
                self._whole.setdefault(" ".join(words), set()).add(player.id)
                for start in range(1, len(words)):
                    self._ends.setdefault(" ".join(words[start:]), set()).add(player.id)

    def team_id(self, text: str) -> str:
        """Raises ValueError, saying what was expected, if no side answers to `text`."""
        for side in self._sides:
            if text == side.id:
                return side.id
        found = [s.id for s in self._sides if _typed(text) in {_typed(n) for n in _team_names(s)}]
        if len(found) == 1:
            return found[0]
        sides = ", ".join(f"{side.id!r} ({side.name})" for side in self._sides)
        raise ValueError(f"{'ambiguous' if found else 'unknown'} team {text!r}; the sides are {sides}")

    def player_id(self, text: str, team_id: str | None = None) -> str:
        """The player meant; namesakes are told apart by `team_id`. Raises ValueError if none or several answer."""
        if text in self._players:
            return text
        folded = _typed(text)
        found = self._whole.get(folded) or self._ends.get(folded) or set()
        if len(found) > 1 and team_id is not None:
            own = {p.id for side in self._sides if side.id == team_id for p in side.players}
            found = found & own or found
        if len(found) == 1:
            return next(iter(found))
        if found:
            raise ValueError(
                f"{text!r} may be {_either(self._players[i] for i in found)}; give the full name or the id"
            )
        raise ValueError(f"unknown player {text!r}: on neither line-up; add the player or mend the name")


def _team_names(team: Team) -> Iterable[str]:
    return filter(None, (team.name, team.short_name, *team.nicknames))


def _either(players: Iterable[Player]) -> str:
    return " or ".join(sorted(f"{player.name} (id {player.id!r})" for player in players))
