"""Lines from a file, pipe or socket as they come, without ever blocking a stop."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator

MAX_LINE_BYTES = 65_536  # an event is a few hundred
TOO_LONG = b"(line too long)"  # stands for a line beyond that; told by identity
_POLL_MS = 100
_READ_BYTES = 65_536


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


def lines_of(fd: int, stop: threading.Event) -> Iterator[bytes]:
    """Lines of an open file, pipe, terminal or socket until its end or until `stop` is set.

    A FIFO that nobody has written to yet is waited for. Blank lines come too, so that lines can be counted.
    """
    splitter = LineSplitter()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while not stop.is_set():
        if not poll.poll(_POLL_MS):
            continue
        try:
            data = os.read(fd, _READ_BYTES)
        except OSError:  # a connection that was reset, a terminal that hung up
            data = b""
        if not data:
            if splitter.rest():
                yield splitter.rest()
            return
        yield from splitter.feed(data)
