"""Several matches on one station, with scripted models: none touches another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from session_fakes import ScriptedGenerator, ScriptedHandle, ScriptedSpeech, ScriptedSynthesizer

from asr_tts.interfaces import SpeechStyle
from asr_tts.synthesizer.clips import ClipCache
from commentary_llm.generation import GenerationRequest
from commentary_llm.ground.errors import BusyError, ConfigError, EngineError, InputError, RankLostError
from commentary_llm.match import EventType, MatchEvent, MatchInfo, Player, Team
from commentary_llm.session.events import CueEnded, EventTaken, SessionClosed, SessionFailed
from commentary_llm.session.record import CueRecord
from commentary_llm.session.session import Session
from commentary_llm.settings import MatchConfig, StationConfig
from commentary_llm.station import Station

WAIT_S = 20.0


def match_info(number: int) -> MatchInfo:
    """A match of its own: no word of its names is in another one's."""
    letters = "bcdfghklmnprstvz"[number % 16]

    def team(side: str, vowel: str) -> Team:
        players = tuple(
            Player(
                id=f"{side}{shirt}",
                name=f"{letters.upper()}{vowel}n{'aeiou'[shirt % 5]} {letters.upper()}{vowel}r{'aeiou'[shirt % 5]}"
                f"{'bdgklmnprstz'[shirt]}a",
                shirt=shirt,
                starter=True,
                position="Goalkeeper" if shirt == 1 else None,
            )
            for shirt in range(1, 12)
        )
        return Team(id=side, name=f"{letters.upper()}{vowel}lt{vowel}n", players=players)

    return MatchInfo(id=f"match-{number}", home=team("h", "a"), away=team("a", "o"), competition="Cup")


def goal(event_id: str, elapsed_s: float, player: str = "h9") -> MatchEvent:
    return MatchEvent(
        event_id=event_id, type=EventType.GOAL, period=1, elapsed_s=elapsed_s, team=player[0], player=player
    )


class Counting(ScriptedSynthesizer):
    """Notes what is spoken at leisure: openers."""

    def __init__(self) -> None:
        self.leisure: list[str] = []

    def speak(self, text: str, style: SpeechStyle = SpeechStyle(), *, at_leisure: bool = False) -> ScriptedSpeech:  # noqa: B008
        if at_leisure:
            self.leisure.append(text)
        return ScriptedSpeech(text)


MakeStation = Callable[..., Station]


@pytest.fixture
def make_station() -> Iterator[MakeStation]:
    made: list[Station] = []

    def make(
        generator: ScriptedGenerator | None = None,
        synthesizer: ScriptedSynthesizer | None = None,
        clips: ClipCache | None = None,
        max_batch: int = 8,
        **config: int,
    ) -> Station:
        station = Station(
            StationConfig(llm={"max_batch": max_batch}, **config),
            generator or ScriptedGenerator(),
            synthesizer or ScriptedSynthesizer(),
            clips=clips,
        )
        made.append(station)
        return station

    yield make
    for station in made:
        station.close(drain_s=0.0)


def open_match(station: Station, number: int, **options: object) -> Session:
    return station.open(MatchConfig(info=match_info(number), prepare=False, candidates=2), **options)  # type: ignore[arg-type]


def record_of(session: Session, event: MatchEvent) -> CueRecord:
    record = session.submit(event).result(WAIT_S)
    assert record is not None
    return record


def test_the_number_of_threads_does_not_depend_on_the_number_of_matches(make_station: MakeStation) -> None:
    station = make_station()
    open_match(station, 0)
    before = threading.active_count()
    sessions = [open_match(station, number) for number in range(1, 16)]
    for session in sessions:
        record_of(session, goal("g", 60.0))
    assert threading.active_count() == before


