"""Two matches on one station with the real models: each comes out as it does alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from unittest import mock

import pytest

from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.errors import InputError
from commentary_llm.match import CardType, EventType, MatchEvent, MatchInfo, Player, ShotOutcome, Team
from commentary_llm.session.events import CueEnded, EventTaken, SessionEvent
from commentary_llm.session.record import CueRecord
from commentary_llm.session.session import Session
from commentary_llm.settings import MatchConfig, StationConfig
from commentary_llm.station import Station

pytestmark = pytest.mark.models
WAIT_S = 120.0


def _other_match() -> MatchInfo:
    """No name in common with `small_match`."""

    def team(team_id: str, name: str, players: str) -> Team:
        return Team(
            id=team_id,
            name=name,
            players=tuple(
                Player(id=f"{team_id}{shirt}", name=player, shirt=shirt)
                for shirt, player in enumerate(players.split(","), 1)
            ),
        )

    home = (
        "Odd Lunde,Per Skaug,Arne Vik,Stig Dahl,Nils Berge,Tor Haugen,Egil Moe,Leif Strand,Rolf Nes,Geir Lie,Ole Bakke"
    )
    away = "Pavel Horak,Jiri Dusek,Karel Pokor,Milan Cerny,Petr Zeman,Ota Kral,Vit Blaha,Radim Fiala,Jan Simek,Ivo Kos"
    return MatchInfo(id="other", home=team("h", "Fjellheim", home), away=team("a", "Zbraslav", away))


def _events(offset_s: float) -> list[MatchEvent]:
    def event(number: int, kind: EventType, elapsed_s: float, **fields: object) -> MatchEvent:
        return MatchEvent(event_id=f"e{number}", type=kind, period=1, elapsed_s=elapsed_s + offset_s, **fields)  # type: ignore[arg-type]

    return [
        MatchEvent(event_id="e0", type=EventType.PERIOD_START, period=1, elapsed_s=0.0),
        event(1, EventType.CORNER, 120.0, team="h", player="h7"),
        event(2, EventType.GOAL, 300.0, team="h", player="h9"),
        event(3, EventType.CARD, 500.0, team="a", player="a5", card=CardType.YELLOW),
        event(4, EventType.SHOT, 700.0, team="a", player="a9", outcome=ShotOutcome.OFF_TARGET),
        event(5, EventType.GOAL, 900.0, team="a", player="a10"),
    ]


@dataclass
class Kept:
    """Everything a session tells that should not depend on other matches."""

    taken: list[tuple[str, str | None]] = field(default_factory=list)
    records: list[CueRecord] = field(default_factory=list)

    def put(self, event: SessionEvent) -> None:
        if isinstance(event, EventTaken):
            self.taken.append((event.event.event_id, event.silent))
        elif isinstance(event, CueEnded):
            self.records.append(event.record)

    @property
    def lines(self) -> list[tuple[object, ...]]:
        return [
            (r.event_id, r.reason, r.score, r.source, r.text, r.opener, r.dropped, r.urgency)
            for r in sorted(self.records, key=lambda record: record.stream_s)
        ]


class Run:
    """One match on a clock of its own that stands still but for its events."""

    def __init__(self, station: Station, info: MatchInfo, offset_s: float) -> None:
        self.kept, self.now_s, self.events = Kept(), 0.0, _events(offset_s)
        config = MatchConfig(info=info, candidates=1, temperature=0.0)
        self.session: Session = station.open(
            config, clock=StreamClock(0.0, lambda: self.now_s), subscribers=[self.kept], wait_for_openers=True
        )

    def step(self, event: MatchEvent) -> None:
        self.now_s = event.elapsed_s
        self.session.submit(event)
        assert self.session.wait_idle(WAIT_S)

    def play(self) -> None:
        for event in self.events:
            self.step(event)
        self.session.close()


@pytest.fixture(scope="module")
def station() -> Iterator[Station]:
    # Time stands still for the writer: how fast the machine decodes must not show in the words.
    still = mock.patch("commentary_llm.session.writer.perf_counter", return_value=0.0)
    patience = mock.patch("commentary_llm.session.writer.TextBudget.of", return_value=WAIT_S)
    with still, patience, Station.start(StationConfig(llm={"backend": "torch"})) as started:
        yield started


@pytest.fixture(scope="module")
def alone(station: Station, small_match: MatchInfo) -> dict[str, Kept]:
    """Both matches, one after the other."""
    kept = {}
    for info, offset_s in ((small_match, 0.0), (_other_match(), 7.0)):
        run = Run(station, info, offset_s)
        run.play()
        kept[info.id] = run.kept
    return kept


def names_of(info: MatchInfo) -> set[str]:
    return {
        word.lower()
        for team in (info.home, info.away)
        for word in (team.name, *(p.name.split()[-1] for p in team.players))
    }


def test_each_of_two_matches_comes_out_as_it_does_alone(
    station: Station, small_match: MatchInfo, alone: dict[str, Kept]
) -> None:
    runs = [Run(station, small_match, 0.0), Run(station, _other_match(), 7.0)]
    threads = [threading.Thread(target=run.play) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    for run in runs:
        expected = alone[run.session.match_id]
        assert run.kept.taken == expected.taken
        assert run.kept.lines == expected.lines
        assert any(record.source == "model" for record in run.kept.records)
    mine, theirs = ({*names_of(info)} for info in (small_match, _other_match()))
    assert not mine & theirs
    for run, strangers in zip(runs, (theirs, mine), strict=True):
        said = " ".join(record.text for record in run.kept.records).lower()
        assert not any(name in said for name in strangers)


def test_what_happens_to_one_match_does_not_touch_the_other(
    station: Station, small_match: MatchInfo, alone: dict[str, Kept]
) -> None:
    """The other one gets bad input, is closed in the middle of a line, and opened again."""
    run, other = Run(station, small_match, 0.0), Run(station, _other_match(), 7.0)
    for number, event in enumerate(run.events):
        run.step(event)
        if number == 1:
            with pytest.raises(InputError):
                other.session.submit(
                    MatchEvent(event_id="x", type=EventType.GOAL, period=1, elapsed_s=9, player="nobody")
                )
        if number == 2:
            other.session.submit(other.events[0])
            other.session.submit(other.events[2])
            other.session.close(drain_s=0.0)
        if number == 3:
            other = Run(station, _other_match(), 7.0)
            other.play()
    run.session.close()
    assert run.kept.lines == alone[small_match.id].lines
    assert other.kept.lines == alone["other"].lines
