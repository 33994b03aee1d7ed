"""A way out for a live stream: whoever reads it, however slowly, never makes the engine wait."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import select
import stat
import threading
from collections import deque
from pathlib import Path
from time import monotonic
from typing import Literal

from commentary_llm.ground.errors import OutputError

log = logging.getLogger(__name__)

_POLL_S = 0.1
# A pipe reported writable takes PIPE_BUF bytes without blocking (POSIX), so that even a blocking pipe cannot hold us.
_PIECE_BYTES = select.PIPE_BUF
WhenFull = Literal["drop oldest", "drop all"]


class Outlet:
    """Writes blocks of bytes from a thread of its own, with at most `capacity` blocks waiting.

    A block that finds no room makes the oldest go, or all of them ("drop all": a listener who was away goes on with
    what is heard now). A FIFO may have no reader yet, or lose it and get another: what is put meanwhile is dropped, and
    a new reader begins with a whole block. All drops are counted. `put` never blocks. Thread-safe.
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
        self._changed = threading.Condition()
        self._closing = False
        self.deadline = float("inf")
        self.dead = False  # the reader is gone for good
        self.dropped_blocks = 0
        self.written_blocks = 0
        self._fifo = isinstance(target, str) and target != "-" and _is_fifo(Path(target))
        self._fd: int | None = None if self._fifo else _open(target, what)
        self._set_pipe_size()
        self._thread = threading.Thread(target=self._run, name=f"outlet-{what}", daemon=True)
        self._thread.start()

    def put(self, block: bytes) -> None:
        """Queues one block. Once closed or without a reader for good, it is dropped and counted."""
        with self._changed:
            if self._closing or self.dead:
                self.dropped_blocks += 1
                return
            if len(self._blocks) >= self._capacity:
                gone = len(self._blocks) if self._when_full == "drop all" else 1
                self.dropped_blocks += gone
                for _ in range(gone):
                    self._blocks.popleft()
            self._blocks.append(block)
            self._changed.notify()

    def close(self, timeout_s: float) -> None:
        """Gives a reader `timeout_s` to take what is waiting, then ends the stream. Idempotent."""
        with self._changed:
            self._closing = True
            self.deadline = min(self.deadline, monotonic() + timeout_s)
            self._changed.notify()
        self._thread.join(timeout_s + 5 * _POLL_S)

    def _run(self) -> None:
        while (block := self._next()) is not None:
            if self._fd is None and not self._connect():
                with self._changed:
                    self.dropped_blocks += 1
                continue
            if self._write(block):
                self.written_blocks += 1
            else:
                with self._changed:
                    self.dropped_blocks += 1
        with self._changed:
            self.dropped_blocks += len(self._blocks)
            self._blocks.clear()
        self._close_fd()

    def _next(self) -> bytes | None:
        with self._changed:
            while not self._blocks and not self._closing:
                self._changed.wait()
            if self.dead or not self._blocks or monotonic() >= self.deadline:
                return None
            return self._blocks.popleft()

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

    def _write(self, block: bytes) -> bool:
        """Writes the whole block; False when its reader has gone or the time to close has come."""
        assert self._fd is not None
        rest = memoryview(block)
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        while rest:
            if monotonic() >= self.deadline:
                return False
            try:
                if poll.poll(_POLL_S * 1000):
                    rest = rest[os.write(self._fd, rest[:_PIECE_BYTES]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                self._lose_reader(error)
                return False
        return True

    def _lose_reader(self, error: OSError) -> None:
        self._close_fd()
        if self._fifo:
            log.info("%s: the reader of %s has gone; waiting for another", self.what, self._target)
            return
        log.warning("%s: nobody takes it any more (%s); the engine goes on without", self.what, error.strerror)
        with self._changed:
            self.dead = True
            self._closing = True
            self.dropped_blocks += len(self._blocks)
            self._blocks.clear()

    def _set_pipe_size(self) -> None:
        if self._fd is not None and self._pipe_bytes is not None and stat.S_ISFIFO(os.fstat(self._fd).st_mode):
            with contextlib.suppress(OSError):  # not allowed below what is in it: then it keeps its size
                fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, self._pipe_bytes)

    def _close_fd(self) -> None:
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = None


def _is_fifo(path: Path) -> bool:
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


def _open(target: str | int, what: str) -> int:
    if isinstance(target, int):
        return target
    if target == "-":
        return os.dup(1)
    try:
        return os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    except OSError as error:
        raise OutputError(
            f"cannot write {what} to {target}: {error.strerror}; expected a file, a FIFO (mkfifo) or - for standard "
            "output"
        ) from error
