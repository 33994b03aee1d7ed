from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commentary_llm.ground.errors import InputError, OutputError
from commentary_llm.match import EventType, Match, MatchEvent, MatchInfo, Player, Score, Team
from commentary_llm.match.feeds import Recording, builtin_match_path, read_jsonl, write_jsonl


def squad(names: dict[str, str], prefix: str) -> list[dict[str, Any]]:
    named = [{"id": key, "name": name} for key, name in names.items()]
    return named + [{"id": f"{prefix}{n}", "name": f"Filler {prefix}{n}"} for n in range(len(named), 11)]


HEAD = {
    "type": "match",
    "id": "m",
    "home": {
        "id": "arg",
        "name": "Argentina",
        "nicknames": ["the Albiceleste"],
        "players": squad(
            {"messi": "Lionel Messi", "em": "Emiliano Martínez", "lm": "Lautaro Martínez", "dp": "Rodrigo De Paul"}, "x"
        ),
    },
    "away": {"id": "fra", "name": "France", "players": squad({"mb": "Kylian Mbappé", "ho": "Rasmus Højlund"}, "y")},
}


def write(path: Path, *lines: dict[str, Any] | str) -> Path:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text(text, encoding="utf-8")
    return path


def test_hand_typed_names_clocks_and_ids(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.jsonl",
        HEAD,
        {"type": "goal", "clock": "23:10", "team": "argentina", "player": "messi", "goalkeeper": "y5"},
        "",
        {"type": "shot", "clock": "45+2:30", "team": "the albiceleste", "player": "DE  PAUL", "outcome": "post"},
        {"type": "goal", "clock": "90+4", "team": "France", "player": "Mbappe", "assist": "hojlund"},
        {"type": "goal", "clock": "121:00", "period": 5, "team": "arg", "player": "Lautaro Martinez"},
    )
    recording = read_jsonl(path)
    assert [event.event_id for event in recording.events] == ["line-2", "line-4", "line-5", "line-6"]
    first, shot, equaliser, kick = recording.events
    assert (first.team, first.player, first.period, first.elapsed_s) == ("arg", "messi", 1, 1390)
    assert (shot.player, shot.period, shot.elapsed_s) == ("dp", 1, 2850)
    assert (equaliser.player, equaliser.assist, equaliser.period) == ("mb", "ho", 2)
    assert (kick.player, kick.period) == ("lm", 5)


BAD_LINES = [
    ('{"type": "goal", "clo', "line 2: not a whole JSON record (Unterminated string", "cut off"),
    ("[1]", "line 2: a JSON list; expected an object", ""),
    ('{"type": "goal", "period": 1, "elapsed_s": NaN}', "line 2: not a usable JSON record (NaN is not", ""),
    ({"type": "gaol", "clock": "5"}, "line 2: field type: Input should be", "(found 'gaol')"),
    ({"type": "goal", "clock": "5", "tea": "arg"}, "line 2: field tea: no such field", ""),
    (
        {"type": "goal", "clock": "5", "team": "Spain"},
        "line 2: field team: unknown team 'Spain'; the sides are",
        "'fra'",
    ),
    ({"type": "goal", "clock": "5", "player": "Pele"}, "line 2: field player: unknown player 'Pele'", "add the player"),
    (
        {"type": "goal", "clock": "5", "team": "arg", "player": "Martinez"},
        "line 2: field player: 'Martinez' may be Emiliano Martínez (id 'em') or Lautaro Martínez (id 'lm')",
        "give the full name or the id",
    ),
    ({"type": "goal", "clock": "5x"}, "line 2: field clock: clock '5x' is not a match time", ""),
    ({"type": "goal", "clock": "5", "elapsed_s": 3}, "line 2: field clock: give clock or elapsed_s, not both", ""),
    ({"type": "goal", "clock": "5", "period": "one"}, "line 2: field period: 'one' is not a whole number", ""),
    ({"type": "goal", "clock": True}, "line 2: field clock: True is not a match time", ""),
    ({"type": "goal"}, "line 2: field period: Field required", "field elapsed_s: Field required"),
    ({"type": "goal", "period": 1, "elapsed_s": -1}, "line 2: field elapsed_s: Input should be greater", "found -1"),
    ({"type": "card", "clock": "5", "player": "mb"}, "line 2: a card needs card", ""),
    (HEAD, "line 2: field type: a second match record", ""),
    (
        {"type": "goal", "clock": "5", "team": "arg", "player": "mb"},
        "line 2: event 'line-2': player Kylian Mbappé plays for France, not for Argentina",
        "",
    ),
    (
        {"type": "corner", "clock": "5", "team": "arg", "score": {"home": 1, "away": 0}},
        "line 2: event 'line-2' claims the score 1-0, but the goals that stand make it 0-0",
        "",
    ),
    (
        {"type": "goal", "clock": "5", "team": "arg", "match_id": "other"},
        "line 2: event 'line-2' is of match 'other', but this is match 'm'",
        "",
    ),
]


@pytest.mark.parametrize(("line", "first", "also"), BAD_LINES)
def test_names_line_and_field(tmp_path: Path, line: dict[str, Any] | str, first: str, also: str) -> None:
    path = write(tmp_path / "m.jsonl", HEAD, line)
    with pytest.raises(InputError) as caught:
        read_jsonl(path)
    assert str(path) in str(caught.value)
    assert first in str(caught.value)
    assert also in str(caught.value)


