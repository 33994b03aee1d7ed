"""Keys that stand for whoever or whatever fills a part in an event, the same in every language."""

from __future__ import annotations

# "p:<player id>", "t:<team id>", "k" a goalkeeper nobody named. A language adds what else has a name in its texts.
Key = str


def player_key(player_id: str) -> Key:
    return f"p:{player_id}"


def team_key(team_id: str) -> Key:
    return f"t:{team_id}"
