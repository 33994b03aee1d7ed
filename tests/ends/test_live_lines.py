"""Lines out of a stream of bytes, however it is cut into pieces."""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from commentary_llm.ends.descriptors import read_some
from commentary_llm.ends.lines import MAX_LINE_BYTES, TOO_LONG, LineSplitter, lines_of


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_lines_do_not_depend_on_the_pieces(data: bytes, cuts: list[int]) -> None:
    splitter, lines = LineSplitter(), []
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        lines += splitter.feed(data[start:end])
    assert [*lines, splitter.rest()] == data.split(b"\n")


def test_a_line_too_long_is_told_once_and_the_next_is_whole() -> None:
    splitter = LineSplitter()
    lines = []
    for _ in range(5):
        lines += splitter.feed(b"x" * MAX_LINE_BYTES)
    lines += splitter.feed(b"tail\n{}\n")
    assert lines[0] is TOO_LONG
    assert lines[1:] == [b"{}"]
    assert splitter.rest() == b""
    (one,) = list(LineSplitter().feed(b"y" * (MAX_LINE_BYTES + 1) + b"\n"))
    assert one is TOO_LONG


async def gather(fd: int, lines: list[bytes]) -> list[bytes]:
    async for line in lines_of(lambda: read_some(fd)):
        lines.append(line)
    return lines


def test_a_last_line_without_an_end_counts(tmp_path: Path) -> None:
    (tmp_path / "events").write_bytes(b'{"a": 1}\n\n{"b": 2}')
    fd = os.open(tmp_path / "events", os.O_RDONLY)
    assert asyncio.run(gather(fd, [])) == [b'{"a": 1}', b"", b'{"b": 2}']
    os.close(fd)


def test_a_fifo_without_a_writer_is_waited_for_and_a_stop_ends_the_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    fd = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    lines: list[bytes] = []

    async def story() -> None:
        reading = asyncio.get_running_loop().create_task(gather(fd, lines))
        assert not (await asyncio.wait({reading}, timeout=0.3))[0]
        writer = os.open(tmp_path / "fifo", os.O_WRONLY)
        os.write(writer, b"one\ntw")
        assert not (await asyncio.wait({reading}, timeout=0.3))[0]
        reading.cancel()
        assert (await asyncio.wait({reading}, timeout=10))[0]
        os.close(writer)

    asyncio.run(story())
    assert lines == [b"one"]
    os.close(fd)
