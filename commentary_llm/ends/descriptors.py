"""File descriptors for the loop: none may block it, none may change how another process sees the same file."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat

log = logging.getLogger(__name__)

_READ_BYTES = 65_536


def own_descriptor(fd: int, flags: int) -> int:
    """A descriptor of our own for standard input or output, to be closed by the caller; `flags` as for `os.open`.

    Pipes and terminals are opened anew, without blocking: setting that on `fd` itself would set it for everybody who
    shares it, the shell and our own standard error among them.
    """
    mode = os.fstat(fd).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        with contextlib.suppress(OSError):  # not allowed, of another user: then shared, read and written when ready
            return os.open(f"/proc/self/fd/{fd}", flags | os.O_NONBLOCK | os.O_NOCTTY)
    return os.dup(fd)


async def read_some(fd: int) -> bytes:
    """What an open file, pipe, terminal or socket has to give, at most 64 KiB; waits for it. b"" at its end.

    A FIFO that nobody has written to yet is waited for.
    """
    loop = asyncio.get_running_loop()
    while True:
        ready: asyncio.Future[None] = loop.create_future()
        try:
            loop.add_reader(fd, _resolve, ready)
        except PermissionError:
            pass  # a regular file is always ready
        else:
            try:
                await ready
            finally:
                loop.remove_reader(fd)
        try:
            return os.read(fd, _READ_BYTES)
        except BlockingIOError:
            continue
        except OSError as error:  # a connection that was reset, a terminal that hung up
            log.info("reading ends: %s", error)
            return b""


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
