from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from commentary_llm.ground.errors import ConfigError, InputError
from commentary_llm.match import EventType, Match, MatchState, Phase, Score
from commentary_llm.match.feeds import PROVIDERS, Recording, load_provider, read_jsonl, write_jsonl


def final_state(recording: Recording) -> MatchState:
    match = Match(recording.info)
    for event in recording.events:
        match.accept(event)
    return match.state


@pytest.fixture(scope="module")
def statsbomb(shared_data: Path) -> Recording:
    folder = shared_data / "statsbomb"
    return load_provider("statsbomb", {"events": folder / "15946_event.json", "lineups": folder / "15946_lineup.json"})


def test_statsbomb_score_names_and_credit(statsbomb: Recording) -> None:
    info, state = statsbomb.info, final_state(statsbomb)
    assert (info.home.name, info.away.name, info.source) == ("Barcelona", "Deportivo Alavés", "StatsBomb")
    # Messi, Coutinho and Messi; the file adds an own goal against Barcelona.
    assert state.score == Score(home=3, away=1)
    assert not statsbomb.warnings
    scorers = [(state.player(g.player).name if g.player else None, g.time.label, g.own_goal) for g in state.goals]
    assert scorers == [
        ("Lionel Messi", "64", False),
        ("Philippe Coutinho", "83", False),
        (None, "90", True),
        ("Lionel Messi", "90+2", False),
    ]
    assert [state.player(g.assist).name if g.assist else None for g in state.goals] == [
        None,
        "Arthur",
        None,
        "Luis Suárez",
    ]
    assert {state.player(b.player).name for b in state.cards if b.player} == {
        "Daniel Alejandro Torres",
        "Guillermo Maripán",
    }
    assert len(state.substitutions) == 6
    assert state.phase is Phase.ENDED
    for side in (info.home, info.away):
        assert sum(player.starter for player in side.players) == 11
    messi = next(player for player in info.home.players if player.name == "Lionel Messi")
    assert messi.full_name == "Lionel Andrés Messi Cuccittini"


def test_statsbomb_positions_are_the_acting_sides(statsbomb: Recording) -> None:
    attempts = [e for e in statsbomb.events if e.type in (EventType.SHOT, EventType.GOAL)]
    for side in (statsbomb.info.home.id, statsbomb.info.away.id):
        positions = [e.x for e in attempts if e.team == side and e.x is not None]
        assert positions
        assert min(positions) > 0.5
    corners = [e for e in statsbomb.events if e.type is EventType.CORNER]
    assert corners
    assert all(e.x is not None and e.x > 0.9 for e in corners)
    saved = [e for e in attempts if e.outcome is not None and e.outcome.value == "saved"]
    assert all(e.goalkeeper for e in saved)
    assert any(e.opponent for e in statsbomb.events if e.type is EventType.FOUL)
    assert statsbomb.skipped["Ball Receipt*"] > 1000


def test_statsbomb_tells_no_save_free_kick_or_change_of_shape_that_was_none(statsbomb: Recording) -> None:
    assert not [
        e for e in statsbomb.events if e.type is EventType.SAVE
    ]  # those of shots are the shots'; the rest are claims
    fouls = {e.event_id for e in statsbomb.events if e.type is EventType.FOUL}
    assert "0a799d3b-57a2-424c-a377-9e519b2af6dc" not in fouls  # advantage played
    shapes = [(e.team, e.formation) for e in statsbomb.events if e.type is EventType.FORMATION]
    assert shapes == [("217", "4-3-3"), ("206", "4-4-2")]
    assert statsbomb.skipped["formation as before"] == 2


def test_statsbomb_survives_the_own_format(statsbomb: Recording, tmp_path: Path) -> None:
    write_jsonl(statsbomb, tmp_path / "match.jsonl")
    assert read_jsonl(tmp_path / "match.jsonl") == statsbomb


def test_opta_sample(shared_data: Path) -> None:
    folder = shared_data / "opta"
    recording = load_provider("opta", {"f24": folder / "opta_f24.xml", "f7": folder / "opta_f7.xml"})
    state = final_state(recording)
    assert (recording.info.home.name, recording.info.away.name) == ("FC København", "FC Nordsjælland")
    assert "Zeca" in {player.name for player in recording.info.home.players}
    # A penalty, a goal and an own goal of Nordsjælland; the line-up file tells of the whole match.
    assert state.score == Score(home=1, away=2)
    assert any("the file says the match ended 2-1" in warning for warning in recording.warnings)
    assert state.sent_off


