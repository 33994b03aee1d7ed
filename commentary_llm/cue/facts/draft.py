"""Facts in the making: what the modules of this folder add flags and roles to."""

from __future__ import annotations

from collections import defaultdict

from commentary_llm.cue.facts.keys import player_key, team_key
from commentary_llm.match import EventType, MatchEvent, MatchState


class Draft:
    """Flags and roles of one event, still open. `side`: the acting side's id, told by the player where left out."""

    def __init__(self, event: MatchEvent, state: MatchState) -> None:
        self.event = event
        self.state = state
        # "stoppage_time" is true of the clock, not of the board.
        self.flags: set[str] = {"stoppage_board" if event.type is EventType.STOPPAGE_TIME else event.type.value}
        self.roles: dict[str, set[str]] = defaultdict(set)
        self.replaced: dict[str, str] = {}
        self.side = event.team or (state.team_of(event.player).id if event.player is not None else None)

    def role(self, role: str, player: str | None, side: str | None = None) -> None:
        """Puts a player (and the side, by default his own) into a role."""
        if player is not None:
            self.roles[role].add(player_key(player))
            side = side or self.state.team_of(player).id
        if side is not None:
            self.roles[role].add(team_key(side))

    def other(self, team_id: str | None) -> str | None:
        return self.state.opponent_of(team_id).id if team_id is not None else None
