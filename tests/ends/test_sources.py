"""Where lines come from: files, FIFOs, TCP; several trackers, resets, stops."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commentary_llm.ends.contract import Source
from commentary_llm.ends.lines import TOO_LONG
from commentary_llm.ends.loop import EndsLoop
from commentary_llm.ends.registry import open_source
from commentary_llm.ends.sources.lines_entry import LineSource
from commentary_llm.ends.sources.tcp_entry import TrackerPort
from commentary_llm.ground.errors import ConfigError, EngineError, InputError


class Taken:
    """Takes lines as a desk would: accepts what says so, refuses the rest."""

    match_id = "small"

    def __init__(self) -> None:
        self.lines: list[tuple[str, int, bytes]] = []
        self.replies: dict[str, Callable[[dict[str, object]], None]] = {}
        self.reason = "bad"

    def take(self, line: bytes, number: int, source: str, reply: Callable[[dict[str, object]], None]) -> None:
        self.lines.append((source, number, line))
        event_id = f"{source}-{number}"
        if line == b"fail":
            raise EngineError("gone")
        if line == b"ok":
            self.replies[event_id] = reply
            reply({"line": number, "event_id": event_id, "status": "accepted"})
        else:
            reply({"line": number, "status": "refused", "reason": self.reason})


def wait_for(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.01)


@pytest.fixture
def taken() -> Taken:
    return Taken()


def begin(loop: EndsLoop, source: Source, taken: Taken) -> None:
    loop.run(source.start(taken), 20)


def end(loop: EndsLoop, source: Source) -> None:
    loop.run(source.stop(), 20)
    loop.run(source.close(), 20)


@pytest.fixture
def port(taken: Taken, loop: EndsLoop) -> Iterator[TrackerPort]:
    source = TrackerPort("127.0.0.1", 0)
    begin(loop, source, taken)
    yield source
    end(loop, source)


def connect(port: TrackerPort) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port.port), timeout=20)
    connection.settimeout(20)
    return connection


def answers(connection: socket.socket, count: int) -> list[dict[str, object]]:
    data = b""
    while data.count(b"\n") < count:
        piece = connection.recv(65_536)
        assert piece, data
        data += piece
    return [json.loads(line) for line in data.splitlines()]


def test_a_file_is_read_to_its_end(tmp_path: Path, taken: Taken, loop: EndsLoop) -> None:
    (tmp_path / "events file").write_bytes(b"one\n\nthree")
    source = open_source(str(tmp_path / "events file"))
    assert not source.ended()
    begin(loop, source, taken)
    wait_for(source.ended)
    assert taken.lines == [("", 1, b"one"), ("", 2, b""), ("", 3, b"three")]
    end(loop, source)


def test_a_fifo_may_get_its_writer_later(tmp_path: Path, taken: Taken, loop: EndsLoop) -> None:
    os.mkfifo(tmp_path / "fifo")
    source = LineSource(str(tmp_path / "fifo"))
    begin(loop, source, taken)
    with (tmp_path / "fifo").open("wb") as writer:
        writer.write(b"one\n")
        writer.flush()
        wait_for(lambda: len(taken.lines) == 1)
        assert not source.ended()
    wait_for(source.ended)
    end(loop, source)


def test_a_failed_engine_ends_the_source_quietly(tmp_path: Path, taken: Taken, loop: EndsLoop) -> None:
    (tmp_path / "events").write_bytes(b"ok\nfail\nok\n")
    source = LineSource(str(tmp_path / "events"))
    begin(loop, source, taken)
    wait_for(source.ended)
    assert len(taken.lines) == 2
    end(loop, source)


def test_places_that_cannot_be_had_are_named(tmp_path: Path, port: TrackerPort) -> None:
    with pytest.raises(InputError, match="absent"):
        open_source(str(tmp_path / "absent"))
    for text in ("tcp:7070", "tcp::7070", "tcp:host:", "tcp:host:http", "tcp:host:70000"):
        with pytest.raises(ConfigError, match="expected tcp:HOST:PORT"):
            open_source(text)
    with pytest.raises(ConfigError, match="cannot listen there"):
        open_source(f"tcp:127.0.0.1:{port.port}")


def test_each_line_is_answered_in_order_and_records_follow_when_they_come(
    port: TrackerPort, taken: Taken, loop: EndsLoop
) -> None:
    with connect(port) as tracker:
        tracker.sendall(b"ok\nbad\nok")
        assert [answer["status"] for answer in answers(tracker, 2)] == ["accepted", "refused"]
        tracker.sendall(b"\n")
        (third,) = answers(tracker, 1)
        assert (third["line"], third["status"]) == (3, "accepted")
        loop.call(
            taken.replies["tracker-1-1"], {"line": 1, "event_id": "tracker-1-1", "status": "spoken", "record": {}}
        )
        assert answers(tracker, 1)[0]["status"] == "spoken"


def test_a_tracker_that_has_sent_all_still_gets_what_is_due(port: TrackerPort, taken: Taken, loop: EndsLoop) -> None:
    with connect(port) as tracker:
        tracker.sendall(b"ok\nok\n")
        tracker.shutdown(socket.SHUT_WR)
        answers(tracker, 2)
        for number in (1, 2):
            event_id = f"tracker-1-{number}"
            wait_for(lambda event_id=event_id: event_id in taken.replies)  # type: ignore[misc]
            loop.call(taken.replies[event_id], {"event_id": event_id, "status": "spoken"})
        assert [answer["event_id"] for answer in answers(tracker, 2)] == ["tracker-1-1", "tracker-1-2"]
        assert tracker.recv(10) == b""  # nothing more is due: the connection ends


def test_trackers_come_go_and_break_without_ending_the_source(port: TrackerPort, taken: Taken) -> None:
    with connect(port) as first:
        first.sendall(b"ok\n")
        answers(first, 1)
        first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closes by a reset
    with connect(port) as second, connect(port) as third:
        for tracker in (second, third):
            tracker.sendall(b"bad\n")
            assert answers(tracker, 1)[0]["line"] == 1
    assert not port.ended()
    assert {source for source, _, _ in taken.lines} == {"tracker-1", "tracker-2", "tracker-3"}


def test_too_many_trackers_are_told_so(port: TrackerPort) -> None:
    connections = [connect(port) for _ in range(8)]
    for connection in connections:
        connection.sendall(b"bad\n")
        answers(connection, 1)
    with connect(port) as ninth:
        assert "8 trackers" in str(answers(ninth, 1)[0]["reason"])
    for connection in connections:
        connection.close()


def test_a_tracker_that_never_reads_its_answers_holds_nobody_up(port: TrackerPort, taken: Taken) -> None:
    with connect(port) as deaf, connect(port) as other:
        sender = threading.Thread(target=lambda: deaf.sendall(b"bad\n" * 50_000), daemon=True)
        sender.start()
        wait_for(lambda: sum(source == "tracker-1" for source, _, _ in taken.lines) == 50_000, 60)
        other.sendall(b"ok\n")
        assert answers(other, 1)[0]["status"] == "accepted"


def test_a_stop_ends_reading_and_close_ends_the_connections(taken: Taken, loop: EndsLoop) -> None:
    source = TrackerPort("127.0.0.1", 0)
    begin(loop, source, taken)
    with connect(source) as tracker:
        tracker.sendall(b"ok\n")
        answers(tracker, 1)
        loop.run(source.stop(), 20)
        loop.call(taken.replies["tracker-1-1"], {"event_id": "tracker-1-1", "status": "spoken"})
        assert answers(tracker, 1)[0]["status"] == "spoken"
        loop.run(source.close(), 20)
        assert tracker.recv(10) == b""


def test_a_line_too_long_is_refused_and_the_next_is_taken(port: TrackerPort, taken: Taken) -> None:
    with connect(port) as tracker:
        tracker.sendall(b"x" * 200_000 + b"\nok\n")
        assert [answer["status"] for answer in answers(tracker, 2)] == ["refused", "accepted"]
    assert taken.lines[0][2] is TOO_LONG


def test_answers_that_nobody_reads_are_lost_from_the_oldest(port: TrackerPort, taken: Taken) -> None:
    taken.reason = "bad " * 4_000
    lines = 3_000  # 48 MB of answers: more than the connection holds
    with connect(port) as deaf:
        deaf.sendall(b"bad\n" * lines)
        wait_for(lambda: len(taken.lines) == lines, 60)
        deaf.shutdown(socket.SHUT_WR)
        told = [json.loads(line)["line"] for line in deaf.makefile("rb")]
    assert told == sorted(told)
    assert told[-1] == lines
    assert 1_000 <= len(told) < lines


def test_a_folder_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it is a folder"):
        open_source(str(tmp_path))


def test_a_defect_at_the_desk_ends_the_source_and_is_logged(
    tmp_path: Path, loop: EndsLoop, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Taken):
        def take(self, line: bytes, number: int, source: str, reply: Callable[[dict[str, object]], None]) -> None:
            raise ZeroDivisionError

    (tmp_path / "events").write_bytes(b"ok\nok\n")
    source = open_source(f"file:{tmp_path / 'events'}")
    begin(loop, source, Broken())
    wait_for(source.ended)
    assert "line 1" in caplog.text
    end(loop, source)
