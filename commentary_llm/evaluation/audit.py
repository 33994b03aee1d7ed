"""An auditor of spoken lines that shares nothing with the fact gate.

It keeps its own book of the match (`ledger`), reads each finished line anew (`reading`) and looks for statements that
the events contradict. It errs on the side of flagging: what it calls certain is a contradiction by its own book, what
it calls doubtful can neither be confirmed nor denied from the events.
"""

from __future__ import annotations

from collections.abc import Iterator

from commentary_llm.evaluation.claims_card import card_claims
from commentary_llm.evaluation.claims_count import count_claims
from commentary_llm.evaluation.claims_event import event_claims
from commentary_llm.evaluation.claims_manner import manner_claims
from commentary_llm.evaluation.claims_roles import role_claims
from commentary_llm.evaluation.claims_score import score_claims
from commentary_llm.evaluation.claims_side import side_claims
from commentary_llm.evaluation.claims_time import time_claims
from commentary_llm.evaluation.finding import Certainty, Finding, doubt
from commentary_llm.evaluation.ledger import Moment, moments, players_of
from commentary_llm.evaluation.reading import NameFinder, Reading, read_line
from commentary_llm.ground.errors import InputError
from commentary_llm.match.events import EventType
from commentary_llm.match.feeds import Recording
from commentary_llm.session.record import CueRecord

__all__ = ["Certainty", "Finding", "MatchAuditor"]

_CLAIMS = (score_claims, count_claims, time_claims, event_claims, manner_claims, card_claims, role_claims, side_claims)


class MatchAuditor:
    """Checks the spoken lines of one match against its raw events. Keeps no state between lines."""

    def __init__(self, recording: Recording) -> None:
        self._moments = moments(recording)
        self._finder = NameFinder(recording.info)

    def audit(self, record: CueRecord) -> list[Finding]:
        """What is wrong, or cannot be confirmed, in the text of `record`; nothing for a line that was not spoken.

        Raises InputError if the record's event is not in the recording.
        """
        return self.audit_text(record.text, record.event_id) if record.text else []

    def audit_text(self, text: str, event_id: str) -> list[Finding]:
        """The same for words said right after an event."""
        moment = self._moments.get(event_id)
        if moment is None:
            raise InputError(
                f"event {event_id!r} is not among the {len(self._moments)} events of {moment_title(self._moments)}; "
                "audit a line with the recording it was spoken for"
            )
        reading = read_line(text, moment, self._finder)
        found = [finding for claims in (_names, *_CLAIMS) for finding in claims(reading, moment)]
        return list(dict.fromkeys(found))


def moment_title(known: dict[str, Moment]) -> str:
    first = next(iter(known.values()), None)
    return f"{first.info.home.name} against {first.info.away.name}" if first else "an empty recording"


def _names(reading: Reading, moment: Moment) -> Iterator[Finding]:
    for word in reading.unknown:
        yield Finding("name", f"{word!r} is nobody of this match")
    for word in reading.suspect:
        yield doubt("name", f"{word!r} looks like a name and is nobody of this match")
    for word in reading.ambiguous:
        yield doubt("name", f"{word!r} may be either of two on the pitch")
    near = moment.involved() | moment.involved_recently() | _keepers(moment)
    near |= frozenset(player for event in moment.soon for player in players_of(event))
    on_pitch = frozenset().union(*moment.on_pitch.values())
    for player in reading.players:
        if player in near:
            continue
        if moment.event.type in (EventType.PERIOD_END, EventType.PERIOD_START, EventType.MATCH_END):
            yield doubt("player", f"{player!r} has no part in the events just before")
        elif player not in on_pitch:
            yield Finding("player", f"{player!r} is not on the pitch")
        else:
            yield Finding("player", f"{player!r} has no part in this event or those just before")


def _keepers(moment: Moment) -> frozenset[str]:
    """The keeper who faces an attempt may be named even where the feed leaves him out."""
    keepers = (moment.keeper_of(side) for side in moment.on_pitch)
    return (
        frozenset(keeper for keeper in keepers if keeper is not None)
        if moment.event.type in _KEEPER_EVENTS
        else frozenset()
    )


_KEEPER_EVENTS = frozenset(
    {EventType.GOAL, EventType.SHOT, EventType.OWN_GOAL, EventType.SAVE, EventType.PENALTY_AWARDED}
)
