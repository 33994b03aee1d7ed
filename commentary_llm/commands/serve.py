"""Live: events of a running match in, commentary out as it is spoken."""

from __future__ import annotations

import logging
import os
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
from commentary_llm.ends.caption_lines import Captions
from commentary_llm.ends.desk import Answers, EventDesk
from commentary_llm.ends.on_air import BLOCK_S, OnAir
from commentary_llm.ends.outlet import Outlet
from commentary_llm.ends.outputs import REPORT, SOUND, ReplayOutputs
from commentary_llm.ends.sources import EventSource, open_source
from commentary_llm.ends.stadium_sound import StadiumSound
from commentary_llm.ends.stadium_track import moments
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
_LAST_WORDS_S = 2.0  # for readers of the streams to take what is left
_PCM_BLOCKS = round(1.0 / BLOCK_S)  # a listener further behind than a second goes on with what is heard now
_PCM_PIPE_BYTES = 16_384  # 0.37 s: what a slow listener finds in the pipe is that old
_CAPTION_LINES = 1_000
_STEP_S = 5.0
_WATCH_S = 0.2  # how soon the end of the events is noticed


@dataclass(frozen=True)
class ServePlan:
    """Everything checked and opened before a model is loaded."""

    info: MatchInfo
    config: EngineConfig
    source: EventSource
    audio: str | None
    audio_rate_hz: int | None
    pcm: Outlet | None
    captions: Outlet | None
    out: Path
    full_timeline: bool


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
    pcm, lines = None, None
    if args.pcm is not None:
        pcm = Outlet(args.pcm, what="speech", capacity=_PCM_BLOCKS, when_full="drop all", pipe_bytes=_PCM_PIPE_BYTES)
    if captions is not None:
        lines = Outlet(captions, what="captions", capacity=_CAPTION_LINES, when_full="drop oldest")
    return ServePlan(
        info=recording.info,
        config=config,
        source=open_source(args.events),
        audio=args.audio,
        audio_rate_hz=args.audio_rate,
        pcm=pcm,
        captions=lines,
        out=args.out,
        full_timeline=args.full_timeline,
    )


def run_serve(settings: Settings, comm: MPI.Comm | None) -> int:
    """Runs the `serve` command on every rank. Returns rank 0's exit code; raises CommentaryError there."""

    def prepare() -> tuple[ServePlan, ReplayOutputs]:
        plan = plan_serve(settings)
        return plan, ReplayOutputs(plan.out, full_timeline=plan.full_timeline)

    prepared = prepared_on_rank_0(settings, comm, prepare)
    if prepared is None:
        return ExitCode.OK
    plan, outputs = prepared
    with interruptible():
        return _Live(plan, outputs, comm).run()


