"""Look-ups over the two line-ups, and the check that an event speaks of people on them."""

from __future__ import annotations

from commentary_llm.ground.errors import InputError
from commentary_llm.match.events import EventType, MatchEvent, MatchInfo

# Laws of the Game, law 3: a match may not start or go on with fewer than seven players in a side.
MIN_STARTERS, MAX_STARTERS = 7, 11
_NEEDS_TEAM = frozenset(
    {EventType.GOAL, EventType.OWN_GOAL, EventType.CARD, EventType.SUBSTITUTION, EventType.PENALTY_AWARDED}
)


def lineup_problems(info: MatchInfo) -> list[str]:
    """What keeps the line-ups from being usable, in words; empty when they are fine."""
    problems = []
    for side, team in (("home", info.home), ("away", info.away)):
        starters = sum(player.starter for player in team.players)
        if not team.players:
            problems.append(
                f"{side} team {team.name!r} has no line-up; add its players (id, name, starter) to {side}.players"
            )
        elif not MIN_STARTERS <= starters <= MAX_STARTERS:
            problems.append(
                f"{side} team {team.name!r} has {starters} starters; expected {MIN_STARTERS} to {MAX_STARTERS}: "
                f"add the missing players to {side}.players, and mark those on the bench with starter: false"
            )
    return problems


class Roster:
    """Both line-ups by id; shared by all states of a match."""

    def __init__(self, info: MatchInfo) -> None:
        """Raises InputError if a line-up is missing or no side could start with it."""
        if problems := lineup_problems(info):
            raise InputError(f"match {info.id!r}: " + "; ".join(problems))
        self.teams = {info.home.id: info.home, info.away.id: info.away}
        self.opponent = {info.home.id: info.away.id, info.away.id: info.home.id}
        self.players = {player.id: player for team in self.teams.values() for player in team.players}
        self.side = {player.id: team.id for team in self.teams.values() for player in team.players}

    def starters(self, team_id: str) -> frozenset[str]:
        return frozenset(player.id for player in self.teams[team_id].players if player.starter)

    def check(self, event: MatchEvent) -> str | None:
        """The acting side's id (told by the player where `team` is left out), or None.

        Raises InputError for ids not on the line-ups, and for people acting for the wrong side.
        """
        team = event.team
        if team is not None and team not in self.teams:
            known = ", ".join(f"{t.id!r} ({t.name})" for t in self.teams.values())
            raise InputError(f"event {event.event_id!r}: unknown team {team!r}; the sides are {known}")
        for role in ("player", "player_on", "assist", "goalkeeper", "opponent", "receiver"):
            player = getattr(event, role)
            if player is not None and player not in self.players:
                where = f"the line-up of {self.teams[team].name}" if team else "the line-ups"
                raise InputError(
                    f"event {event.event_id!r}: {role} {player!r} is not on {where}; add the player or mend the id"
                )
        if team is None and event.player is not None:
            team = self.side[event.player]
        if team is None and event.type in _NEEDS_TEAM:
            raise InputError(f"event {event.event_id!r}: a {event.type.value} needs a team (or a player who tells it)")
        for role in ("player", "player_on", "assist"):
            player = getattr(event, role)
            if player is not None and self.side[player] != team:
                acting = self.teams[team].name if team is not None else "no side"
                raise InputError(
                    f"event {event.event_id!r}: {role} {self.players[player].name} plays for "
                    f"{self.teams[self.side[player]].name}, not for {acting}; "
                    "the team of an event is the acting player's (own goals too)"
                )
        return team
