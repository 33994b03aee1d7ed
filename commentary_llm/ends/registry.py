"""Sources and sinks by name. Each is one file under `sources/` or `sinks/` that registers itself when it is imported.

@register_sink("toy", "writes what it is told to PATH")
def open_toy(target: str, setting: SinkSetting) -> Sink: ...
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Generic, TypeVar

from commentary_llm.ends.contract import Sink, Source
from commentary_llm.ground.errors import ConfigError


@dataclass(frozen=True)
class SinkSetting:
    """What sinks may want to know when they are opened, beside their target."""

    match_id: str
    full_timeline: bool = False  # keep the match's real pauses in the sound


OpenSource = Callable[[str], Source]
OpenSink = Callable[[str, SinkSetting], Sink]
Open = TypeVar("Open")


@dataclass(frozen=True)
class Entry(Generic[Open]):
    """A kind of source or sink; `summary` says for `--help` what it is and what its target may be."""

    name: str
    summary: str
    open: Open


_sources: dict[str, Entry[OpenSource]] = {}
_sinks: dict[str, Entry[OpenSink]] = {}


def register_source(name: str, summary: str) -> Callable[[OpenSource], OpenSource]:
    """Decorates an opener of sources, which is given what follows "name:"; it raises ConfigError or InputError."""

    def register(opener: OpenSource) -> OpenSource:
        _sources[name] = Entry(name, summary, opener)
        return opener

    return register


def register_sink(name: str, summary: str) -> Callable[[OpenSink], OpenSink]:
    """Decorates an opener of sinks, which is given what follows "name:"; it raises ConfigError or OutputError."""

    def register(opener: OpenSink) -> OpenSink:
        _sinks[name] = Entry(name, summary, opener)
        return opener

    return register


def sources() -> Mapping[str, Entry[OpenSource]]:
    """All kinds of sources, by name."""
    _import_all("sources")
    return MappingProxyType(dict(sorted(_sources.items())))


def sinks() -> Mapping[str, Entry[OpenSink]]:
    """All kinds of sinks, by name."""
    _import_all("sinks")
    return MappingProxyType(dict(sorted(_sinks.items())))


def open_source(text: str) -> Source:
    """The source that `--events` names: "name:target" for a registered name, else a path or "-".

    Raises ConfigError or InputError when it cannot be had.
    """
    name, colon, target = text.partition(":")
    known = sources()
    return known[name].open(target) if colon and name in known else known["file"].open(text)


def open_sink(text: str, setting: SinkSetting) -> Sink:
    """The sink that `--sink` names, as "name:target". Raises ConfigError or OutputError when it cannot be had."""
    name, colon, target = text.partition(":")
    known = sinks()
    if not colon or not target or name not in known:
        raise ConfigError(f"--sink {text}: expected NAME:WHERE with one of the names {', '.join(known)}")
    return known[name].open(target, setting)


def _import_all(package: str) -> None:
    folder = Path(__file__).with_name(package)
    for module in pkgutil.iter_modules([str(folder)]):
        importlib.import_module(f"{__package__}.{package}.{module.name}")
