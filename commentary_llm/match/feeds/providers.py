"""Matches from data providers' files, read by kloppy and mapped once, here at the border, into our events."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from commentary_llm.ground.errors import ConfigError, InputError
from commentary_llm.match.events import MatchEvent, MatchInfo
from commentary_llm.match.feeds.provider_events import map_events
from commentary_llm.match.feeds.provider_lineups import map_info
from commentary_llm.match.feeds.provider_repair import load_readable
from commentary_llm.match.feeds.recording import Recording, listed
from commentary_llm.match.match import Match
from commentary_llm.match.roster import lineup_problems


@dataclass(frozen=True)
class Provider:
    """How one provider's files are loaded.

    `loader`: "module:function" of kloppy. `files` and `optional`: our option name -> the loader's argument, for files
    that have to be given and that may be.
    """

    name: str
    loader: str
    files: Mapping[str, str]
    optional: Mapping[str, str]
    description: Mapping[str, str]  # option name -> what the file is

    def usage(self) -> str:
        """`--events FILE --lineups FILE [--squads FILE]`."""
        needed = [f"--{option} FILE" for option in self.files]
        return " ".join(needed + [f"[--{option} FILE]" for option in self.optional])


def _provider(
    name: str, loader: str, files: dict[str, tuple[str, str]], optional: dict[str, tuple[str, str]] | None = None
) -> Provider:
    extra = optional or {}
    return Provider(
        name=name,
        loader=loader,
        files={option: argument for option, (argument, _) in files.items()},
        optional={option: argument for option, (argument, _) in extra.items()},
        description={option: what for option, (_, what) in {**files, **extra}.items()},
    )


# Every loader of event data that kloppy has.
PROVIDERS: dict[str, Provider] = {
    "statsbomb": _provider(
        "StatsBomb",
        "kloppy.statsbomb:load",
        {"events": ("event_data", "events JSON"), "lineups": ("lineup_data", "line-ups JSON")},
    ),
    "opta": _provider(
        "Opta",
        "kloppy.opta:load",
        {"f24": ("f24_data", "F24 or F73 events XML"), "f7": ("f7_data", "F7 line-ups XML")},
    ),
    "statsperform": _provider(
        "Stats Perform",
        "kloppy.statsperform:load_event",
        {"ma1": ("ma1_data", "MA1 line-ups, JSON or XML"), "ma3": ("ma3_data", "MA3 events, JSON or XML")},
    ),
    "sportec": _provider(
        "Sportec Solutions (DFL)",
        "kloppy.sportec:load_event",
        {"events": ("event_data", "events XML"), "meta": ("meta_data", "match information XML")},
    ),
    "datafactory": _provider(
        "DataFactory", "kloppy.datafactory:load", {"events": ("event_data", "events JSON, line-ups inside")}
    ),
    "wyscout": _provider(
        "Wyscout", "kloppy.wyscout:load", {"events": ("event_data", "events JSON, version 2 or 3, line-ups inside")}
    ),
    "impect": _provider(
        "Impect",
        "kloppy.impect:load",
        {"events": ("event_data", "events JSON"), "lineups": ("lineup_data", "line-ups JSON")},
        {
            "squads": ("squads_data", "squads JSON, for team names"),
            "players": ("players_data", "players JSON, for player names"),
        },
    ),
    "metrica": _provider(
        "Metrica Sports",
        "kloppy.metrica:load_event",
        {"events": ("event_data", "events JSON"), "meta": ("meta_data", "EPTS metadata XML")},
    ),
}


def load_provider(provider: str, files: Mapping[str, Path]) -> Recording:
    """Loads a recorded match. `files`: option name -> path, as `PROVIDERS[provider]` lists them.

    Events kloppy does not know, or that our match does not need, are counted in `Recording.skipped` by name; so is a
    single event that is unusable or contradicts the others, with the reason. What a listener would notice (a goal
    that could not be used, a final score other than the provider's) is in `Recording.warnings`.

    Raises ConfigError for an unknown provider or option and a missing file argument; InputError for a file that cannot
    be read or is not that provider's.
    """
    spec = _spec(provider, files)
    skipped: Counter[str] = Counter()
    dataset = _load(provider, spec, files, skipped)
    try:
        info = map_info(provider, spec.name, dataset, files)
        events = map_events(provider, dataset, info, skipped)
    except (AttributeError, KeyError, LookupError, TypeError, ValueError) as error:
        raise _unreadable(spec, files, error) from error
    if problems := lineup_problems(info):
        raise InputError(f"{_named(files)} ({spec.name}): {'; '.join(problems)}")
    if not events:
        raise InputError(f"{_named(files)} ({spec.name}) hold no usable events; skipped: {dict(skipped)}")
    return _consistent(info, events, skipped, getattr(dataset.metadata, "score", None))


def _spec(provider: str, files: Mapping[str, Path]) -> Provider:
    if provider not in PROVIDERS:
        raise ConfigError(f"unknown provider {provider!r}; known are {', '.join(sorted(PROVIDERS))}")
    spec = PROVIDERS[provider]
    missing = [option for option in spec.files if option not in files]
    if missing:
        wanted = ", ".join(f"--{option} ({spec.description[option]})" for option in missing)
        raise ConfigError(f"provider {provider} also needs {wanted}; give {spec.usage()}")
    unknown = [option for option in files if option not in spec.description]
    if unknown:
        raise ConfigError(f"provider {provider} has no file option --{unknown[0]}; give {spec.usage()}")
    for option, path in files.items():
        if not path.is_file():
            raise InputError(f"--{option}: {path} is not a file; expected the {spec.name} {spec.description[option]}")
        if path.stat().st_size == 0:
            raise InputError(f"--{option}: {path} is empty; expected the {spec.name} {spec.description[option]}")
    return spec


def _load(provider: str, spec: Provider, files: Mapping[str, Path], skipped: Counter[str]) -> Any:
    module, function = spec.loader.split(":")
    load = getattr(import_module(module), function)
    arguments = {argument: str(files[o]) for o, argument in {**spec.files, **spec.optional}.items() if o in files}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kloppy warns of every event it has to approximate
        try:
            return load(**arguments)
        except Exception as error:
            # Whatever kloppy and its JSON and XML parsers raise on a foreign file (KeyError, XMLSyntaxError, …).
            if "events" in files:
                events_argument = spec.files["events"]
                dataset = load_readable(
                    provider, files["events"], lambda raw: load(**{**arguments, events_argument: raw}), skipped
                )
                if dataset is not None:
                    return dataset
            raise _unreadable(spec, files, error) from error


def _unreadable(spec: Provider, files: Mapping[str, Path], error: Exception) -> InputError:
    expected = ", ".join(f"--{option} {path} ({spec.description[option]})" for option, path in files.items())
    return InputError(
        f"not readable as {spec.name} files: {expected}: {type(error).__name__}: {error}; "
        "check that each is whole and given to its own option"
    )


def _named(files: Mapping[str, Path]) -> str:
    return " and ".join(str(path) for path in files.values())


def _consistent(info: MatchInfo, events: list[MatchEvent], skipped: Counter[str], score: Any) -> Recording:
    """Drops events that contradict the others, so that the replay never stops at one."""
    match = Match(info)
    refused: dict[str, str] = {}
    for event in events:
        try:
            match.accept(event)
        except InputError as error:
            refused[event.event_id] = str(error)
    kept_ids = {event.event_id for event in match.events}
    notes = []
    for event in events:
        if event.event_id not in kept_ids:
            skipped[f"contradicts the match: {event.type.value}"] += 1
            notes.append(refused[event.event_id])
    state = match.state
    known = score is not None and isinstance(score.home, int) and isinstance(score.away, int)
    if known and (score.home, score.away) != (state.score.home, state.score.away):
        notes.append(
            f"the file says the match ended {score.home}-{score.away}, but its goals make it "
            f"{state.score.home}-{state.score.away}"
        )
    kept = tuple(event for event in events if event.event_id in kept_ids)
    if not kept:
        raise InputError(f"match {info.id!r}: every event contradicts the line-ups:\n{listed(notes)}")
    return Recording(info, kept, skipped, tuple(notes))
