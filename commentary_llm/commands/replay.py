"""Offline replay: a recorded match through the same engine as a live one, with another source, clock and sinks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from asr_tts.audio.background import Background
from asr_tts.audio.crowd import CrowdNoise
from asr_tts.audio.reader import AudioReader
from commentary_llm.commands.runs import (
    BED_RATE_HZ,
    interruptible,
    prepared_on_rank_0,
    summary_of,
    title_of,
    uninterruptible,
)
from commentary_llm.ends.contract import AIR_EVENTS, Closing, Ending, Opening, Sink
from commentary_llm.ends.loop import EndsLoop
from commentary_llm.ends.match_ends import MatchEnds
from commentary_llm.ends.outputs import REPORT, SOUND, MatchFiles
from commentary_llm.ends.recorded_hearing import RecordedHearing
from commentary_llm.ends.registry import SinkSetting, open_sink
from commentary_llm.ends.stadium_track import StadiumTrack, ensure_stadium_track, moments
from commentary_llm.engine import CommentaryEngine
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.errors import CommentaryError, ConfigError, ExitCode, InputError
from commentary_llm.language.registry import language
from commentary_llm.match import EventType
from commentary_llm.match.feeds.builtin import builtin_match_path
from commentary_llm.match.feeds.jsonl import read_jsonl
from commentary_llm.match.feeds.providers import PROVIDERS, load_provider
from commentary_llm.match.feeds.recording import Recording
from commentary_llm.match.feeds.schedule import Pace, StreamTimes
from commentary_llm.report.page import write_report
from commentary_llm.report.summary import print_summary
from commentary_llm.session.record import CueRecord, ReplaySummary
from commentary_llm.settings import EngineConfig, Settings
from commentary_llm.settings.runs import ReplaySettings
from commentary_llm.speech import load_voice
from commentary_llm.station.station import MakeHearing, ReportStep

if TYPE_CHECKING:
    from mpi4py import MPI

log = logging.getLogger(__name__)

_HEARING_WAIT_S = 10.0
_DRAIN_S = 60.0

# Thousands a match, and the announcer says nothing about them: not worth a listening window each.
_UNANNOUNCED = frozenset(
    {
        EventType.PASS,
        EventType.CARRY,
        EventType.DRIBBLE,
        EventType.TACKLE,
        EventType.INTERCEPTION,
        EventType.CLEARANCE,
        EventType.THROW_IN,
        EventType.GOAL_KICK,
        EventType.FORMATION,
    }
)


@dataclass(frozen=True)
class ReplayPlan:
    """Everything checked before a model is loaded."""

    recording: Recording
    times: StreamTimes
    pace: Pace
    audio: Path | None  # a recording given by the user
    synthetic: bool  # the built-in match: hears a stadium track made for it
    out: Path
    setting: SinkSetting
    sinks: tuple[Sink, ...]  # beside the files in `out`
    config: EngineConfig

    @property
    def live(self) -> bool:
        """Whether a sink wants the speech in real time."""
        return any(kind in AIR_EVENTS for sink in self.sinks for kind in sink.kinds)


def plan_replay(settings: Settings) -> ReplayPlan:
    """Reads and checks all inputs. Raises ConfigError or InputError."""
    args = settings.replay
    recording = _load_recording(args)
    if not recording.events:
        raise InputError("the match has no events to replay")
    if args.audio is not None and args.no_audio:
        raise ConfigError("--audio and --no-audio contradict each other; give one")
    kickoffs = dict(args.kickoff)
    if kickoffs and args.audio is None:
        raise ConfigError("--kickoff places periods in a recording; give that with --audio")
    if args.audio is not None:
        AudioReader(args.audio).close()
        kickoffs = {min(event.period for event in recording.events): 0.0, **kickoffs}
    builtin = args.match is None and args.provider is None
    synthetic = builtin and args.audio is None and not args.no_audio
    config = settings.engine_config(recording.info, listen=synthetic or args.audio is not None)
    times, pace = StreamTimes.lay_out(list(recording.events), kickoffs), Pace.parse(args.speed)
    setting = SinkSetting(recording.info.id, args.full_timeline)
    plan = ReplayPlan(
        recording=recording,
        times=times,
        pace=pace,
        audio=args.audio,
        synthetic=synthetic,
        out=args.out,
        setting=setting,
        sinks=tuple(open_sink(text, setting) for text in args.sink),
        config=config,
    )
    if plan.live and pace.factor != 1.0:
        raise ConfigError(f"--sink {' '.join(args.sink)} plays in real time; replay with --speed 1x")
    return plan


def _load_recording(args: ReplaySettings) -> Recording:
    files = {option: path for option, path in args.files.model_dump().items() if path is not None}
    if args.provider is not None:
        if args.match is not None:
            raise ConfigError("--match and --provider contradict each other; give one")
        return load_provider(args.provider, files)
    if files:
        named = ", ".join(f"--{option}" for option in files)
        raise ConfigError(f"{named}: say whose files these are with --provider ({', '.join(PROVIDERS)})")
    return read_jsonl(args.match or builtin_match_path())


@dataclass(frozen=True)
class ReplayResult:
    """A finished replay: its files are written."""

    recording: Recording
    records: list[CueRecord]  # in stream order, with their times in the sound
    summary: ReplaySummary
    exit_code: ExitCode


def run_replay(settings: Settings, comm: MPI.Comm | None) -> int:
    """Runs the `replay` command on every rank. Returns rank 0's exit code; raises CommentaryError there."""
    result = replay_match(settings, comm)
    return ExitCode.OK if result is None else result.exit_code


