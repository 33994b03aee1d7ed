"""Live: events of a running match in, commentary out as it is spoken."""

from __future__ import annotations

import logging
import os
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from rich.console import Console

from asr_tts.audio.background import Background
from asr_tts.audio.crowd import CrowdNoise
from asr_tts.audio.live import SpooledSound
from commentary_llm.commands.runs import (
    BED_RATE_HZ,
    interruptible,
    prepared_on_rank_0,
    summary_of,
    title_of,
    uninterruptible,
)
from commentary_llm.ends.contract import Closing, Ending, Opening, Sink, Source
from commentary_llm.ends.desk import Answers, EventDesk
from commentary_llm.ends.loop import EndsLoop
from commentary_llm.ends.match_ends import MatchEnds
from commentary_llm.ends.outputs import REPORT, SOUND, MatchFiles
from commentary_llm.ends.registry import SinkSetting, open_sink, open_source
from commentary_llm.ends.stadium_sound import StadiumSound
from commentary_llm.engine import CommentaryEngine
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.errors import CommentaryError, ConfigError, ExitCode
from commentary_llm.match import MatchInfo
from commentary_llm.match.feeds.jsonl import read_jsonl
from commentary_llm.report.page import write_report
from commentary_llm.report.summary import print_summary
from commentary_llm.settings import EngineConfig, Settings

if TYPE_CHECKING:
    from mpi4py import MPI

log = logging.getLogger(__name__)

_DRAIN_S = 60.0
_STEP_S = 5.0
_WATCH_S = 0.2  # how soon the end of the events is noticed
_WARNINGS_WAITING = 1000  # for an operator's terminal that stands still


@dataclass(frozen=True)
class ServePlan:
    """Everything checked and opened before a model is loaded."""

    info: MatchInfo
    config: EngineConfig
    source: Source
    audio: str | None
    audio_rate_hz: int | None
    sinks: tuple[Sink, ...]  # beside the files in `out`
    out: Path
    setting: SinkSetting


def plan_serve(settings: Settings) -> ServePlan:
    """Checks all options and opens what can be opened. Raises ConfigError, InputError or OutputError."""
    args = settings.serve
    assert args.match_info is not None  # a required setting
    captions = args.captions if args.captions is not None else ("-" if args.pcm != "-" else None)
    if args.pcm == "-" and captions == "-":
        raise ConfigError("--pcm - and --captions - both go to standard output; give one of them a file or FIFO")
    if args.audio == "-" and args.events == "-":
        raise ConfigError("--audio - and --events - both read standard input; give one of them a FIFO or a port")
    if args.audio_rate is not None and args.audio is None:
        raise ConfigError(f"--audio-rate {args.audio_rate}: goes with --audio")
    recording = read_jsonl(args.match_info)
    config = settings.engine_config(recording.info, listen=args.audio is not None)
    setting = SinkSetting(recording.info.id, args.full_timeline)
    named = [f"{name}:{target}" for name, target in (("pcm", args.pcm), ("captions", captions)) if target is not None]
    return ServePlan(
        info=recording.info,
        config=config,
        sinks=tuple(open_sink(text, setting) for text in (*args.sink, *named)),
        source=open_source(args.events),
        audio=args.audio,
        audio_rate_hz=args.audio_rate,
        out=args.out,
        setting=setting,
    )


def run_serve(settings: Settings, comm: MPI.Comm | None) -> int:
    """Runs the `serve` command on every rank. Returns rank 0's exit code; raises CommentaryError there."""

    def prepare() -> tuple[ServePlan, MatchFiles]:
        plan = plan_serve(settings)
        return plan, MatchFiles(plan.out, plan.setting)

    prepared = prepared_on_rank_0(settings, comm, prepare)
    if prepared is None:
        return ExitCode.OK
    plan, files = prepared
    with interruptible(), EndsLoop() as loop:
        return _Live(plan, files, comm, loop).run()


