"""Line-ups of provider files, with players called what a commentator calls them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from commentary_llm.match.events import MatchInfo, Player, Team
from commentary_llm.match.roster import MAX_STARTERS, MIN_STARTERS

_INITIAL = re.compile(r"\b\w\.")


def map_info(provider: str, source: str, dataset: Any, files: Mapping[str, Path]) -> MatchInfo:
    """`MatchInfo` of a kloppy event dataset, with names and headings kloppy drops taken from the files."""
    metadata = dataset.metadata
    home, away = metadata.teams
    known = _known_names(provider, files)
    acting = _starters_by_action(dataset)
    heading = _heading(provider, files)
    return MatchInfo(
        id=str(metadata.game_id or f"{provider}-{home.team_id}-{away.team_id}"),
        home=_team(home, known, acting),
        away=_team(away, known, acting),
        date=metadata.date.date().isoformat() if metadata.date else None,
        source=source,
        **heading,
    )


def _team(team: Any, known: Mapping[str, str], acting: Mapping[str, list[str]]) -> Team:
    starters = {str(p.player_id) for p in team.players if p.starting}
    if not MIN_STARTERS <= len(starters) <= MAX_STARTERS:
        # The provider does not say who started (Wyscout 2): those seen acting who did not come on, in order of
        # appearance, and should they be too few, the first of the squad list.
        squad = [str(p.player_id) for p in team.players]
        likely = [p for p in acting.get(str(team.team_id), []) if p in squad]
        starters = set([*likely, *(p for p in squad if p not in likely)][:MAX_STARTERS])
    return Team(
        id=str(team.team_id),
        name=_tidy(team.name) or str(team.ground).capitalize(),
        players=tuple(_player(p, known, str(p.player_id) in starters) for p in team.players),
        formation=_formation(team.starting_formation),
        coach=_tidy(getattr(team, "coach", None)) or None,
    )


def _player(player: Any, known: Mapping[str, str], starter: bool) -> Player:
    first, last, name = _tidy(player.first_name), _tidy(player.last_name), _tidy(player.name)
    spelled_out = " ".join(filter(None, (first, last)))
    # "L. Stindl" is no name to say; "Luca Waldschmidt" under the same heading is.
    short = name if name and not _INITIAL.search(name) else ""
    called = known.get(str(player.player_id)) or short or spelled_out or name or f"number {player.jersey_no}"
    full = spelled_out if len(spelled_out) > len(name) else name
    position = player.starting_position
    shirt = player.jersey_no
    return Player(
        id=str(player.player_id),
        name=called,
        full_name=full if full and full != called else None,
        shirt=int(shirt) if shirt is not None and 0 <= int(shirt) <= 999 else None,
        position=_position(position),
        starter=starter,
    )


def _tidy(text: Any) -> str:
    return " ".join(str(text).split()) if text is not None else ""


def _position(position: Any) -> str | None:
    name = getattr(position, "name", None)
    if not name or name == "Unknown":
        return None
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower().replace("center", "centre")


def _formation(formation: Any) -> str | None:
    value = getattr(formation, "value", None)
    return value if isinstance(value, str) and value[:1].isdigit() else None


def _starters_by_action(dataset: Any) -> dict[str, list[str]]:
    came_on: set[str] = set()
    acting: dict[str, list[str]] = {}
    for event in dataset.events:
        if event.event_type.name == "SUBSTITUTION" and event.replacement_player is not None:
            came_on.add(str(event.replacement_player.player_id))
        if event.player is not None and event.event_type.name != "CARD":
            seen = acting.setdefault(str(event.player.team.team_id), [])
            player = str(event.player.player_id)
            if player not in seen and player not in came_on:
                seen.append(player)
    return acting


def _known_names(provider: str, files: Mapping[str, Path]) -> dict[str, str]:
    """Player id -> the name the provider itself marks as the usual one."""
    if provider == "statsbomb":
        teams = json.loads(files["lineups"].read_text(encoding="utf-8-sig"))
        return {
            str(player["player_id"]): _tidy(player["player_nickname"])
            for team in teams
            for player in team["lineup"]
            if player.get("player_nickname")
        }
    if provider == "opta":
        root = ElementTree.parse(files["f7"]).getroot()
        found = {}
        for player in root.iter("Player"):
            known = player.find("PersonName/Known")
            if known is not None and _tidy(known.text):
                found[player.attrib["uID"].removeprefix("p")] = _tidy(known.text)
        return found
    if provider == "statsperform":
        return _stats_perform_names(files["ma1"])
    if provider == "wyscout":
        return _wyscout_names(files["events"])
    return {}


def _stats_perform_names(path: Path) -> dict[str, str]:
    """`knownName` where there is one, else short first and last name; `matchName` ("L. Messi") is not for saying."""
    raw = path.read_bytes()
    if raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        line_ups = json.loads(raw.decode("utf-8-sig")).get("liveData", {}).get("lineUp", [])
        players = [player for line_up in line_ups for player in line_up.get("player", [])]
    else:
        players = [dict(player.attrib) for player in ElementTree.fromstring(raw).iter("{*}player")]
    names = {}
    for player in players:
        spelled = " ".join(filter(None, (_tidy(player.get("shortFirstName")), _tidy(player.get("shortLastName")))))
        name = _tidy(player.get("knownName")) or spelled
        if name and "playerId" in player:
            names[str(player["playerId"])] = name
    return names


def _wyscout_names(path: Path) -> dict[str, str]:
    """`shortName`, with the first name for its initial: "S. Mané" -> "Sadio Mané"."""
    names = {}
    for squad in json.loads(path.read_text(encoding="utf-8-sig")).get("players", {}).values():
        for entry in squad or ():
            player = entry.get("player") or entry
            short, first = _unescaped(player.get("shortName")), _unescaped(player.get("firstName"))
            if short and first:
                short = re.sub(r"^\w\. ?", f"{first.split()[0]} ", short)
            if short and (player_id := player.get("wyId")):
                names[str(player_id)] = short
    return names


def _unescaped(text: Any) -> str:
    """Wyscout's open data carries names with the escapes still in them: "Man\\u00e9"."""
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), _tidy(text))


def _heading(provider: str, files: Mapping[str, Path]) -> dict[str, str]:
    """Competition, venue and referee, where a provider's XML says them plainly."""
    found: dict[str, str | None] = {}
    if provider == "sportec":
        root = ElementTree.parse(files["meta"]).getroot()
        general, ground = root.find(".//General"), root.find(".//Environment")
        referee = root.find(".//Referee[@Role='referee']")
        if general is not None:
            found["competition"] = general.get("CompetitionName")
            day = general.get("MatchDay")
            found["stage"] = f"matchday {day}" if day else None
        if ground is not None:
            found["venue"] = ground.get("StadiumName")
        if referee is not None:
            found["referee"] = f"{referee.get('FirstName', '')} {referee.get('LastName', '')}"
    elif provider == "opta":
        root = ElementTree.parse(files["f7"]).getroot()
        found["competition"] = root.findtext(".//Competition/Name")
        found["venue"] = root.findtext(".//Venue/Name")
    return {key: _tidy(value) for key, value in found.items() if _tidy(value)}
