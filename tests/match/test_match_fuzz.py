"""Whatever comes in, the match room answers with a state or an InputError."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from commentary_llm.ground.errors import InputError
from commentary_llm.match import CardType, EventType, Match, MatchEvent, MatchInfo, VarDecision
from commentary_llm.match.feeds import builtin_match_path, read_jsonl

FUZZ = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

people = st.none() | st.sampled_from([f"{side}{n}" for side in "ha" for n in (1, 2, 9, 15, 16)] + ["nobody"])
ids = st.sampled_from([f"e{n}" for n in range(12)])
anything = st.fixed_dictionaries(
    {
        "event_id": ids,
        "type": st.sampled_from(EventType),
        "period": st.integers(1, 5),
        "elapsed_s": st.integers(0, 600),
    },
    optional={
        "team": st.sampled_from(["h", "a", "q"]),
        "player": people,
        "player_on": people,
        "assist": people,
        "card": st.sampled_from(CardType),
        "decision": st.sampled_from(VarDecision),
        "cancels": ids,
        "minutes_added": st.integers(0, 9),
        "formation": st.just("4-3-3"),
        "match_id": st.sampled_from(["m1", "m2"]),
    },
)


@FUZZ
@given(streams=st.lists(anything, max_size=40))
def test_any_stream_folds_or_is_refused(info: MatchInfo, streams: list[dict[str, Any]]) -> None:
    match = Match(info)
    for fields in streams:
        try:
            event = MatchEvent(**fields)
        except ValidationError:
            continue
        with contextlib.suppress(InputError):
            match.accept(event)
        state = match.state
        assert state.score.home + state.score.away == len(state.goals)
        assert all(len(players) <= 11 for players in state.on_pitch.values())
        assert not any(player in players for player in state.sent_off for players in state.on_pitch.values())
    assert match.accepted == len(match.events) == len({event.event_id for event in match.events})
    again = Match(info)
    for event in match.events:
        again.accept(event)
    assert again.state == match.state


def refusal(path: Path) -> str | None:
    try:
        read_jsonl(path)
    except InputError as error:
        return str(error)
    return None


@FUZZ
@given(data=st.data())
def test_a_damaged_file_reads_or_is_refused_by_line(tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(builtin_match_path().read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.jsonl"
    path.write_bytes(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    assert "damaged.jsonl" in (refusal(path) or path.name)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner))


@FUZZ
@given(fields=st.dictionaries(st.sampled_from([*MatchEvent.model_fields, "clock"]), values, max_size=5))
def test_odd_values_are_refused_by_line(tmp_path: Path, fields: dict[str, Any]) -> None:
    head = builtin_match_path().read_text(encoding="utf-8").splitlines()[0]
    path = tmp_path / "odd.jsonl"
    path.write_text(f"{head}\n{json.dumps(fields)}\n", encoding="utf-8")
    assert "line 2" in (refusal(path) or "line 2")
