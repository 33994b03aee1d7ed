"""Lines out of a stream of bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

MAX_LINE_BYTES = 65_536  # an event is a few hundred
TOO_LONG = b"(line too long)"  # stands for a line beyond that; told by identity


class LineSplitter:
    """Cuts a stream of bytes at its line ends. A line longer than `MAX_LINE_BYTES` comes out as `TOO_LONG`, once."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Every line that `data` completes, without its end."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            if self._skipping:
                self._skipping = False
            else:
                yield line if len(line) <= MAX_LINE_BYTES else TOO_LONG
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest = b""
            if not self._skipping:
                self._skipping = True
                yield TOO_LONG

    def rest(self) -> bytes:
        """What came after the last line end: a last line without one."""
        return b"" if self._skipping else self._rest


async def lines_of(read: Callable[[], Awaitable[bytes]]) -> AsyncIterator[bytes]:
    """Lines of what `read` gives until it gives nothing more. Blank lines come too, so that lines can be counted."""
    splitter = LineSplitter()
    while data := await read():
        for line in splitter.feed(data):
            yield line
    if splitter.rest():
        yield splitter.rest()
