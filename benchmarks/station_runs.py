"""Matches on a station, measured while they run: what opens them, listens to them and looks at the process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from rich.console import Console

from benchmarks.feeds import Feed
from benchmarks.figures import CueSeen, beside, figures
from benchmarks.harness import cpu_seconds, idle_probe, inside_probe, memory_mb, thread_count
from benchmarks.listener import Listening
from benchmarks.load import LoadGenerator, OnAirMatch, seen
from commentary_llm.ends.contract import Closing, Opening
from commentary_llm.ends.loop import EndsLoop
from commentary_llm.ends.match_ends import MatchEnds
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.errors import CommentaryError
from commentary_llm.settings import MatchConfig, MatchSettings
from commentary_llm.station import Station

log = logging.getLogger(__name__)

_DRAIN_S = 20.0  # for lines that are still being said when the feeds end
_NOISY = 0.01  # share of late wakes of an idle process
LEAST_MINUTES = 0.5
_LOOK_S = 0.1
_OWN_THREADS = ("probe", "opening")  # names of the benchmark's own threads


def match_config(settings: MatchSettings, feed: Feed, number: int) -> MatchConfig:
    """What a feed's match is opened with: draws of its own."""
    return MatchConfig(info=feed.info, **{**settings.model_dump(), "seed": settings.seed + number})


def open_match(station: Station, loop: EndsLoop, settings: MatchSettings, feed: Feed, number: int) -> OnAirMatch:
    """Opens a match on the station, with a listener to its live stream."""
    clock, rate_hz = StreamClock(), station.synthesizer.sample_rate_hz
    listening = Listening(rate_hz)
    ends = MatchEnds(loop, [listening], log.warning)
    session = station.open(match_config(settings, feed, number), clock=clock, subscribers=(listening,))
    opening = Opening(feed.info.id, f"{feed.info.home.name} v {feed.info.away.name}", rate_hz, clock.now_s())
    ends.start(session.events, opening, clock, live=True)

    def close() -> None:
        session.close(drain_s=_DRAIN_S)
        ends.play_out(_DRAIN_S)
        ends.close(Closing())

    return OnAirMatch(session.submit, listening, close)


@dataclass
class StationRuns:
    """Runs of one station with different numbers of matches."""

    station: Station
    loop: EndsLoop
    settings: MatchSettings  # of every match
    pids: Sequence[int]  # of the ranks
    console: Console
    quiet_s: float = 10.0  # of a run before another match opens
    voiced: int = 0  # feeds whose openers have been spoken once

    def measure(self, feeds: Sequence[Feed], minutes: float, attempts: int) -> dict[str, Any]:
        """All figures of a run with these matches; again, while the machine was noisy and attempts are left."""
        noisy: list[float] = []
        while True:
            found = self._run(feeds, minutes)
            if found["probe"]["late_share"] <= _NOISY or len(noisy) + 1 >= attempts:
                return {**found, "repeated_after_late_shares": noisy}
            noisy.append(found["probe"]["late_share"])
            self.console.print(f"an idle process woke late in {noisy[-1]:.1%} of cases: once more", highlight=False)

    def _open(self, feeds: Sequence[Feed]) -> list[OnAirMatch]:
        """All of them on the air, the sound of their openers ready."""
        while self.voiced < len(feeds):
            self.console.print(f"voicing the openers of match {self.voiced + 1}")
            config = match_config(self.settings, feeds[self.voiced], self.voiced)
            self.station.open(config, wait_for_openers=True).close()
            self.voiced += 1
        matches = [
            open_match(self.station, self.loop, self.settings, feed, number) for number, feed in enumerate(feeds)
        ]
        while any(self.station.openers_ready_s(feed.info.id) is None for feed in feeds):
            time.sleep(_LOOK_S)
        return matches

    def _run(self, feeds: Sequence[Feed], minutes: float) -> dict[str, Any]:
        matches, load, threads = self._open(feeds), LoadGenerator(), []
        for number, (match, feed) in enumerate(zip(matches, feeds, strict=True)):
            load.add(number, match, feed)
        self.console.print(f"{len(feeds)} at once for {minutes:g} minutes")
        cpu_s = [cpu_seconds(pid) for pid in self.pids]
        with idle_probe() as probe, inside_probe() as inside:
            load.run(minutes * 60, at_half=lambda: threads.append(_station_threads()))
        used = [_rate(cpu_seconds(pid), before_s, minutes * 60) for pid, before_s in zip(self.pids, cpu_s, strict=True)]
        memory = [memory_mb(pid) for pid in self.pids]
        cues = self._close(matches, load)
        return {
            **figures(cues, minutes * 60),
            "threads": threads[0],
            "memory_mb_by_rank": [found["rss"] if found is not None else None for found in memory],
            "memory_by_rank": memory,
            "cores_used_by_rank": used,
            "probe": probe.as_figures(),
            "probe_inside": inside.as_figures(),
            "load_generator": load.figures(),
        }

    def open_beside(self, feeds: Sequence[Feed], another: Feed, minutes: float) -> dict[str, Any]:
        """What it does to `feeds`, on the air, that another match opens whose sound nobody has made yet.

        Ends when all of that sound is there, after `minutes` at the latest.
        """
        matches, load = self._open(feeds), LoadGenerator()
        for number, (match, feed) in enumerate(zip(matches, feeds, strict=True)):
            load.add(number, match, feed)
        self.console.print(f"one more opens beside {len(feeds)}, {minutes:g} minutes at most")
        stop = threading.Event()
        opened_s: list[float] = []  # asked for, may begin
        failed: list[CommentaryError] = []

        def open_another() -> None:
            if stop.wait(self.quiet_s):
                return
            opened_s.append(perf_counter())
            try:
                match = open_match(self.station, self.loop, self.settings, another, len(feeds))
            except CommentaryError as error:
                failed.append(error)
                return
            opened_s.append(perf_counter())
            matches.append(match)
            load.add(len(feeds), match, another)

        opening = threading.Thread(target=open_another, name="opening")
        opening.start()
        try:
            load.run(minutes * 60, done=lambda: self.station.openers_ready_s(another.info.id) is not None)
        finally:
            stop.set()
            opening.join()
        if failed:
            raise failed[0]
        ended_s, ready_s = perf_counter(), self.station.openers_ready_s(another.info.id)
        until_s = ended_s if ready_s is None else opened_s[0] + ready_s
        cues = self._close(matches, load)
        return {
            "matches_on_air": len(feeds),
            "may_begin_s": round(opened_s[1] - opened_s[0], 3),
            "openers_complete_s": None if ready_s is None else round(ready_s, 1),
            "others": beside(cues, len(feeds), opened_s[0], until_s),
            "opened": figures([cue for cue in cues if cue.match == len(feeds)], ended_s - opened_s[0]),
        }

    @staticmethod
    def _close(matches: Sequence[OnAirMatch], load: LoadGenerator) -> list[CueSeen]:
        for match in matches:
            match.close()
        return [seen(sent, matches[sent.match].listening) for sent in load.sent]


def _station_threads() -> int:
    """Threads of this process that are not the benchmark's own."""
    own = sum(thread.name in _OWN_THREADS for thread in threading.enumerate())
    return thread_count() - own


def _rate(after_s: float | None, before_s: float | None, seconds: float) -> float | None:
    return None if after_s is None or before_s is None else round((after_s - before_s) / seconds, 3)
