"""A way out for a live stream: whoever reads it, however slowly, never makes the engine wait."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import select
import stat
from collections import deque
from pathlib import Path
from typing import Literal

from commentary_llm.ends.descriptors import own_descriptor
from commentary_llm.ground.errors import OutputError

log = logging.getLogger(__name__)

# A pipe reported writable takes PIPE_BUF bytes without blocking (POSIX), so that even a blocking pipe cannot hold us.
_PIECE_BYTES = select.PIPE_BUF
WhenFull = Literal["drop oldest", "drop all"]


class Outlet:
    """Writes blocks of bytes on the ends' loop, with at most `capacity` blocks waiting.

    A block that finds no room makes the oldest go, or all of them ("drop all": a listener who was away goes on with
    what is heard now). A FIFO may have no reader yet, or lose it and get another: what is put meanwhile is dropped, and
    a new reader begins with a whole block. All drops are counted. Opened anywhere, used on the loop alone.
    """

    def __init__(
        self, target: str | int, *, what: str, capacity: int, when_full: WhenFull, pipe_bytes: int | None = None
    ) -> None:
        """`target`: a path, "-" for standard output, or an open file descriptor (closed at the end).

        `what` names the stream in messages. `pipe_bytes`: how much the system may hold back for a slow reader of a
        pipe. Raises OutputError when a path cannot be written to.
        """
        self._target = target
        self.what = what
        self._capacity = capacity
        self._when_full = when_full
        self._pipe_bytes = pipe_bytes
        self._blocks: deque[bytes] = deque()
        self._rest = memoryview(b"")  # of the block that is being written
        self._waiting = False  # for the reader to make room
        self._emptied: asyncio.Future[None] | None = None  # while closing
        self._closed = False
        self.dead = False  # the reader is gone for good
        self.dropped_blocks = 0
        self.written_blocks = 0
        self._fifo = isinstance(target, str) and target != "-" and _is_fifo(Path(target))
        self._fd: int | None = None if self._fifo else _open(target, what)
        self._set_pipe_size()

    def put(self, block: bytes) -> None:
        """Writes one block, or queues it. Once closed or without a reader for good, it is dropped and counted."""
        if self._closed or self.dead:
            self.dropped_blocks += 1
            return
        if len(self._blocks) >= self._capacity:
            gone = len(self._blocks) if self._when_full == "drop all" else 1
            self.dropped_blocks += gone
            for _ in range(gone):
                self._blocks.popleft()
        self._blocks.append(block)
        if not self._waiting:
            self._write_on()

    async def close(self, timeout_s: float) -> None:
        """Gives a reader `timeout_s` to take what is waiting, then ends the stream. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._waiting:
            self._emptied = asyncio.get_running_loop().create_future()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._emptied, timeout_s)
        self._drop_waiting()
        self._close_fd()

    def _write_on(self) -> None:
        """Writes as much as goes without waiting; the loop comes back when there is room for more."""
        while self._rest or self._blocks:
            if not self._rest:
                if self._fd is None and not self._connect():
                    self._blocks.popleft()
                    self.dropped_blocks += 1
                    continue
                self._rest = memoryview(self._blocks.popleft())
            if not self._write_piece():
                return
        self._wait_for_room(False)
        if self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    def _write_piece(self) -> bool:
        """Writes on at the block. False when its reader has to make room first."""
        assert self._fd is not None
        try:
            if not _writable(self._fd):
                self._wait_for_room(True)
                return False
            self._rest = self._rest[os.write(self._fd, self._rest[:_PIECE_BYTES]) :]
            self.written_blocks += not self._rest
        except BlockingIOError:
            self._wait_for_room(True)
            return False
        except OSError as error:
            self._rest = memoryview(b"")
            self.dropped_blocks += 1
            self._lose_reader(error)
        return True

    def _wait_for_room(self, waiting: bool) -> None:
        if waiting == self._waiting:
            return
        assert self._fd is not None
        loop = asyncio.get_running_loop()
        if waiting:
            loop.add_writer(self._fd, self._write_on)
        else:
            loop.remove_writer(self._fd)
        self._waiting = waiting

    def _connect(self) -> bool:
        """Opens the FIFO if somebody reads it."""
        assert isinstance(self._target, str)
        try:
            self._fd = os.open(self._target, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # ENXIO: no reader
                log.warning("%s: cannot open %s: %s", self.what, self._target, error.strerror)
            return False
        self._set_pipe_size()
        log.info("%s: a reader has opened %s", self.what, self._target)
        return True

    def _lose_reader(self, error: OSError) -> None:
        self._close_fd()
        if self._fifo:
            log.info("%s: the reader of %s has gone; waiting for another", self.what, self._target)
            return
        log.warning("%s: nobody takes it any more (%s); the engine goes on without", self.what, error.strerror)
        self.dead = True
        self._drop_waiting()

    def _drop_waiting(self) -> None:
        self.dropped_blocks += len(self._blocks) + bool(self._rest)
        self._blocks.clear()
        self._rest = memoryview(b"")

    def _set_pipe_size(self) -> None:
        if self._fd is not None and self._pipe_bytes is not None and stat.S_ISFIFO(os.fstat(self._fd).st_mode):
            with contextlib.suppress(OSError):  # not allowed below what is in it: then it keeps its size
                fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, self._pipe_bytes)

    def _close_fd(self) -> None:
        if self._fd is not None:
            self._wait_for_room(False)
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = None


def _writable(fd: int) -> bool:
    """Whether writing would do something at once, be it to fail."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))


def _is_fifo(path: Path) -> bool:
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


def _open(target: str | int, what: str) -> int:
    if isinstance(target, int):
        return target
    if target == "-":
        return own_descriptor(1, os.O_WRONLY)
    try:
        # Not blocking, should it be a terminal or another device.
        return os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_NOCTTY, 0o666)
    except OSError as error:
        raise OutputError(
            f"cannot write {what} to {target}: {error.strerror}; expected a file, a FIFO (mkfifo) or - for standard "
            "output"
        ) from error