def test_a_match_hears_nothing_of_another(make_station: MakeStation) -> None:
    station = make_station()
    sessions = [open_match(station, number) for number in range(4)]
    streams = [session.events.subscribe("all") for session in sessions]
    for minute in range(1, 6):
        handles = [session.submit(goal(f"g{minute}", 60.0 * minute)) for session in sessions]
        for handle in handles:
            assert handle.result(WAIT_S) is not None
    for session in sessions:
        session.close()
    for number, stream in enumerate(streams):
        events = stream.take_all()
        assert {event.match_id for event in events} == {f"match-{number}"}
        said = " ".join(event.record.text for event in events if isinstance(event, CueEnded)).lower()
        names = [
            {word for team in (info.home, info.away) for player in team.players for word in player.name.lower().split()}
            for info in map(match_info, range(4))
        ]
        assert any(name in said for name in names[number])
        assert not any(name in said for other in range(4) if other != number for name in names[other])
        assert isinstance(events[-1], SessionClosed)
        assert sum(isinstance(event, EventTaken) for event in events) == 5


def test_what_is_wrong_with_one_match_leaves_the_others_alone(make_station: MakeStation) -> None:
    class Unspeakable(ScriptedSynthesizer):
        def speak(self, text: str, style: SpeechStyle = SpeechStyle(), *, at_leisure: bool = False) -> ScriptedSpeech:  # noqa: B008
            if "Bo" in text or "Ba" in text:
                raise InputError(f"nothing to say in {text!r}")
            return ScriptedSpeech(text)

    station = make_station(synthesizer=Unspeakable())
    broken, whole = open_match(station, 0), open_match(station, 1)
    failures = broken.events.subscribe("failures", kinds=[SessionFailed])
    with pytest.raises(InputError, match="nothing to say"):
        broken.submit(goal("g", 60.0)).result(WAIT_S)
    failed = failures.take(WAIT_S)
    assert isinstance(failed, SessionFailed)
    with pytest.raises(InputError, match="nothing to say"):
        broken.submit(goal("g2", 120.0))
    assert record_of(whole, goal("g", 60.0)).text
    broken.close()
    assert [session.match_id for session in station.sessions()] == ["match-1"]
    assert record_of(whole, goal("g2", 120.0)).score == "2-0"


def test_a_match_may_be_closed_and_opened_again_while_another_runs(make_station: MakeStation) -> None:
    station = make_station()
    first, other = open_match(station, 0), open_match(station, 1)
    record_of(first, goal("g", 60.0))
    with pytest.raises(ConfigError, match=r"match-0.*open already"):
        open_match(station, 0)
    first.close()
    with pytest.raises(EngineError, match="closed"):
        first.submit(goal("g2", 120.0))
    again = open_match(station, 0)
    assert record_of(again, goal("g", 60.0)).score == "1-0"
    assert record_of(other, goal("g", 60.0)).score == "1-0"


