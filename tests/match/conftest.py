from __future__ import annotations

import os
from pathlib import Path

import pytest

from commentary_llm.match import MatchInfo, Player, Team


def _team(team_id: str, name: str) -> Team:
    players = tuple(
        Player(id=f"{team_id}{n}", name=f"{name} Player{n}", shirt=n, starter=n <= 11) for n in range(1, 19)
    )
    return Team(id=team_id, name=name, players=players)


@pytest.fixture(scope="session")
def info() -> MatchInfo:
    return MatchInfo(id="m1", home=_team("h", "Home"), away=_team("a", "Away"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    root = Path(__file__).parents[2]
    data = Path(os.environ.get("COMMENTARY_SHARED") or root.parent / "shared") / "data"
    if not data.is_dir():
        pytest.skip(f"no shared match data at {data}")
    return data