def replay_match(settings: Settings, comm: MPI.Comm | None) -> ReplayResult | None:
    """Replays the match that the options name and prints its summary, on every rank; the result is rank 0's alone.

    Raises CommentaryError on rank 0. A rank above 0 leaves by SystemExit when rank 0 closes the engine, and gets None
    when rank 0 has refused the input.
    """

    def prepare() -> tuple[ReplayPlan, MatchFiles]:
        plan = plan_replay(settings)
        return plan, MatchFiles(plan.out, plan.setting)

    prepared = prepared_on_rank_0(settings, comm, prepare)
    if prepared is None:
        return None
    plan, files = prepared
    console = Console(stderr=True)
    for warning in plan.recording.warnings:
        console.print(f"[yellow]warning:[/] {warning}", highlight=False)
    with interruptible(), EndsLoop() as loop:
        return _Replay(plan, files, comm, console, loop).run()


class _Replay:
    """One replay on rank 0."""

    def __init__(
        self, plan: ReplayPlan, files: MatchFiles, comm: MPI.Comm | None, console: Console, loop: EndsLoop
    ) -> None:
        self.plan = plan
        self.files = files
        self.comm = comm
        self.console = console
        self.ends = MatchEnds(loop, [*plan.sinks, *files.sinks], log.warning)
        self.clock = StreamClock()
        self.track: StadiumTrack | None = None
        self.started = perf_counter()
        self.started_at = datetime.now(timezone.utc).isoformat(timespec="seconds")

    def run(self) -> ReplayResult:
        plan = self.plan
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task("starting", total=len(plan.recording.events))

            def step(text: str) -> None:
                progress.update(task, description=text)

            hearing = self._hearing(step)
            engine = CommentaryEngine.start(
                plan.config,
                comm=self.comm,
                clock=self.clock,
                hearing=hearing,
                progress=step,
            )
            ended: BaseException | None = None
            try:
                try:
                    self._feed(engine, step, lambda: progress.advance(task))
                except (KeyboardInterrupt, CommentaryError) as error:
                    ended = error
                    step("ended early: writing what was said so far")
                with uninterruptible():
                    engine.drain(_DRAIN_S if ended is None else 0.0)
                    closing = Closing()
                    self.ends.close(closing)
                    step("mixing")
                    self._finish(engine)
            finally:
                engine.close(drain_s=0.0)
        for warning in closing.warnings:
            self.console.print(f"[yellow]warning:[/] {warning}", highlight=False)
        records = self.files.records
        summary = self._summarise(engine)
        write_report(records, summary, plan.out / REPORT, audio_name=SOUND)
        failure = ended if isinstance(ended, CommentaryError) else self.ends.error
        if failure is not None:
            raise failure
        print_summary(summary, self.console)
        self.console.print(f"written to {plan.out}/", highlight=False)
        code = ExitCode.INTERRUPTED if ended is not None else ExitCode.OK
        return ReplayResult(plan.recording, records, summary, code)

    def _feed(self, engine: CommentaryEngine, step: ReportStep, advance: Callable[[], None]) -> None:
        """Submits the events at the replay's pace. Raises the engine's error when it fails."""
        times, info = self.plan.times, self.plan.recording.info
        self.clock.start_at(times(self.plan.recording.events[0]))
        self.started = perf_counter()
        opening = Opening(
            info.id, f"{info.home.name} v {info.away.name}", engine.synthesizer.sample_rate_hz, self.clock.now_s()
        )
        self.ends.start(engine.events, opening, self.clock, live=self.plan.live)
        step("replaying")
        for event in self.plan.recording.events:
            self._wait_until(times(event), engine)
            if self.ends.error is not None:
                raise self.ends.error
            announced = self.track.announced(event.event_id) if self.track else ""
            engine.submit(event, stream_s=times(event), announced=announced)
            advance()
        step("finishing")
        engine.wait_idle(_DRAIN_S)
        self.ends.play_out(_DRAIN_S)

    def _hearing(self, step: ReportStep) -> MakeHearing | None:
        plan = self.plan
        audio = plan.audio
        if plan.synthetic:
            self.track = ensure_stadium_track(
                plan.recording.events,
                plan.recording.info,
                language(plan.config.match_config.language).announcer(plan.recording.info),
                lambda: load_voice(plan.config.station),
                plan.times,
                progress=lambda share: step(f"making the stadium track, {share:.0%}"),
            )
            audio = self.track.audio
        if audio is None:
            return None
        events = [(event, plan.times(event)) for event in plan.recording.events if event.type not in _UNANNOUNCED]
        return lambda recognizer: RecordedHearing(AudioReader(audio), recognizer, events, wait_s=_HEARING_WAIT_S)

    def _wait_until(self, stream_s: float, engine: CommentaryEngine) -> None:
        """Lets stream time come to `stream_s`: at the replay's pace, or as soon as the engine has nothing to do."""
        factor = self.plan.pace.factor
        left_s = stream_s - self.clock.now_s()
        if factor is None:
            while left_s > 0 and not engine.idle():
                engine.wait_idle(min(left_s, 0.5))
                left_s = stream_s - self.clock.now_s()
        elif left_s > 0:
            deadline = perf_counter() + left_s / factor
            while (rest := deadline - perf_counter()) > 0:
                engine.wait(min(rest, 0.5))
        self.clock.jump_to(stream_s)

    def _finish(self, engine: CommentaryEngine) -> None:
        plan = self.plan
        audio = self.track.audio if self.track else plan.audio
        background: Background
        if audio is not None:
            background = AudioReader(audio, BED_RATE_HZ)
        else:
            seed = plan.config.match_config.seed
            background = CrowdNoise(moments(plan.recording.events, plan.times), BED_RATE_HZ, seed=seed)
        self.ends.finish(Ending(title_of(engine.match.state), self.clock.now_s(), background))

    def _summarise(self, engine: CommentaryEngine) -> ReplaySummary:
        plan = self.plan
        return summary_of(
            engine,
            plan.recording.info,
            self.files.records,
            self.files.mix,
            ranks=self.comm.Get_size() if self.comm is not None else 1,
            speed=str(plan.pace),
            wall_s=perf_counter() - self.started,
            started_at=self.started_at,
            skipped=sum(plan.recording.skipped.values()),
        )


__all__ = ["ReplayPlan", "ReplayResult", "plan_replay", "replay_match", "run_replay"]
