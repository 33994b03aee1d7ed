"""Where a tracker's lines become events, and where the tracker learns what came of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from asr_tts.audio.crowd import Moment
from commentary_llm.ends.contract import Closing, EndsEvent, Opening, Reply
from commentary_llm.ends.lines import MAX_LINE_BYTES, TOO_LONG
from commentary_llm.ends.stadium_track import moments
from commentary_llm.ground.errors import InputError
from commentary_llm.match import MatchEvent, MatchInfo
from commentary_llm.match.feeds.jsonl import EventLines
from commentary_llm.match.match import Arrival
from commentary_llm.session.events import CueEnded, WhenFull
from commentary_llm.session.handle import CueHandle

_MAX_ANSWERS_DUE = 4096  # cues in flight are far fewer: the bound is for a tracker that never stops


class Answers:
    """Sends the record of a cue, once final, to whoever sent its event. A `Sink`."""

    name = "answers"
    kinds = (CueEnded,)
    capacity = 1000
    when_full = WhenFull.DROP_OLDEST

    def __init__(self, match_id: str) -> None:
        self._match_id = match_id
        self._due: dict[str, tuple[int, Reply]] = {}

    def expect(self, event_id: str, number: int, reply: Reply) -> bool:
        """Notes whom to answer; False when an answer for that event is due already, or far too many are."""
        if event_id in self._due or len(self._due) >= _MAX_ANSWERS_DUE:
            return False
        self._due[event_id] = (number, reply)
        return True

    def forget(self, event_id: str) -> None:
        self._due.pop(event_id, None)

    def start(self, opening: Opening) -> None:
        pass

    def take(self, event: EndsEvent) -> None:
        if not isinstance(event, CueEnded):
            return
        record = event.record
        number, reply = self._due.pop(record.event_id, (0, None))
        if reply is not None:
            reply(
                {
                    "match_id": self._match_id,
                    "line": number,
                    "event_id": record.event_id,
                    "status": "spoken" if record.text else "dropped",
                    "record": record.model_dump(mode="json"),
                }
            )

    async def stop(self, closing: Closing) -> None:
        pass


class Submits(Protocol):
    """What the desk needs of a session."""

    def submit(self, event: MatchEvent, *, stream_s: float | None = None) -> CueHandle: ...


class EventDesk:
    """Reads lines, submits their events and answers. Used on the ends' loop alone; what it keeps is small.

    Each line but a blank one is answered once at once:

        {"match_id": …, "line": 3, "event_id": "e7", "status": "accepted"}                 words may follow
        {"match_id": …, "line": 3, "event_id": "e7", "status": "accepted", "silent": why}  taken, nothing will be said
        {"match_id": …, "line": 3, "event_id": "e7", "status": "duplicate"}
        {"match_id": …, "line": 3, "status": "refused", "reason": "line 3: field team: …"}

    and an accepted one again when its words are final, with the cue's record ("spoken", or "dropped" with the cause):

        {"match_id": …, "line": 3, "event_id": "e7", "status": "spoken", "record": {…}}
    """

    def __init__(
        self,
        session: Submits,
        info: MatchInfo,
        answers: Answers,
        now_s: Callable[[], float],
        complain: Callable[[str], None],
    ) -> None:
        """`complain` is told of each refused line, for the operator."""
        self.match_id = info.id
        self._session = session
        self._lines = EventLines(info)
        self._answers = answers
        self._now_s = now_s
        self._complain = complain
        self.counts: Counter[str] = Counter()  # by status
        self.moments: list[Moment] = []  # of accepted events, in stream time: what a crowd would answer

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
            handle = self._session.submit(event, stream_s=at_s)
        except InputError as error:
            if expected:
                self._answers.forget(event.event_id)
            self._refuse(place, f"line {number}: {error}", number, event.event_id, reply)
            return
        answer = self._answer(number, event.event_id, "accepted")
        if handle.skipped == Arrival.DUPLICATE.value:
            answer["status"] = "duplicate"
        elif handle.skipped is not None:
            answer["silent"] = handle.skipped
        if handle.skipped is not None and expected:
            self._answers.forget(event.event_id)
        self.counts[str(answer["status"])] += 1
        if answer["status"] == "accepted":
            self.moments += moments([event], lambda event: at_s)
        reply(answer)

    def _refuse(self, place: str, reason: str, number: int, event_id: str | None, reply: Reply) -> None:
        self.counts["refused"] += 1
        self._complain(place + reason)
        reply({**self._answer(number, event_id, "refused"), "reason": reason})

    def _answer(self, number: int, event_id: str | None, status: str) -> dict[str, object]:
        named: dict[str, object] = {} if event_id is None else {"event_id": event_id}
        return {"match_id": self.match_id, "line": number, **named, "status": status}
