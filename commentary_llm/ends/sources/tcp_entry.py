"""Trackers over TCP: each connection sends event lines and gets an answer to each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections import deque

from commentary_llm.ends.contract import LineDesk
from commentary_llm.ends.lines import lines_of
from commentary_llm.ends.registry import SOURCES
from commentary_llm.ground.errors import ConfigError, EngineError

log = logging.getLogger(__name__)

_MAX_TRACKERS = 8
_REPLIES_WAITING = 1000  # for a tracker that does not read them; the oldest are lost
_LAST_REPLIES_S = 1.0
_READ_BYTES = 65_536


class TrackerPort:
    """A `Source` with any number of senders, at most eight at a time (see `EventDesk` for what they are answered).

    A connection that ends does not end the source: trackers come back. Nobody is asked who he is, so listen on an
    address that only the tracker reaches.
    """

    def __init__(self, host: str, port: int) -> None:
        """Listens from now on. Raises ConfigError when the address cannot be had."""
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host, port), family=family, backlog=_MAX_TRACKERS)
        except OSError as error:
            raise ConfigError(
                f"--events tcp:{host}:{port}: cannot listen there ({error.strerror or error}); name an address of this "
                "machine and a free port"
            ) from error
        self.port: int = self._socket.getsockname()[1]
        self.description = f"tcp:{host}:{self.port}"
        self._trackers: dict[_Tracker, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None
        self._count = 0

    async def start(self, desk: LineDesk) -> None:
        self._server = await asyncio.start_server(lambda r, w: self._connected(r, w, desk), sock=self._socket)

    def ended(self) -> bool:
        return False

    async def stop(self) -> None:
        if self._server is None:
            self._socket.close()
        else:
            self._server.close()
        for tracker in self._trackers:
            tracker.stop_reading()

    async def close(self) -> None:
        serving = set(self._trackers.values())
        for tracker in self._trackers:
            tracker.close()
        if serving:
            await asyncio.wait(serving, timeout=2 * _LAST_REPLIES_S)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, desk: LineDesk) -> None:
        if len(self._trackers) >= _MAX_TRACKERS:
            reason = f"{_MAX_TRACKERS} trackers are connected already"
            writer.write(_line({"match_id": desk.match_id, "status": "refused", "reason": reason}))
            writer.close()
            return
        self._count += 1
        name = f"tracker-{self._count}"
        log.info("%s connected from %s", name, writer.get_extra_info("peername"))
        tracker = _Tracker(name, reader, writer)
        serving = asyncio.current_task()
        assert serving is not None
        self._trackers[tracker] = serving
        try:
            await tracker.serve(desk)
        finally:
            del self._trackers[tracker]


class _Tracker:
    """One connection."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._name, self._reader, self._writer = name, reader, writer
        self._due: set[object] = set()  # events whose cues are still to come
        self._replies: deque[bytes] = deque(maxlen=_REPLIES_WAITING)
        self._lost = 0
        self._changed = asyncio.Event()  # there are replies to write, nothing more is due, or it is to end
        self._closing = False
        self._reading: asyncio.Task[None] | None = None

    async def serve(self, desk: LineDesk) -> None:
        """Until all it has sent is answered and no more is due, or the connection breaks."""
        loop = asyncio.get_running_loop()
        self._reading = loop.create_task(self._read(desk))
        writing = loop.create_task(self._write())
        try:
            await asyncio.wait({self._reading})
            self._changed.set()
            await asyncio.wait({writing})  # a tracker may have sent all and still want to hear what is said of it
        finally:
            self._reading.cancel()
            writing.cancel()
            self._writer.close()
            try:  # to write what is left
                await asyncio.wait_for(self._writer.wait_closed(), _LAST_REPLIES_S)
            except (asyncio.TimeoutError, OSError):
                self._writer.transport.abort()
            if self._lost:
                log.warning("%s: %d answers were not read and are lost", self._name, self._lost)

    def stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    def close(self) -> None:
        self._closing = True
        self._changed.set()
        asyncio.get_running_loop().call_later(_LAST_REPLIES_S, self._writer.transport.abort)

    def reply(self, answer: dict[str, object]) -> None:
        event_id = answer.get("event_id")
        if answer["status"] == "accepted" and "silent" not in answer:
            self._due.add(event_id)
        elif answer["status"] in ("spoken", "dropped"):
            self._due.discard(event_id)
        self._lost += len(self._replies) == _REPLIES_WAITING
        self._replies.append(_line(answer))
        self._changed.set()

    async def _read(self, desk: LineDesk) -> None:
        number = 0
        try:
            async for line in lines_of(lambda: self._reader.read(_READ_BYTES)):
                number += 1
                desk.take(line, number, self._name, self.reply)
                await asyncio.sleep(0)  # one tracker's burst must not keep the others waiting
        except OSError as error:  # reset: there is nobody to answer either
            log.info("%s: %s", self._name, error)
            self._closing = True
        except EngineError as error:  # the engine says so itself, to whoever waits for it
            log.info("%s ends with the engine: %s", self._name, error)
        except Exception:
            log.exception("%s, line %d: no more of its lines are taken", self._name, number)

    async def _write(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                while self._replies:
                    self._writer.write(self._replies.popleft())
                    await self._writer.drain()
                if self._closing or (not self._due and self._reading is not None and self._reading.done()):
                    return
                self._changed.clear()
                await self._changed.wait()


def _line(answer: dict[str, object]) -> bytes:
    return (json.dumps(answer, ensure_ascii=False) + "\n").encode()


def open_port(address: str) -> TrackerPort:
    """`address`: "HOST:PORT"."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise ConfigError(f"--events tcp:{address}: expected tcp:HOST:PORT, such as tcp:127.0.0.1:7070")
    return TrackerPort(host.strip("[]"), int(port))


SOURCES.register("tcp", open_port)
