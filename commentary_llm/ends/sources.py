"""Where a tracker's lines come from: a file or pipe, or connections over TCP."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from commentary_llm.ends.lines import lines_of
from commentary_llm.ends.outlet import Outlet
from commentary_llm.ground.errors import ConfigError, EngineError, InputError

log = logging.getLogger(__name__)

_TCP = "tcp:"
_MAX_TRACKERS = 8
_REPLIES_WAITING = 1000  # for a tracker that does not read them
_LAST_REPLIES_S = 1.0
_POLL_MS = 100
TakeLine = Callable[[bytes, int, str, Callable[[dict[str, object]], None]], None]


class EventSource(Protocol):
    """Gives lines to a desk from its own threads, from `start` until its end or `stop`."""

    description: str

    def start(self, take: TakeLine) -> None: ...

    def ended(self) -> bool: ...

    def stop(self) -> None:
        """Takes no more lines."""
        ...

    def close(self) -> None:
        """Ends the connections, once what is due has been answered."""
        ...


def open_source(text: str) -> EventSource:
    """The source that `--events` names: "-", a path, or "tcp:HOST:PORT" (port 0: any free one).

    Raises ConfigError or InputError when it cannot be had.
    """
    return TrackerPort(*_address(text)) if text.startswith(_TCP) else LineSource(text)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.removeprefix(_TCP).rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise ConfigError(f"--events {text}: expected tcp:HOST:PORT, such as tcp:127.0.0.1:7070")
    return host.strip("[]"), int(port)


class LineSource:
    """A file, FIFO or standard input, read to its end."""

    def __init__(self, path: str) -> None:
        """Raises InputError when the path cannot be read."""
        try:
            # Not blocking: a FIFO opens at once, before anybody writes to it.
            self._fd = os.dup(0) if path == "-" else os.open(Path(path), os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise InputError(f"cannot read events from {path}: {error.strerror}") from error
        self.description = "standard input" if path == "-" else path
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, take: TakeLine) -> None:
        self._thread = threading.Thread(target=self._run, args=(take,), name="events", daemon=True)
        self._thread.start()

    def _run(self, take: TakeLine) -> None:
        with contextlib.suppress(EngineError):  # the engine says so itself, to whoever waits for it
            for number, line in enumerate(lines_of(self._fd, self._stop), start=1):
                take(line, number, "", lambda answer: None)

    def ended(self) -> bool:
        return self._thread is not None and not self._thread.is_alive()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2.0)

    def close(self) -> None:
        os.close(self._fd)


class TrackerPort:
    """A TCP port: each connection sends event lines and gets a JSON line for each (see `EventDesk`).

    A connection that ends does not end the source: trackers come back. Nobody is asked who he is, so listen on an
    address that only the tracker reaches.
    """

    def __init__(self, host: str, port: int) -> None:
        """Listens from now on. Raises ConfigError when the address cannot be had."""
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._server = socket.create_server((host, port), family=family, backlog=_MAX_TRACKERS)
        except OSError as error:
            raise ConfigError(
                f"--events tcp:{host}:{port}: cannot listen there ({error.strerror or error}); name an address of this "
                "machine and a free port"
            ) from error
        self.port: int = self._server.getsockname()[1]
        self.description = f"tcp:{host}:{self.port}"
        self._stop = threading.Event()
        self._closing = threading.Event()
        self._trackers: list[threading.Thread] = []
        self._thread: threading.Thread | None = None

    def start(self, take: TakeLine) -> None:
        self._thread = threading.Thread(target=self._accept, args=(take,), name="events-tcp", daemon=True)
        self._thread.start()

    def ended(self) -> bool:
        return False

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2.0)
        self._server.close()

    def close(self) -> None:
        self._closing.set()
        for thread in self._trackers:
            thread.join(_LAST_REPLIES_S + 1.0)

    def _accept(self, take: TakeLine) -> None:
        poll = select.poll()
        poll.register(self._server, select.POLLIN)
        count = 0
        while not self._stop.is_set():
            if not poll.poll(_POLL_MS):
                continue
            with contextlib.suppress(OSError):  # gone before it was accepted
                connection, address = self._server.accept()
                self._trackers = [thread for thread in self._trackers if thread.is_alive()]
                if len(self._trackers) >= _MAX_TRACKERS:
                    reason = f"{_MAX_TRACKERS} trackers are connected already"
                    connection.sendall((json.dumps({"status": "refused", "reason": reason}) + "\n").encode())
                    connection.close()
                    continue
                count += 1
                name = f"tracker-{count}"
                log.info("%s connected from %s", name, address[0])
                thread = threading.Thread(target=self._serve, args=(connection, name, take), name=name, daemon=True)
                self._trackers.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket, name: str, take: TakeLine) -> None:
        outlet = Outlet(
            os.dup(connection.fileno()), what=f"replies to {name}", capacity=_REPLIES_WAITING, when_full="drop oldest"
        )
        due: set[object] = set()  # events whose cues are still to come

        def reply(answer: dict[str, object]) -> None:
            event_id = answer.get("event_id")
            if answer["status"] == "accepted" and "silent" not in answer:
                due.add(event_id)
            elif answer["status"] in ("spoken", "dropped"):
                due.discard(event_id)
            outlet.put((json.dumps(answer, ensure_ascii=False) + "\n").encode())

        with contextlib.suppress(EngineError):  # the engine says so itself, to whoever waits for it
            for number, line in enumerate(lines_of(connection.fileno(), self._stop), start=1):
                take(line, number, name, reply)
        # A tracker may have sent all it has and still want to hear what is said of it.
        while due and not outlet.dead and not self._closing.wait(_POLL_MS / 1000):
            pass
        outlet.close(_LAST_REPLIES_S)
        connection.close()
