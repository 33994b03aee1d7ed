"""Event lines of a file, FIFO or standard input, read to its end."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

from commentary_llm.ends.contract import LineDesk
from commentary_llm.ends.descriptors import own_descriptor, read_some
from commentary_llm.ends.lines import lines_of
from commentary_llm.ends.registry import SOURCES
from commentary_llm.ground.errors import EngineError, InputError

log = logging.getLogger(__name__)


class LineSource:
    """A `Source` with one sender, whose lines get no answer."""

    def __init__(self, path: str) -> None:
        """`path`: "-" for standard input. Raises InputError when it cannot be read."""
        if Path(path).is_dir():
            raise InputError(f"cannot read events from {path}: it is a folder")
        try:
            # Not blocking: a FIFO opens at once, before anybody writes to it.
            self._fd = own_descriptor(0, os.O_RDONLY) if path == "-" else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise InputError(f"cannot read events from {path}: {error.strerror}") from error
        self.description = "standard input" if path == "-" else path
        self._reading: asyncio.Task[None] | None = None

    async def start(self, desk: LineDesk) -> None:
        self._reading = asyncio.get_running_loop().create_task(self._read(desk))

    async def _read(self, desk: LineDesk) -> None:
        number = 0
        try:
            async for line in lines_of(lambda: read_some(self._fd)):
                number += 1
                desk.take(line, number, "", lambda answer: None)
                await asyncio.sleep(0)  # other matches have their turn between the lines of a long file
        except EngineError as error:  # the engine says so itself, to whoever waits for it
            log.info("events end with the engine: %s", error)
        except Exception:
            log.exception("%s, line %d: no more events are taken", self.description, number)

    def ended(self) -> bool:
        return self._reading is not None and self._reading.done()

    async def stop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    async def close(self) -> None:
        os.close(self._fd)


SOURCES.register("file", LineSource)
SOURCES.register("fifo", LineSource)
