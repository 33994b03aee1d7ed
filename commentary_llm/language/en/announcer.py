"""What a stadium's announcer says in English."""

from __future__ import annotations

from commentary_llm.language.contract import Announcer
from commentary_llm.language.en.names import name_book
from commentary_llm.match import CardType, EventType, MatchEvent, MatchInfo, Player, Team

_SHOOTOUT = 5
_CARD_WORDS = {
    CardType.YELLOW: "Yellow card",
    CardType.SECOND_YELLOW: "Second yellow card, and red,",
    CardType.RED: "Red card",
}


def announcer(info: MatchInfo) -> Announcer:
    """The announcer of a match; shoot-out kicks are among what he leaves out."""
    short = name_book(info).surnames

    def announce(event: MatchEvent) -> str:
        team = next((side for side in (info.home, info.away) if side.id == event.team), None)
        if event.type is EventType.STOPPAGE_TIME and event.minutes_added:
            plural = "" if event.minutes_added == 1 else "s"
            return f"A minimum of {event.minutes_added} minute{plural} will be added."
        if team is None or event.period == _SHOOTOUT:
            return ""
        player = _named(team, event.player)
        if event.type is EventType.GOAL:
            return f"Goal for {team.name}, scored by {player}." if player else f"Goal for {team.name}."
        if event.type is EventType.OWN_GOAL:
            other = info.away if team is info.home else info.home
            by = f". An own goal by {player}." if player else ", an own goal."
            return f"Goal for {other.name}{by}"
        if event.type is EventType.CARD and event.card and player:
            return f"{_CARD_WORDS[event.card]} for {team.name}, {player}."
        if event.type is EventType.SUBSTITUTION and event.player_on:
            # Surnames: the whole has to be said within the five seconds that the recogniser listens after the event.
            on, off = short.get(event.player_on, ""), short.get(event.player or "", "")
            return f"Change for {team.name}. {on} for {off}." if off else f"Change for {team.name}. {on} is on."
        return ""

    return announce


def _named(team: Team, player_id: str | None) -> str:
    player: Player | None = next((player for player in team.players if player.id == player_id), None)
    if player is None:
        return ""
    return player.name if player.shirt is None else f"number {player.shirt}, {player.name}"
