"""Sources and sinks by name. Each is one file, `X_entry.py` under `sources/` or `sinks/`, that registers itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from commentary_llm.ends.contract import Sink, Source
from commentary_llm.ground.errors import ConfigError
from commentary_llm.ground.registry import Registry


@dataclass(frozen=True)
class SinkSetting:
    """What sinks may want to know when they are opened, beside their target."""

    match_id: str
    full_timeline: bool = False  # keep the match's real pauses in the sound


# What an entry registers: opens a source or sink on the target that its name was given with. Raises ConfigError, and
# InputError (sources) or OutputError (sinks), when that cannot be had.
OpenSource = Callable[[str], Source]
OpenSink = Callable[[str, SinkSetting], Sink]

SOURCES: Registry[OpenSource] = Registry("source", "commentary_llm.ends.sources")
SINKS: Registry[OpenSink] = Registry("sink", "commentary_llm.ends.sinks")


def open_source(text: str) -> Source:
    """The source that `--events` names: "NAME:TARGET" for a registered name, else a path, or "-".

    Raises ConfigError or InputError when it cannot be had.
    """
    name, colon, target = text.partition(":")
    return SOURCES.get(name)(target) if colon and name in SOURCES.names() else SOURCES.get("file")(text)


def open_sink(text: str, setting: SinkSetting) -> Sink:
    """The sink that `--sink` names, as "NAME:TARGET". Raises ConfigError or OutputError when it cannot be had."""
    name, colon, target = text.partition(":")
    if not colon or not target:
        raise ConfigError(f"--sink {text}: expected NAME:WHERE with one of the names {', '.join(SINKS.names())}")
    return SINKS.get(name)(target, setting)
