"""A match's sinks: each takes what the session tells, on the loop, and none harms another."""

from __future__ import annotations

import gc
import json
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from commentary_llm.ends.contract import (
    AirBlock,
    ClauseOffAir,
    ClauseOnAir,
    Closing,
    Ending,
    EndsEvent,
    HandedOver,
    Opening,
)
from commentary_llm.ends.loop import EndsLoop
from commentary_llm.ends.match_ends import MatchEnds
from commentary_llm.ends.outputs import MatchFiles
from commentary_llm.ends.registry import SinkSetting
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.errors import OutputError
from commentary_llm.session.events import (
    CueEnded,
    EventStream,
    SegmentHeard,
    SegmentPlaced,
    SessionClosed,
    SessionFailed,
    WhenFull,
)
from commentary_llm.session.record import CueRecord
from commentary_llm.session.timeline import Segment

RATE = 22_050
OPENING = Opening("small", "Northport v Eastvale", RATE, 0.0)


class Gathering:
    """A sink that keeps what it takes."""

    def __init__(
        self,
        kinds: tuple[type, ...] = (CueEnded, SessionClosed),
        capacity: int = 1000,
        when_full: WhenFull = WhenFull.END,
        fails_at: int | None = None,
        error: Exception | None = None,
    ) -> None:
        self.name, self.kinds, self.capacity, self.when_full = "gathering", kinds, capacity, when_full
        self.taken: list[EndsEvent] = []
        self.threads: set[str] = set()
        self.stopped = False
        self._fails_at, self._error = fails_at, error or OutputError("gathering: the disk is full")

    def start(self, opening: Opening) -> None:
        self.threads.add(threading.current_thread().name)

    def take(self, event: EndsEvent) -> None:
        self.threads.add(threading.current_thread().name)
        self.taken.append(event)
        if len(self.taken) == self._fails_at:
            raise self._error

    async def stop(self, closing: Closing) -> None:
        self.stopped = True
        self.threads.add(threading.current_thread().name)


def record(event_id: str, start_s: float | None = None, end_s: float | None = None) -> CueRecord:
    return CueRecord(
        event_id=event_id,
        event_type="goal",
        period=1,
        minute="23",
        team="Northport",
        player="Emil Hart",
        urgency="urgent",
        reason="goal",
        text=f"Line {event_id}.",
        source="model",
        source_reason="",
        score="1-0",
        stream_s=start_s or 0.0,
        start_s=start_s,
        end_s=end_s,
        timings_ms={},
    )


def ended(event_id: str, start_s: float | None = None, end_s: float | None = None) -> CueEnded:
    return CueEnded("small", record(event_id, start_s, end_s))


def speech(event_id: str, start_s: float, seconds: float = 1.0) -> Segment:
    segment = Segment(event_id, f"Line {event_id}.", start_s, RATE)
    segment.chunks = [np.random.default_rng(1).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)]
    segment.samples = len(segment.chunks[0])
    segment.complete = True
    return segment


def wait_for(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.005)


def started(loop: EndsLoop, *sinks: object, live: bool = False) -> tuple[MatchEnds, EventStream, list[str]]:
    complaints: list[str] = []
    ends, events = MatchEnds(loop, sinks, complaints.append), EventStream()  # type: ignore[arg-type]
    ends.start(events, OPENING, StreamClock(), live=live)
    return ends, events, complaints


def test_sinks_are_called_on_the_loop_alone_in_the_order_of_the_events(loop: EndsLoop) -> None:
    sink = Gathering()
    ends, events, complaints = started(loop, sink)
    told = [ended(str(number)) for number in range(500)]
    for event in told:
        events.publish(event)
    events.publish(SessionClosed("small"))
    ends.close(Closing())
    assert sink.taken == [*told, SessionClosed("small")]
    assert sink.threads == {"ends"}
    assert sink.stopped
    assert not complaints


@pytest.mark.parametrize("error", [OutputError("gathering: the disk is full"), ZeroDivisionError("of ours")])
def test_a_sink_that_fails_is_told_at_once_and_the_others_go_on(loop: EndsLoop, error: Exception) -> None:
    failing, whole = Gathering(fails_at=2, error=error), Gathering()
    ends, events, complaints = started(loop, failing, whole)
    for number in range(5):
        events.publish(ended(str(number)))
    wait_for(lambda: bool(complaints))
    assert str(error) in complaints[0]
    assert "goes on without" in complaints[0]
    events.publish(SessionClosed("small"))
    ends.close(Closing())
    assert len(failing.taken) == 2
    assert failing.stopped
    assert len(whole.taken) == 6
    assert str(error) in str(ends.error)
    assert len(complaints) == 1


