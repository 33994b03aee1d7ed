"""A tracker's lines at the desk: every one is answered, and a bad one harms nobody."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commentary_llm.ends.desk import Answers, EventDesk
from commentary_llm.ends.lines import TOO_LONG
from commentary_llm.ground.errors import EngineError, InputError
from commentary_llm.match import MatchEvent, MatchInfo
from commentary_llm.match.match import Arrival, Match
from commentary_llm.session.events import CueEnded
from commentary_llm.session.handle import CueHandle
from commentary_llm.session.record import CueRecord

GOAL = b'{"event_id": "g1", "type": "goal", "clock": "23", "team": "Northport", "player": "Hart"}'


class MatchAlone:
    """An engine that keeps the match right and says something about goals only."""

    def __init__(self, info: MatchInfo) -> None:
        self.match = Match(info)
        self.times: list[float | None] = []
        self.failed = False

    def submit(self, event: MatchEvent, *, stream_s: float | None = None) -> CueHandle:
        if self.failed:
            raise EngineError("the model is gone")
        accepted = self.match.accept(event)
        self.times.append(stream_s)
        handle = CueHandle(event.event_id)
        if accepted.kind is Arrival.DUPLICATE:
            handle.finish(skipped="duplicate")
        elif event.type.value != "goal":
            handle.finish(skipped="routine")
        return handle


class Desk:
    def __init__(self, info: MatchInfo) -> None:
        self.engine = MatchAlone(info)
        self.answers = Answers(info.id)
        self.complaints: list[str] = []
        self.desk = EventDesk(self.engine, info, self.answers, lambda: 12.5, self.complaints.append)
        self.replies: list[dict[str, object]] = []

    def take(self, line: bytes, number: int = 1, source: str = "") -> dict[str, object] | None:
        before = len(self.replies)
        self.desk.take(line, number, source, self.replies.append)
        return self.replies[-1] if len(self.replies) > before else None


@pytest.fixture
def desk(small_match: MatchInfo) -> Desk:
    return Desk(small_match)


def record(event_id: str, text: str) -> CueRecord:
    return CueRecord(
        event_id=event_id,
        event_type="goal",
        period=1,
        minute="23",
        team="Northport",
        player="Emil Hart",
        urgency="urgent",
        reason="goal",
        text=text,
        source="model" if text else "none",
        source_reason="",
        dropped=None if text else "stale",
        score="1-0",
        stream_s=12.5,
        start_s=12.6 if text else None,
        end_s=14.0 if text else None,
        timings_ms={},
    )


def test_an_event_is_accepted_at_the_desk_s_time_and_its_record_follows_once(desk: Desk) -> None:
    assert desk.take(GOAL, 4) == {"match_id": "small", "line": 4, "event_id": "g1", "status": "accepted"}
    assert desk.engine.times == [12.5]
    desk.answers.take(CueEnded("small", record("g1", "Hart scores!")))
    assert desk.replies[-1]["status"] == "spoken"
    assert desk.replies[-1]["line"] == 4
    assert desk.replies[-1]["record"]["text"] == "Hart scores!"  # type: ignore[index]
    json.dumps(desk.replies)
    desk.answers.take(CueEnded("small", record("g1", "again")))
    assert len(desk.replies) == 2


def test_what_is_dropped_is_told_with_its_cause(desk: Desk) -> None:
    desk.take(GOAL)
    desk.answers.take(CueEnded("small", record("g1", "")))
    assert desk.replies[-1]["status"] == "dropped"
    assert desk.replies[-1]["record"]["dropped"] == "stale"  # type: ignore[index]


def test_a_duplicate_is_told_and_the_first_sender_still_gets_the_record(desk: Desk) -> None:
    desk.take(GOAL, 1)
    other: list[dict[str, object]] = []
    desk.desk.take(GOAL, 9, "tracker-2", other.append)
    assert other == [{"match_id": "small", "line": 9, "event_id": "g1", "status": "duplicate"}]
    desk.answers.take(CueEnded("small", record("g1", "Hart scores!")))
    assert [reply["status"] for reply in desk.replies] == ["accepted", "spoken"]
    assert len(other) == 1
    assert [(moment.time_s, moment.excitement) for moment in desk.desk.moments] == [(12.5, 1.0)]


def test_a_line_may_name_its_match(desk: Desk) -> None:
    told = desk.take(GOAL[:-1] + b', "match_id": "small"}')
    assert told == {"match_id": "small", "line": 1, "event_id": "g1", "status": "accepted"}


def test_an_event_without_words_is_accepted_and_said_to_be_silent(desk: Desk) -> None:
    told = desk.take(b'{"type": "throw_in", "clock": "5:10", "team": "h"}', 7)
    silent = {"status": "accepted", "silent": "routine"}
    assert told == {"match_id": "small", "line": 7, "event_id": "line-7", **silent}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json", "line 3: not a whole JSON record"),
        (b'{"type": "goal", "clock": "23", "team": "h", "player": "Nobody"}', "line 3: field player: unknown player"),
        (b'{"type": "goal", "clock": "23", "team": "h", "shirt": 9}', "line 3: field shirt: no such field"),
        (b'{"type": "match", "id": "another"}', "line 3: field id: the match 'another', but this is match 'small'"),
        (b"[1, 2]", "line 3: a JSON list"),
        (b"\xff\xfe", "line 3: not UTF-8 text"),
        (GOAL[:-1] + b', "match_id": "other"}', "line 3: event 'g1' is of match 'other', but this is match 'small'"),
        (TOO_LONG, "line 3: longer than 65536 bytes"),
        (b'{"type": "goal", "clock": "23", "team": "h", "player": "h4", "score": {"home": 5, "away": 0}}', "line 3: "),
    ],
)
def test_a_bad_line_is_refused_with_its_number_and_the_next_is_taken(desk: Desk, line: bytes, reason: str) -> None:
    told = desk.take(line, 3)
    assert told is not None
    assert told["status"] == "refused"
    assert str(told["reason"]).startswith(reason), told
    assert desk.complaints == [told["reason"]]
    assert desk.take(GOAL, 4) == {"match_id": "small", "line": 4, "event_id": "g1", "status": "accepted"}
    assert desk.desk.counts == {"refused": 1, "accepted": 1}


def test_each_source_has_its_own_ids_and_is_named_to_the_operator(desk: Desk) -> None:
    corner = b'{"type": "corner", "clock": "5", "team": "h"}'
    assert [desk.take(corner, 1, source)["event_id"] for source in ("tracker-1", "tracker-2")] == [  # type: ignore[index]
        "tracker-1-line-1",
        "tracker-2-line-1",
    ]
    desk.take(b"?", 2, "tracker-2")
    assert desk.complaints[0].startswith("tracker-2, line 2: ")


def test_blank_lines_and_the_match_s_own_record_get_no_answer(desk: Desk, small_match: MatchInfo) -> None:
    head = json.dumps({"type": "match", **small_match.model_dump(mode="json")}).encode()
    for line in (b"", b"  \r", b"\xef\xbb\xbf" + head):
        assert desk.take(line) is None
    assert not desk.complaints


def test_an_engine_that_failed_is_not_the_tracker_s_fault(desk: Desk) -> None:
    desk.engine.failed = True
    with pytest.raises(EngineError):
        desk.take(GOAL)
    assert not desk.replies


@given(st.binary(max_size=80))
def test_any_bytes_are_answered_or_blank(small_match: MatchInfo, line: bytes) -> None:
    desk = Desk(small_match)
    told = desk.take(line.replace(b"\n", b""))
    assert told is None or told["status"] in ("refused", "accepted")


def test_input_errors_are_what_the_match_raises(desk: Desk) -> None:
    with pytest.raises(InputError):
        desk.engine.submit(MatchEvent(event_id="x", type="goal", period=1, elapsed_s=1, team="z"))  # type: ignore[arg-type]
