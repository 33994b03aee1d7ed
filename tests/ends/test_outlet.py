"""Streams out: nobody who reads them can hold the engine up, and what they miss is counted."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from commentary_llm.ends.loop import EndsLoop
from commentary_llm.ends.outlet import Outlet, WhenFull
from commentary_llm.ground.errors import OutputError


def wait_for(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.005)


def read_all(fd: int) -> bytes:
    data = b""
    while piece := os.read(fd, 65_536):
        data += piece
    return data


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


class OnLoop:
    """An outlet on the loop, used from the test's thread."""

    def __init__(
        self, loop: EndsLoop, target: str | int, capacity: int, when_full: WhenFull, pipe_bytes: int | None = None
    ) -> None:
        self._loop = loop
        self.outlet = Outlet(target, what="speech", capacity=capacity, when_full=when_full, pipe_bytes=pipe_bytes)

    def put(self, block: bytes) -> None:
        self._loop.call(self.outlet.put, block)

    def close(self, timeout_s: float) -> None:
        self._loop.run(self.outlet.close(timeout_s), 20)

    @property
    def dropped_blocks(self) -> int:
        return self.outlet.dropped_blocks

    @property
    def written_blocks(self) -> int:
        return self.outlet.written_blocks


def speech(loop: EndsLoop, target: str | int, capacity: int = 50) -> OnLoop:
    return OnLoop(loop, target, capacity, "drop all", pipe_bytes=4096)


def test_a_file_gets_everything(tmp_path: Path, loop: EndsLoop) -> None:
    path = tmp_path / "a b.pcm"
    outlet = OnLoop(loop, str(path), 100, "drop oldest")
    for i in range(100):
        outlet.put(bytes([i]) * 10)
    outlet.close(5.0)
    assert path.read_bytes() == b"".join(bytes([i]) * 10 for i in range(100))
    assert (outlet.dropped_blocks, outlet.written_blocks) == (0, 100)
    outlet.put(b"late")
    assert outlet.dropped_blocks == 1
    assert path.stat().st_size == 1000


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"speech to .*absent/x"):
        Outlet(str(tmp_path / "absent" / "x"), what="speech", capacity=1, when_full="drop all")


def test_an_absent_reader_costs_drops_and_a_new_one_hears_what_comes_then(fifo: Path, loop: EndsLoop) -> None:
    outlet = speech(loop, str(fifo))
    for _ in range(500):
        outlet.put(b"early" * 8)
    wait_for(lambda: outlet.dropped_blocks == 500)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    outlet.put(b"heard")
    wait_for(lambda: outlet.written_blocks == 1)
    outlet.close(5.0)
    assert read_all(reader) == b"heard"
    os.close(reader)


def test_a_reader_that_leaves_is_waited_for_again(fifo: Path, loop: EndsLoop) -> None:
    outlet = speech(loop, str(fifo))
    for turn in range(3):
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        wanted = outlet.written_blocks + 1
        outlet.put(bytes([turn]) * 6)
        wait_for(lambda wanted=wanted: outlet.written_blocks >= wanted)  # type: ignore[misc]
        assert os.read(reader, 100) == bytes([turn]) * 6
        os.close(reader)
        lost = outlet.dropped_blocks
        outlet.put(b"nobody")  # finds the reader gone
        wait_for(lambda lost=lost: outlet.dropped_blocks > lost)  # type: ignore[misc]
    outlet.close(1.0)


def test_a_reader_that_stops_reading_never_makes_put_wait(fifo: Path, loop: EndsLoop) -> None:
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    outlet = speech(loop, str(fifo), capacity=10)
    for _ in range(2000):
        outlet.put(b"\0" * 882)
    wait_for(lambda: outlet.written_blocks > 0)
    assert outlet.dropped_blocks >= 2000 - outlet.written_blocks - 10 - 1
    before = outlet.dropped_blocks
    for _ in range(100):
        outlet.put(b"\0" * 882)
    assert outlet.dropped_blocks > before
    outlet.close(0.2)
    data = read_all(reader)
    assert len(data) % 2 == 0
    os.close(reader)


def test_captions_lose_the_oldest_lines(fifo: Path, loop: EndsLoop) -> None:
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    outlet = OnLoop(loop, str(fifo), 5, "drop oldest", pipe_bytes=4096)
    filler = b"x" * 4095 + b"\n"
    for _ in range(3):  # one fills the pipe, one is being written, one waits
        outlet.put(filler)
    wait_for(lambda: outlet.written_blocks == 1)
    for i in range(20):
        outlet.put(f"{i}\n".encode())
    os.set_blocking(reader, True)
    lines: list[bytes] = []
    while not lines or lines[-1] != b"19":
        assert select.select([reader], [], [], 20)[0]
        lines += os.read(reader, 65_536).split()
    outlet.close(5.0)
    assert lines[-5:] == [b"15", b"16", b"17", b"18", b"19"]
    os.close(reader)


def test_a_connection_that_breaks_ends_its_outlet_alone(loop: EndsLoop) -> None:
    ours, theirs = socket.socketpair()
    outlet = OnLoop(loop, os.dup(ours.fileno()), 10, "drop oldest")
    theirs.close()
    outlet.put(b"a\n")
    wait_for(lambda: outlet.outlet.dead)
    outlet.put(b"b\n")
    assert outlet.dropped_blocks == 2
    outlet.close(1.0)
    ours.close()


def test_a_new_reader_begins_with_a_whole_block(fifo: Path, loop: EndsLoop) -> None:
    first = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    outlet = speech(loop, str(fifo), capacity=3)
    outlet.put(b"a" * 6000)  # more than the pipe takes: the reader leaves in the middle of it
    assert os.read(first, 100) == b"a" * 100
    os.close(first)
    wait_for(lambda: outlet.dropped_blocks == 1)
    second = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    outlet.put(b"b" * 50)
    wait_for(lambda: outlet.written_blocks == 1)
    assert os.read(second, 100) == b"b" * 50
    outlet.close(1.0)
    os.close(second)


def test_what_is_waiting_is_written_while_closing(fifo: Path, loop: EndsLoop) -> None:
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    outlet = speech(loop, str(fifo))
    for number in range(5):
        outlet.put(bytes([number]) * 3000)
    assert outlet.written_blocks < 5
    closing = threading.Thread(target=outlet.close, args=(20.0,))
    closing.start()
    os.set_blocking(reader, True)
    data = read_all(reader)
    closing.join(20)
    assert data == b"".join(bytes([number]) * 3000 for number in range(5))
    assert (outlet.written_blocks, outlet.dropped_blocks) == (5, 0)
    os.close(reader)


def test_standard_output_stays_blocking_for_those_who_share_it(loop: EndsLoop) -> None:
    reader, shared = os.pipe()
    before = os.dup(1)
    os.dup2(shared, 1)
    try:
        outlet = OnLoop(loop, "-", 10, "drop oldest")
        outlet.put(b"a line\n")
        assert os.get_blocking(1)
        outlet.close(1.0)
    finally:
        os.dup2(before, 1)
    assert os.read(reader, 100) == b"a line\n"
    for fd in (before, shared, reader):
        os.close(fd)