class Scripted(ScriptedGenerator):
    """Fails or holds what it is asked, once told to."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.go = threading.Event()
        self.go.set()
        self.asked = 0
        self._lock = threading.Lock()
        self.at_once = self.most_at_once = 0

    def submit(self, request: GenerationRequest) -> ScriptedHandle:
        if self.error is not None:
            raise self.error
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        assert self.go.wait(WAIT_S)
        with self._lock:
            self.at_once -= 1
        return super().submit(request)


def test_a_lost_model_ends_every_match(make_station: MakeStation) -> None:
    generator = Scripted()
    station = make_station(generator)
    sessions = [open_match(station, number) for number in range(3)]
    failures = [session.events.subscribe("failures", kinds=[SessionFailed]) for session in sessions]
    generator.error = RankLostError("rank 1 (host, pid 7) no longer answers")
    with pytest.raises(EngineError, match="rank 1"):
        sessions[0].submit(goal("g", 60.0)).result(WAIT_S)
    assert all(isinstance(stream.take(WAIT_S), SessionFailed) for stream in failures)
    with pytest.raises(EngineError, match="rank 1"):
        open_match(station, 7)


def test_a_model_without_room_is_not_broken(make_station: MakeStation) -> None:
    generator = Scripted()
    station = make_station(generator)
    session = open_match(station, 0)
    generator.error = BusyError("64 requests are waiting, no more are taken")
    record = record_of(session, goal("g", 60.0))
    assert (record.source, record.source_reason) == ("template", "the language model has no room")
    generator.error = None
    generator.scripts = [["They lead one-nil!", ""]]
    assert record_of(session, goal("g2", 3000.0)).source in ("model", "template")


def test_lines_of_several_matches_are_written_at_once_but_never_two_of_one(make_station: MakeStation) -> None:
    generator = Scripted()
    station = make_station(generator, writers=3)
    sessions = [open_match(station, number) for number in range(5)]
    generator.most_at_once = 0
    generator.go.clear()
    handles = [session.submit(goal("g", 60.0)) for session in sessions[:2]]
    handles += [sessions[0].submit(goal("g2", 61.0))]
    deadline = time.monotonic() + WAIT_S
    while generator.at_once < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    assert generator.at_once == 2  # the first match's second goal waits for its first
    handles += [session.submit(goal("g", 60.0)) for session in sessions[2:]]
    while generator.at_once < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    assert generator.at_once == 3  # as many as there are writers
    generator.go.set()
    assert all(handle.result(WAIT_S) for handle in handles)


def test_candidates_share_the_room_there_is(make_station: MakeStation) -> None:
    generator = Scripted()
    station = make_station(generator, writers=4, max_batch=8)
    sessions = [station.open(MatchConfig(info=match_info(n), prepare=False, candidates=5)) for n in range(4)]
    record_of(sessions[0], goal("g", 60.0))
    assert generator.requests[-1].sampling.candidates == 5
    generator.go.clear()
    handles = [session.submit(goal("g2", 120.0)) for session in sessions]
    generator.go.set()
    assert all(handle.result(WAIT_S) for handle in handles)
    assert 1 <= min(request.sampling.candidates for request in generator.requests[-4:]) <= 5


def test_openers_are_made_in_the_background_and_shared_by_sentence(make_station: MakeStation, tmp_path: Path) -> None:
    voice = Counting()
    station = make_station(synthesizer=voice, clips=ClipCache(tmp_path))
    first = station.open(MatchConfig(info=match_info(0)))
    second = station.open(MatchConfig(info=match_info(1)))
    deadline = time.monotonic() + 60
    while None in (station.openers_ready_s(first.match_id), station.openers_ready_s(second.match_id)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(voice.leisure) > 100
    spoken = len(voice.leisure)
    second.close()
    again = station.open(MatchConfig(info=match_info(1)), wait_for_openers=True)
    assert len(voice.leisure) == spoken  # kept from before
    assert record_of(again, goal("g", 60.0)).opener


def test_a_line_without_a_ready_opener_begins_with_its_first_clause(make_station: MakeStation) -> None:
    class Slow(ScriptedSynthesizer):
        def __init__(self) -> None:
            self.go = threading.Event()

        def speak(self, text: str, style: SpeechStyle = SpeechStyle(), *, at_leisure: bool = False) -> ScriptedSpeech:  # noqa: B008
            if at_leisure:
                self.go.wait(WAIT_S)
            return ScriptedSpeech(text)

    voice = Slow()
    station = make_station(synthesizer=voice)
    session = station.open(MatchConfig(info=match_info(0)))
    record = record_of(session, goal("g", 60.0))
    assert (record.opener, record.source) == ("", "template")
    voice.go.set()


def test_an_event_that_fits_later_is_told(make_station: MakeStation) -> None:
    session = open_match(make_station(), 0)
    told = session.events.subscribe("told", kinds=[CueEnded])
    second = MatchEvent.model_validate({**goal("second", 100.0).model_dump(), "score": {"home": 2, "away": 0}})
    with pytest.raises(InputError, match="claims the score 2-0"):
        session.submit(second)
    assert record_of(session, goal("first", 50.0)).text
    assert session.wait_idle(WAIT_S)
    session.close()
    records = [event.record for event in told.take_all() if isinstance(event, CueEnded)]
    assert {record.event_id for record in records if record.text} == {"first", "second"}
    assert session.metrics.of("events")["recovered"] == 1
    assert session.match.state.score.home == 2