def test_a_score_that_goes_backwards(tmp_path: Path) -> None:
    goal = {"event_id": "g", "type": "goal", "clock": "5", "team": "arg", "score": {"home": 1, "away": 0}}
    back = {"event_id": "b", "type": "corner", "clock": "6", "team": "arg", "score": {"home": 0, "away": 0}}
    with pytest.raises(InputError, match=r"line 3: event 'b' claims the score 0-0, .* make it 1-0: a score goes back"):
        read_jsonl(write(tmp_path / "m.jsonl", HEAD, goal, back))
    correction = {"type": "var_decision", "clock": "4:40", "decision": "goal_disallowed", "cancels": "g"}
    assert len(read_jsonl(write(tmp_path / "ok.jsonl", HEAD, goal, correction, back)).events) == 3


def test_lists_all_faults_at_once_and_counts_the_rest(tmp_path: Path) -> None:
    bad = [{"type": "goal", "clock": "5", "player": f"Nobody {n}"} for n in range(30)]
    with pytest.raises(InputError) as caught:
        read_jsonl(write(tmp_path / "m.jsonl", HEAD, *bad))
    text = str(caught.value)
    assert "has 30 faults" in text
    assert "line 2: field player" in text
    assert "line 21: field player" in text
    assert "line 22" not in text
    assert "… and 10 more" in text


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "holds no records; expected a first line"),
        ([{"type": "goal", "clock": "5"}], "line 1: field type: the first record has to be the match"),
        (
            [{**HEAD, "home": {"id": "arg", "name": "Argentina"}}],
            "home team 'Argentina' has no line-up; add its players",
        ),
        ([{**HEAD, "city": "Doha"}], "line 1: field city: no such field"),
        ([{**HEAD, "away": {**HEAD["away"], "id": "arg"}}], "home and away have the same id 'arg'"),  # type: ignore[dict-item]
        ([{"type": "goal", "clock": "5", "team": "arg"}, HEAD], "the match record has to come before the events"),
    ],
)
def test_a_match_record_is_needed(tmp_path: Path, lines: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_jsonl(write(tmp_path / "m.jsonl", *lines))
    assert message in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the match file"):
        read_jsonl(tmp_path / "none.jsonl")
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(json.dumps(HEAD).encode() + b'\n{"note": "Mbapp\xe9"}')
    with pytest.raises(InputError, match="line 2: not UTF-8 text"):
        read_jsonl(latin)


def test_a_recording_may_hold_late_and_repeated_events(tmp_path: Path) -> None:
    first = {"event_id": "1", "type": "goal", "clock": "5", "team": "arg", "score": {"home": 1, "away": 0}}
    second = {"event_id": "2", "type": "goal", "clock": "9", "team": "arg", "score": {"home": 2, "away": 0}}
    recording = read_jsonl(write(tmp_path / "m.jsonl", HEAD, second, first, first))
    assert [event.event_id for event in recording.events] == ["2", "1", "1"]


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=text, note=text, times=st.lists(st.floats(0, 5000), max_size=8), x=st.none() | st.floats(0, 1))
def test_round_trip_is_exact(tmp_path: Path, name: str, note: str, times: list[float], x: float | None) -> None:
    def team(side: str) -> Team:
        players = tuple(Player(id=f"{side}{n}", name=f"{name}{n}", starter=n < 11) for n in range(13))
        return Team(id=side, name=name, players=players)

    events = tuple(
        MatchEvent(event_id=f"e{n}", type=EventType.SHOT, period=1, elapsed_s=s, player="h3", note=note, x=x)
        for n, s in enumerate(times)
    )
    recording = Recording(MatchInfo(id="m", home=team("h"), away=team("a")), events, Counter())
    path = tmp_path / "round.jsonl"
    write_jsonl(recording, path)
    assert read_jsonl(path) == recording


def test_a_failed_write_is_told(tmp_path: Path) -> None:
    recording = read_jsonl(builtin_match_path())
    with pytest.raises(OutputError, match=r"could not write .*folder\.jsonl"):
        write_jsonl(recording, tmp_path / "no" / "such" / "folder.jsonl")


def test_the_built_in_match() -> None:
    recording = read_jsonl(builtin_match_path())
    info = recording.info
    assert len(recording.events) >= 60
    assert [sum(p.starter for p in side.players) for side in (info.home, info.away)] == [11, 11]
    match = Match(info)
    for event in recording.events:
        if event.type.value in ("goal", "shot") and event.player:
            team = match.state.team_of(event.player).id
            assert event.player in match.state.on_pitch[team], event
        match.accept(event)
    state = match.state
    assert (match.late, match.duplicates, match.rejected) == (0, 0, 0)
    assert state.score == Score(home=3, away=3)
    assert state.shootout == Score(home=4, away=2)
    assert state.winner() == "argentina"
    assert [(g.player, g.time.label) for g in state.goals] == [
        ("messi", "23"),
        ("di-maria", "36"),
        ("mbappe", "80"),
        ("mbappe", "81"),
        ("messi", "108"),
        ("mbappe", "118"),
    ]
    assert state.goals_by("mbappe") == 3
    assert len(state.substitutions) == 13
    assert [(sub.time.label, sub.player_on) for sub in state.substitutions][:3] == [
        ("41", "kolo-muani"),
        ("41", "thuram"),
        ("64", "acuna"),
    ]
    assert state.stoppage_minutes == {1: 7, 2: 8, 4: 3}


def test_the_built_in_match_round_trips(tmp_path: Path) -> None:
    recording = read_jsonl(builtin_match_path())
    write_jsonl(recording, tmp_path / "copy.jsonl")
    assert read_jsonl(tmp_path / "copy.jsonl") == recording