def test_sportec_sample(shared_data: Path) -> None:
    folder = shared_data / "sportec"
    recording = load_provider("sportec", {"events": folder / "sportec_events.xml", "meta": folder / "sportec_meta.xml"})
    state = final_state(recording)
    assert state.score == Score(home=2, away=0)
    scorer, unlucky = state.goals
    assert scorer.player is not None
    assert state.player(scorer.player).name == "Nils Petersen"
    assert scorer.assist is not None
    assert state.player(scorer.assist).name == "Vincenzo Grifo"
    assert unlucky.own_goal
    assert recording.info.venue == "Schwarzwald-Stadion"
    assert recording.info.date == "2020-06-05"
    assert recording.info.referee == "Markus Schmidt"
    goal = next(event for event in recording.events if event.type is EventType.GOAL)
    assert goal.x is not None
    assert goal.x > 0.8


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_the_table_fits_kloppy(provider: str) -> None:
    spec = PROVIDERS[provider]
    module, function = spec.loader.split(":")
    parameters = signature(getattr(import_module(module), function)).parameters
    assert {*spec.files.values(), *spec.optional.values()} <= set(parameters)
    assert all(f"--{option}" in spec.usage() for option in spec.files)


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
@pytest.mark.parametrize("content", ["{}", "[]", "<a/>", "not data", '{"events": [1]}'])
def test_a_foreign_file_is_named(provider: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / "foreign.dat"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"foreign\.dat"):
        load_provider(provider, dict.fromkeys(PROVIDERS[provider].files, path))


def test_arguments_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown provider 'optta'; known are datafactory, impect"):
        load_provider("optta", {})
    with pytest.raises(ConfigError, match=r"also needs --lineups \(line-ups JSON\); give --events FILE --lineups FILE"):
        load_provider("statsbomb", {"events": tmp_path / "x"})
    both = {"events": tmp_path / "x", "lineups": tmp_path / "y"}
    with pytest.raises(ConfigError, match="has no file option --meta"):
        load_provider("statsbomb", {**both, "meta": tmp_path / "z"})
    with pytest.raises(InputError, match=r"--events: .* is not a file; expected the StatsBomb events JSON"):
        load_provider("statsbomb", both)
    (tmp_path / "x").touch()
    with pytest.raises(InputError, match=r"--events: .* is empty"):
        load_provider("statsbomb", both)


Edit = Callable[[list[dict[str, Any]]], None]


def edited(shared_data: Path, tmp_path: Path, edit: Edit) -> Recording:
    folder = shared_data / "statsbomb"
    raw = json.loads((folder / "15946_event.json").read_text(encoding="utf-8"))
    edit(raw)
    path = tmp_path / "events.json"
    path.write_text(json.dumps(raw), encoding="utf-8")
    return load_provider("statsbomb", {"events": path, "lineups": folder / "15946_lineup.json"})


def test_a_contradicting_event_is_skipped_and_told(shared_data: Path, tmp_path: Path) -> None:
    def send_off_messi_early(raw: list[dict[str, Any]]) -> None:
        foul = next(r for r in raw if r["type"]["name"] == "Foul Committed" and r["team"]["id"] == 217)
        foul["player"] = {"id": 5503, "name": "Lionel Andrés Messi Cuccittini"}
        foul["foul_committed"] = {"card": {"id": 5, "name": "Red Card"}}

    recording = edited(shared_data, tmp_path, send_off_messi_early)
    assert recording.skipped["contradicts the match: goal"] == 2
    assert sum("Lionel Messi was sent off and cannot have scored" in w for w in recording.warnings) == 2
    assert final_state(recording).score == Score(home=1, away=1)


def test_an_unreadable_event_is_left_out_and_counted(shared_data: Path, tmp_path: Path) -> None:
    def break_two(raw: list[dict[str, Any]]) -> None:
        passes = [r for r in raw if r["type"]["name"] == "Pass"]
        passes[100]["type"] = {"id": 999, "name": "Teleport"}
        del passes[700]["timestamp"]

    recording = edited(shared_data, tmp_path, break_two)
    assert recording.skipped["unreadable event: Teleport"] == 1
    assert recording.skipped["unreadable event: Pass"] == 1
    assert final_state(recording).score == Score(home=3, away=1)