class _Live:
    """One live run on rank 0."""

    def __init__(self, plan: ServePlan, files: MatchFiles, comm: MPI.Comm | None, loop: EndsLoop) -> None:
        self.plan = plan
        self.files = files
        self.comm = comm
        self.loop = loop
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.clock = StreamClock()
        self.answers = Answers(plan.info.id)
        # What went wrong on the loop or in the stadium; told from here, so that a terminal cannot hold them up.
        self.warnings: deque[str] = deque(maxlen=_WARNINGS_WAITING)
        self.ends = MatchEnds(loop, [*plan.sinks, *files.sinks, self.answers], self.warnings.append)
        self.spool: SpooledSound | None = None
        self._stage, self._step_due = "", 0.0
        self.started = perf_counter()
        self.started_at = datetime.now(timezone.utc).isoformat(timespec="seconds")

    def run(self) -> int:
        """Until the events end or a signal comes; then the files. Exit code 0 either way: a live run has no other end.

        Raises the engine's error, or a sink's, once the files hold what was said until then.
        """
        plan = self.plan
        engine = CommentaryEngine.start(plan.config, comm=self.comm, clock=self.clock, progress=self.step)
        failure: CommentaryError | None = None
        stadium: StadiumSound | None = None
        desk = EventDesk(
            engine, plan.info, self.answers, self.clock.now_s, lambda text: self.warnings.append(f"refused: {text}")
        )
        try:
            stopped = False
            try:
                stadium = self._listen(engine)
                self._begin(engine, desk)
                while not plan.source.ended():
                    engine.wait(_WATCH_S)
                    self._warn()
                self.say("no more events; finishing what is being said …")
                engine.wait_idle(_DRAIN_S)
                self.ends.play_out(_DRAIN_S)
            except KeyboardInterrupt:
                stopped = True
                self.say("stopping; what was said so far is being written …")
            except CommentaryError as error:
                failure = error
            with uninterruptible():
                self.loop.run(plan.source.stop())
                if stadium is not None:
                    stadium.stop()
                self.ends.stop_player()
                engine.drain(0.0 if stopped or failure else _DRAIN_S)
                self._close_ends(desk, failure)
                self._write_files(engine, desk)
        finally:
            self._warn()
            engine.close(drain_s=0.0)
        failure = failure or self.ends.error
        if failure is not None:
            raise failure
        return ExitCode.OK

    def step(self, text: str) -> None:
        """A step of the start; one that tells its progress often is heard of every few seconds."""
        stage = text.partition(",")[0]
        if stage != self._stage or perf_counter() >= self._step_due:
            self._stage, self._step_due = stage, perf_counter() + _STEP_S
            self.say(f"{text} …")

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def _warn(self) -> None:
        while self.warnings:
            self.console.print(self.warnings.popleft(), style="yellow", markup=False)

    def _listen(self, engine: CommentaryEngine) -> StadiumSound | None:
        plan = self.plan
        if plan.audio is None:
            return None
        start_s = self.clock.now_s()
        self.spool = SpooledSound(plan.out, start_s)
        stadium = StadiumSound(
            plan.audio, plan.audio_rate_hz, engine.hear, self.clock, self.spool, start_s, self.warnings.append
        )
        stadium.start()
        return stadium

    def _begin(self, engine: CommentaryEngine, desk: EventDesk) -> None:
        plan, info = self.plan, self.plan.info
        self.started = perf_counter()
        opening = Opening(
            match_id=info.id,
            title=f"{info.home.name} v {info.away.name}",
            sample_rate_hz=engine.synthesizer.sample_rate_hz,
            stream_s=self.clock.now_s(),
            events_from=plan.source.description,
        )
        self.ends.start(engine.events, opening, self.clock, live=True)
        self.say(f"ready: {opening.title}, events from {opening.events_from}")
        self.loop.run(plan.source.start(desk))

    def _close_ends(self, desk: EventDesk, failure: CommentaryError | None) -> None:
        closing = Closing({name: desk.counts[name] for name in ("accepted", "duplicate", "refused")})
        closing.figures["pcm_dropped_s"] = 0.0
        failure = failure or self.ends.error
        closing.figures["error"] = str(failure) if failure is not None else None
        self.ends.close(closing)
        self.loop.run(self.plan.source.close())
        self.warnings.extend(closing.warnings)
        self._warn()

    def _write_files(self, engine: CommentaryEngine, desk: EventDesk) -> None:
        plan = self.plan
        self.say("mixing …")
        self.ends.finish(Ending(title_of(engine.match.state), self.clock.now_s(), self._background(desk)))
        if self.spool is not None:
            self.spool.close()
        summary = summary_of(
            engine,
            plan.info,
            self.files.records,
            self.files.mix,
            ranks=self.comm.Get_size() if self.comm is not None else 1,
            speed="live",
            wall_s=perf_counter() - self.started,
            started_at=self.started_at,
            skipped=desk.counts["refused"],
        )
        write_report(self.files.records, summary, plan.out / REPORT, audio_name=SOUND)
        print_summary(summary, self.console)
        self.say(f"written to {plan.out}{os.sep}")

    def _background(self, desk: EventDesk) -> Background:
        """The stadium as it was heard; without a microphone a synthetic crowd, as in a replay."""
        return self.spool or CrowdNoise(desk.moments, BED_RATE_HZ, seed=self.plan.config.match_config.seed)