def test_a_sink_that_must_be_whole_fails_when_it_falls_too_far_behind(loop: EndsLoop) -> None:
    strict, lenient = Gathering(capacity=3), Gathering(capacity=3, when_full=WhenFull.DROP_OLDEST)
    ends, events, complaints = started(loop, strict, lenient)
    go, held = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        go.wait(20)

    loop.post(hold)
    assert held.wait(20)
    started_at = time.monotonic()
    for number in range(10):
        events.publish(ended(str(number)))
    assert time.monotonic() - started_at < 10  # publishing does not wait for a loop that stands still
    go.set()
    ends.close(Closing())
    assert "3 events were waiting" in complaints[0]
    assert ends.error is not None
    assert [event.record.event_id for event in lenient.taken] == ["7", "8", "9"]  # type: ignore[union-attr]


def test_what_is_played_goes_to_those_who_want_it_and_names_its_hand_over(loop: EndsLoop) -> None:
    air = Gathering(kinds=(ClauseOnAir, ClauseOffAir, HandedOver))
    stream, other = Gathering(kinds=(AirBlock,)), Gathering()
    ends, events, _ = started(loop, air, stream, other, live=True)
    before_ns = time.perf_counter_ns()
    events.publish(SegmentPlaced("small", speech("g", 0.0, seconds=0.1)))
    assert ends.play_out(20)
    ends.stop_player()
    ends.close(Closing())
    assert [type(event) for event in air.taken] == [ClauseOnAir, HandedOver, ClauseOffAir]
    handed = air.taken[1]
    assert isinstance(handed, HandedOver)
    assert (handed.match_id, handed.event_id) == ("small", "g")
    assert before_ns < handed.at_perf_ns < time.perf_counter_ns()
    assert stream.taken
    assert all(isinstance(event, AirBlock) for event in stream.taken)
    assert not other.taken


def test_files_of_a_match_are_on_one_timeline_and_hold_no_speech_meanwhile(loop: EndsLoop, tmp_path: Path) -> None:
    """Defect: all speech stayed in memory until the end."""
    files = MatchFiles(tmp_path, SinkSetting("small"))
    ends, events, complaints = started(loop, *files.sinks)
    alive = []
    for number in range(40):
        segment = speech(str(number), start_s=10.0 * number)
        alive.append(weakref.ref(segment))
        events.publish(SegmentHeard("small", segment))
        events.publish(ended(str(number), segment.start_s, segment.end_s))
        del segment
    loop.call(lambda: None)

    def gone() -> bool:
        gc.collect()
        return not any(reference() for reference in alive)

    wait_for(gone)
    journal = (tmp_path / "commentary.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["start_s"] for line in journal] == [10.0 * number for number in range(40)]
    events.publish(SessionClosed("small"))
    ends.close(Closing())
    ends.finish(Ending("Northport 1-0 Eastvale", 400.0))
    assert not complaints
    assert [each.start_s for each in files.records] == [1.0 + 3.0 * number for number in range(40)]
    assert files.mix.duration_s == pytest.approx(1.0 + 39 * 3.0 + 1.0 + 2.0)
    assert files.mix.integrated_lufs == pytest.approx(-23, abs=0.5)
    assert soundfile.info(tmp_path / "commentary.wav").duration == files.mix.duration_s
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captions.vtt", "commentary.jsonl", "commentary.wav"]


def test_a_full_disk_costs_the_sound_alone(loop: EndsLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = MatchFiles(tmp_path, SinkSetting("small", full_timeline=True))
    ends, events, complaints = started(loop, *files.sinks)

    def full(mixer: object, file: object, samples: np.ndarray) -> None:
        raise OutputError("cannot keep the mix: no space left; free some space and run again")

    monkeypatch.setattr("asr_tts.audio.mixer.Mixer._store", full)
    for number in range(3):
        segment = speech(str(number), start_s=10.0 * number)
        events.publish(SegmentHeard("small", segment))
        events.publish(ended(str(number), segment.start_s, segment.end_s))
    events.publish(SessionFailed("small", OutputError("x")))
    events.publish(SessionClosed("small"))
    ends.close(Closing())
    assert "free some space" in complaints[0]
    with pytest.raises(OutputError, match="free some space"):
        ends.finish(Ending("Northport 1-0 Eastvale", 30.0))
    assert len(files.records) == 3
    assert "Line 2." in (tmp_path / "captions.vtt").read_text(encoding="utf-8")
    assert not (tmp_path / "commentary.wav").exists()
