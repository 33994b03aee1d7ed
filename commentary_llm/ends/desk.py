"""Where a tracker's lines become events, and where the tracker learns what came of each."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from commentary_llm.ends.lines import MAX_LINE_BYTES, TOO_LONG
from commentary_llm.ground.errors import InputError
from commentary_llm.match import MatchEvent, MatchInfo
from commentary_llm.match.feeds.jsonl import EventLines
from commentary_llm.match.match import Arrival
from commentary_llm.session.events import CueEnded, SessionEvent
from commentary_llm.session.handle import CueHandle

Reply = Callable[[dict[str, object]], None]
_MAX_ANSWERS_DUE = 4096  # cues in flight are far fewer: the bound is for a tracker that never stops


class Answers:
    """Sends the record of a cue, once final, to whoever sent its event. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[str, tuple[int, Reply]] = {}

    def expect(self, event_id: str, number: int, reply: Reply) -> bool:
        """Notes whom to answer; False when an answer for that event is due already, or far too many are."""
        with self._lock:
            if event_id in self._due or len(self._due) >= _MAX_ANSWERS_DUE:
                return False
            self._due[event_id] = (number, reply)
            return True

    def forget(self, event_id: str) -> None:
        with self._lock:
            self._due.pop(event_id, None)

    def put(self, event: SessionEvent) -> None:
        if not isinstance(event, CueEnded):
            return
        record = event.record
        with self._lock:
            number, reply = self._due.pop(record.event_id, (0, None))
        if reply is not None:
            status = "spoken" if record.text else "dropped"
            fields = record.model_dump(mode="json")
            reply({"line": number, "event_id": record.event_id, "status": status, "record": fields})


class Submits(Protocol):
    """What the desk needs of the engine."""

    def submit(self, event: MatchEvent, *, stream_s: float | None = None) -> CueHandle: ...


class EventDesk:
    """Reads lines, submits their events and answers. Thread-safe.

    Each line but a blank one is answered once at once:

        {"line": 3, "event_id": "e7", "status": "accepted"}                 words may follow
        {"line": 3, "event_id": "e7", "status": "accepted", "silent": why}  taken in, nothing will be said of it
        {"line": 3, "event_id": "e7", "status": "duplicate"}
        {"line": 3, "status": "refused", "reason": "line 3: field team: …"}

    and an accepted one again when its words are final, with the cue's record ("spoken", or "dropped" with the cause):

        {"line": 3, "event_id": "e7", "status": "spoken", "record": {…}}
    """

    def __init__(
        self,
        engine: Submits,
        info: MatchInfo,
        answers: Answers,
        now_s: Callable[[], float],
        complain: Callable[[str], None],
    ) -> None:
        """`complain` is told of each refused line, for the operator."""
        self._engine = engine
        self._lines = EventLines(info)
        self._answers = answers
        self._now_s = now_s
        self._complain = complain
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()  # by status
        self.taken: list[tuple[MatchEvent, float]] = []  # accepted events with their stream time

    def take(self, line: bytes, number: int, source: str, reply: Reply) -> None:
        """Deals with one line of `source` ("" where there is but one).

        A bad line is answered, not raised. Raises EngineError when the engine has failed.
        """
        place, prefix = (f"{source}, ", f"{source}-") if source else ("", "")
        try:
            if line is TOO_LONG:
                raise InputError(f"line {number}: longer than {MAX_LINE_BYTES} bytes; an event is one short JSON line")
            event = self._lines.event(line, number, default_id=f"{prefix}line-{number}")
        except InputError as error:
            self._refuse(place, str(error), number, None, reply)
            return
        if event is None:
            return
        expected = self._answers.expect(event.event_id, number, reply)
        at_s = self._now_s()
        try:
            handle = self._engine.submit(event, stream_s=at_s)
        except InputError as error:
            if expected:
                self._answers.forget(event.event_id)
            self._refuse(place, f"line {number}: {error}", number, event.event_id, reply)
            return
        answer: dict[str, object] = {"line": number, "event_id": event.event_id, "status": "accepted"}
        if handle.skipped == Arrival.DUPLICATE.value:
            answer["status"] = "duplicate"
        elif handle.skipped is not None:
            answer["silent"] = handle.skipped
        if handle.skipped is not None and expected:
            self._answers.forget(event.event_id)
        with self._lock:
            self.counts[str(answer["status"])] += 1
            if answer["status"] == "accepted":
                self.taken.append((event, at_s))
        reply(answer)

    def _refuse(self, place: str, reason: str, number: int, event_id: str | None, reply: Reply) -> None:
        with self._lock:
            self.counts["refused"] += 1
        self._complain(place + reason)
        named: dict[str, object] = {} if event_id is None else {"event_id": event_id}
        reply({"line": number, **named, "status": "refused", "reason": reason})