class _Live:
    """One live run on rank 0."""

    def __init__(self, plan: ServePlan, outputs: ReplayOutputs, comm: MPI.Comm | None) -> None:
        self.plan = plan
        self.outputs = outputs
        self.comm = comm
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.clock = StreamClock()
        self.captions = Captions(plan.captions)
        self.on_air = OnAir(self.clock, self.captions, plan.pcm.put if plan.pcm else None)
        self.answers = Answers()
        self.spool: SpooledSound | None = None
        self._stage, self._step_due = "", 0.0
        self.started = perf_counter()
        self.started_at = datetime.now(timezone.utc).isoformat(timespec="seconds")

    def run(self) -> int:
        """Until the events end or a signal comes; then the files. Exit code 0 either way: a live run has no other end.

        Raises the engine's error, once the files hold what was said until then.
        """
        plan = self.plan
        engine = CommentaryEngine.start(
            plan.config,
            comm=self.comm,
            clock=self.clock,
            subscribers=[self.outputs, self.captions, self.answers, self.on_air],
            progress=self.step,
        )
        failure: CommentaryError | None = None
        stadium: StadiumSound | None = None
        desk = EventDesk(engine, plan.info, self.answers, self.clock.now_s, lambda text: self.warn(f"refused: {text}"))
        try:
            stopped = False
            try:
                stadium = self._listen(engine)
                self._begin(engine, desk)
                while not plan.source.ended():
                    engine.wait(_WATCH_S)
                self.say("no more events; finishing what is being said …")
                engine.wait_idle(_DRAIN_S)
                self.on_air.play_out(_DRAIN_S)
            except KeyboardInterrupt:
                stopped = True
                self.say("stopping; what was said so far is being written …")
            except CommentaryError as error:
                failure = error
            with uninterruptible():
                plan.source.stop()
                if stadium is not None:
                    stadium.stop()
                self.on_air.stop()
                engine.drain(0.0 if stopped or failure else _DRAIN_S)
                plan.source.close()
                self._close_streams(desk, failure)
                self._write_files(engine, desk)
        finally:
            engine.close(drain_s=0.0)
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

    def warn(self, text: str) -> None:
        self.console.print(text, style="yellow", markup=False)

    def _listen(self, engine: CommentaryEngine) -> StadiumSound | None:
        plan = self.plan
        if plan.audio is None:
            return None
        start_s = self.clock.now_s()
        self.spool = SpooledSound(plan.out, start_s)
        stadium = StadiumSound(plan.audio, plan.audio_rate_hz, engine.hear, self.clock, self.spool, start_s, self.warn)
        stadium.start()
        return stadium

    def _begin(self, engine: CommentaryEngine, desk: EventDesk) -> None:
        plan, info = self.plan, self.plan.info
        rate_hz = engine.synthesizer.sample_rate_hz
        self.started = perf_counter()
        self.on_air.start(rate_hz)
        self.captions.write(
            {
                "type": "ready",
                "match_id": info.id,
                "title": f"{info.home.name} v {info.away.name}",
                "sample_rate_hz": rate_hz,
                "channels": 1,
                "format": "s16le",
                "stream_s": round(self.clock.now_s(), 3),
                "at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
                "events": plan.source.description,
            }
        )
        self.say(f"ready: {info.home.name} v {info.away.name}, events from {plan.source.description}")
        plan.source.start(desk.take)

    def _close_streams(self, desk: EventDesk, failure: CommentaryError | None) -> None:
        pcm = self.plan.pcm
        if pcm is not None:
            pcm.close(_LAST_WORDS_S)
            if pcm.dropped_blocks:
                self.warn(f"speech: {pcm.dropped_blocks * BLOCK_S:.1f} s were not taken by a reader")
        end: dict[str, object] = {
            "type": "end",
            **{name: desk.counts[name] for name in ("accepted", "duplicate", "refused")},
        }
        end["pcm_dropped_s"] = round(pcm.dropped_blocks * BLOCK_S, 2) if pcm else 0.0
        end["error"] = str(failure) if failure else None
        self.captions.write(end)
        lines = self.plan.captions
        if lines is not None:
            lines.close(_LAST_WORDS_S)
            if lines.dropped_blocks:
                self.warn(f"captions: {lines.dropped_blocks} lines were not taken by a reader")

    def _write_files(self, engine: CommentaryEngine, desk: EventDesk) -> None:
        plan = self.plan
        self.say("mixing …")
        title = title_of(engine.match.state)
        records, mix = self.outputs.finish(self._background(desk), self.clock.now_s(), title)
        if self.spool is not None:
            self.spool.close()
        summary = summary_of(
            engine,
            plan.info,
            records,
            mix,
            ranks=self.comm.Get_size() if self.comm is not None else 1,
            speed="live",
            wall_s=perf_counter() - self.started,
            started_at=self.started_at,
            skipped=desk.counts["refused"],
        )
        write_report(records, summary, plan.out / REPORT, audio_name=SOUND)
        print_summary(summary, self.console)
        self.say(f"written to {plan.out}{os.sep}")

    def _background(self, desk: EventDesk) -> Background:
        """The stadium as it was heard; without a microphone a synthetic crowd, as in a replay."""
        if self.spool is not None:
            return self.spool
        times = {event.event_id: at_s for event, at_s in desk.taken}
        crowd = moments([event for event, _ in desk.taken], lambda event: times[event.event_id])
        return CrowdNoise(crowd, BED_RATE_HZ, seed=self.plan.config.match_config.seed)
