"""Names to what stands behind them: the way in which a room is extended by one folder or file.

An entry module registers what it brings when it is imported: `X_entry.py` in the room's folder, or `entry.py` in a
folder of its own below it. The registry imports all of them when it is first asked. They are light: what takes long to
load (torch, ONNX Runtime) they import when something is opened, so that a command can list the choices in a moment.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import threading
from typing import Generic, TypeVar

from commentary_llm.ground.errors import ConfigError
from commentary_llm.ground.spelling import did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """What a room has to offer, by name. Thread-safe."""

    def __init__(self, what: str, room: str) -> None:
        """`what`: one of them, for messages ("speech runtime"); `room`: the package that holds the entry modules."""
        self._what, self._room = what, room
        self._entries: dict[str, T] = {}
        self._complete = False
        self._lock = threading.RLock()

    def register(self, name: str, entry: T) -> None:
        """Adds an entry. Raises ValueError when the name is taken."""
        with self._lock:
            if name in self._entries:
                raise ValueError(f"two entries want to be the {self._what} {name!r}")
            self._entries[name] = entry

    def names(self) -> tuple[str, ...]:
        """All names, in alphabetical order."""
        return tuple(sorted(self._all()))

    def get(self, name: str) -> T:
        """Raises ConfigError that names the choices."""
        found = self._all().get(name)
        if found is None:
            known = self.names()
            raise ConfigError(
                f"{self._what} {name!r} is not known; expected one of {', '.join(known)}{did_you_mean(name, known)}"
            )
        return found

    def _all(self) -> dict[str, T]:
        with self._lock:
            if not self._complete:
                for module in _entry_modules(self._room):
                    importlib.import_module(module)
                self._complete = True
            return dict(self._entries)


def _entry_modules(room: str) -> list[str]:
    """`room.X_entry` and `room.X.entry`, as far as they exist."""
    found = []
    for module in pkgutil.iter_modules(importlib.import_module(room).__path__, f"{room}."):
        if module.ispkg:
            entry = f"{module.name}.entry"
            if importlib.util.find_spec(entry) is not None:
                found.append(entry)
        elif module.name.endswith("_entry"):
            found.append(module.name)
    return sorted(found)
