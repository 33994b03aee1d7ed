"""The project's own match file: JSON Lines, UTF-8, one record a line.

The first record is the match: `"type": "match"` and the fields of `MatchInfo`. Every further line is one event with the
fields of `MatchEvent`, in the order in which it arrived (the order of the match, unless a tracker was late). Blank
lines are allowed.

    {"type": "match", "id": "final", "home": {"id": "arg", "name": "Argentina", "players": [
        {"id": "messi", "name": "Lionel Messi", "shirt": 10}, … {"id": "dybala", "name": "…", "starter": false}]},
     "away": {…}, "venue": "Lusail Stadium"}                                (on one line in the file)
    {"event_id": "e1", "type": "goal", "period": 1, "elapsed_s": 1375.5, "team": "arg", "player": "messi"}
    {"type": "goal", "clock": "36", "team": "Argentina", "player": "Di Maria", "assist": "Mac Allister"}

Both line-ups are needed, at least the starters. For files typed by hand:

- `clock` may stand for `elapsed_s`: "23" (the 23rd minute), "23:10" (a clock reading, so in the 24th), "90+4",
  "45+2:30". `period` may then be left out, except in a shoot-out and where a reading runs past its half without "+".
- Teams and players may be named instead of given by id, in any case and with or without diacritics; the end of a name
  will do ("Messi", "de paul") as long as it is one person's within the side.
- `event_id` may be left out; it is then "line-<number of the line>". Trackers should send real ids: only those tell a
  repeated event.

Events are checked against each other as in a live match: a score that disagrees with the goals, a goal by a man
sent off and so on are errors of the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from commentary_llm.ground.errors import InputError
from commentary_llm.ground.files import write_text_atomically
from commentary_llm.match.clock import MatchTime
from commentary_llm.match.events import MatchEvent, MatchInfo
from commentary_llm.match.feeds.names import NameIndex
from commentary_llm.match.feeds.recording import Recording, listed
from commentary_llm.match.match import Match
from commentary_llm.match.roster import lineup_problems

_BOM = b"\xef\xbb\xbf"
_PLAYER_FIELDS = ("player", "player_on", "assist", "goalkeeper", "opponent", "receiver")


def read_jsonl(path: Path) -> Recording:
    """Reads a match file. Raises InputError listing every fault with its line and field."""
    problems: list[str] = []
    records = list(_records(path, problems))
    if not records and not problems:
        raise InputError(f'{path} holds no records; expected a first line {{"type": "match", …}} and events after it')
    info, event_records = _match_record(records, problems)
    names = NameIndex(info) if info is not None else None
    numbered: list[tuple[int, MatchEvent]] = []
    for number, record in event_records:
        event = _event(record, number, names, problems)
        if event is not None:
            numbered.append((number, event))
    if info is not None and not problems:
        _check_together(info, numbered, problems)
    if problems or info is None:
        raise InputError(f"{path} has {len(problems)} fault{'s' * (len(problems) != 1)}:\n{listed(problems)}")
    return Recording(info, tuple(event for _, event in numbered))


class EventLines:
    """Events of one match, read line by line as a live feed sends them: the same format and checks as in a file.

    Whether an event fits those before it is for `Match` to say.
    """

    def __init__(self, info: MatchInfo) -> None:
        self._match_id = info.id
        self._names = NameIndex(info)

    def event(self, line: bytes, number: int, default_id: str) -> MatchEvent | None:
        """The event on a line; None for a blank line and for the match record of this match, which a file begins with.

        `default_id` is given to an event that has no id. Raises InputError listing every fault, with `number`.
        """
        problems: list[str] = []
        record = _record(line.removeprefix(_BOM), number, problems) if line.strip() else None
        event = None
        if record is not None and record.get("type") == "match":
            if record.get("id") != self._match_id:
                problems.append(
                    f"line {number}: field id: the match {record.get('id')!r}, but this is match {self._match_id!r}"
                )
        elif record is not None:
            event = _event({"event_id": default_id, **record}, number, self._names, problems)
        if problems:
            raise InputError("; ".join(problems))
        return event


def write_jsonl(recording: Recording, path: Path) -> None:
    """Writes a match file that reads back equal; an earlier file is replaced only by a whole one.

    Raises OutputError if it cannot be written.
    """
    head = {"type": "match", **recording.info.model_dump(mode="json", exclude_defaults=True)}
    lines = [head, *(event.model_dump(mode="json", exclude_defaults=True) for event in recording.events)]
    write_text_atomically(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def _records(path: Path, problems: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the match file {path}: {error.strerror or error}") from error
    for number, line in enumerate(raw.removeprefix(_BOM).split(b"\n"), start=1):
        if line.strip():
            record = _record(line, number, problems)
            if record is not None:
                yield number, record


def _record(line: bytes, number: int, problems: list[str]) -> dict[str, Any] | None:
    try:
        record = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        problems.append(f"line {number}: not UTF-8 text (byte {error.start + 1}); save the file as UTF-8")
    except json.JSONDecodeError as error:
        problems.append(
            f"line {number}: not a whole JSON record ({error.msg} at column {error.colno}); the line is damaged "
            "or cut off"
        )
    except (ValueError, RecursionError) as error:
        problems.append(f"line {number}: not a usable JSON record ({error})")
    else:
        if isinstance(record, dict):
            return record
        problems.append(f"line {number}: a JSON {type(record).__name__}; expected an object {{…}}")
    return None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number JSON knows")


def _match_record(
    records: list[tuple[int, dict[str, Any]]], problems: list[str]
) -> tuple[MatchInfo | None, list[tuple[int, dict[str, Any]]]]:
    matches = [(number, record) for number, record in records if record.get("type") == "match"]
    events = [(number, record) for number, record in records if record.get("type") != "match"]
    if not matches:
        problems.append('line 1: field type: the first record has to be the match, {"type": "match", "id": …}')
        return None, events
    for number, _ in matches[1:]:
        problems.append(f"line {number}: field type: a second match record; a file holds one match")
    number, record = matches[0]
    if events and events[0][0] < number:
        problems.append(f"line {number}: field type: the match record has to come before the events")
    try:
        info = MatchInfo.model_validate({key: value for key, value in record.items() if key != "type"})
    except ValidationError as error:
        problems.extend(_faults(number, error))
        return None, events
    missing = lineup_problems(info)
    problems.extend(f"line {number}: {problem}" for problem in missing)
    # Without line-ups every name would be unknown; one fault is enough.
    return (None if missing else info), events


def _event(record: dict[str, Any], number: int, names: NameIndex | None, problems: list[str]) -> MatchEvent | None:
    before = len(problems)
    record = {"event_id": f"line-{number}", **record}
    _resolve_clock(record, number, problems)
    if names is not None:
        _resolve_names(record, number, names, problems)
    if len(problems) > before:
        # The fields that could not be resolved are told already; the rest of the record is still checked.
        record.setdefault("period", 1)
        record.setdefault("elapsed_s", 0)
    try:
        event = MatchEvent.model_validate(record)
    except ValidationError as error:
        problems.extend(_faults(number, error))
        return None
    return event if len(problems) == before else None


def _resolve_clock(record: dict[str, Any], number: int, problems: list[str]) -> None:
    if "clock" not in record:
        return
    clock, period = record.pop("clock"), record.get("period")
    if "elapsed_s" in record:
        problems.append(f"line {number}: field clock: give clock or elapsed_s, not both")
    elif period is not None and (not isinstance(period, int) or isinstance(period, bool)):
        problems.append(f"line {number}: field period: {period!r} is not a whole number from 1 to 5")
        record["period"] = 1
    elif isinstance(clock, bool) or not isinstance(clock, (str, int)):
        problems.append(f'line {number}: field clock: {clock!r} is not a match time like "23:10" or "90+4"')
    else:
        try:
            time = MatchTime.parse(str(clock), period)
        except InputError as error:
            problems.append(f"line {number}: field clock: {error}")
        else:
            record["period"], record["elapsed_s"] = time.period, time.elapsed_s


def _resolve_names(record: dict[str, Any], number: int, names: NameIndex, problems: list[str]) -> None:
    team = record.get("team")
    if isinstance(team, str):
        try:
            record["team"] = team = names.team_id(team)
        except ValueError as error:
            problems.append(f"line {number}: field team: {error}")
    for field in _PLAYER_FIELDS:
        value = record.get(field)
        if isinstance(value, str):
            try:
                record[field] = names.player_id(value, team if isinstance(team, str) else None)
            except ValueError as error:
                problems.append(f"line {number}: field {field}: {error}")


def _faults(number: int, error: ValidationError) -> Iterator[str]:
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"])
        what = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            what = "no such field"
        elif fault["type"] != "missing" and where:
            what = f"{what} (found {_short(fault['input'])})"
        yield f"line {number}: field {where}: {what}" if where else f"line {number}: {what}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _check_together(info: MatchInfo, numbered: list[tuple[int, MatchEvent]], problems: list[str]) -> None:
    match = Match(info)
    lines: dict[str, int] = {}
    for number, event in numbered:
        lines.setdefault(event.event_id, number)
        try:
            match.accept(event)
        except InputError as error:
            # What is held may fit once the rest has been read; anything else is a fault for good.
            if all(event is not held for held, _ in match.held):
                problems.append(f"line {number}: {error}")
    problems.extend(f"line {lines[event.event_id]}: {error}" for event, error in match.held)
    problems.sort(key=lambda problem: int(problem.split(":")[0].removeprefix("line ")))
