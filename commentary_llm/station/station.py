"""`Station`: what a process group holds once, for all the matches on it.

    station = Station.start(StationConfig())              # on every rank; ranks above 0 serve inside and leave
    session = station.open(MatchConfig(match=info))       # any number of times, also while others are on the air
    handle = session.submit(MatchEvent(...))              # returns at once
    session.close()
    station.close()

Closing or failing one session touches no other. A model that is lost ends all of them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from asr_tts.recognizer.listener import ListeningPool
from asr_tts.synthesizer.clips import ClipCache
from commentary_llm.generation import GenerationRequest, Generator, SamplingParams
from commentary_llm.generation.registry import BACKENDS, select_backend
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.device_turn import DeviceTurn
from commentary_llm.ground.errors import BusyError, CommentaryError, ConfigError, EngineError
from commentary_llm.ground.home import LLM_MODEL, clips_dir
from commentary_llm.ground.metrics import GroupMetrics
from commentary_llm.ground.world import world
from commentary_llm.session.build import Models, build_session
from commentary_llm.session.events import Subscriber
from commentary_llm.session.hearing import Hearing
from commentary_llm.session.lines import Work
from commentary_llm.session.session import Session
from commentary_llm.session.sound_bank import SoundBank
from commentary_llm.session.work import ClauseQueue, CueQueue
from commentary_llm.settings import MatchConfig, StationConfig
from commentary_llm.speech import load_recognizer, load_voice
from commentary_llm.station.openers import OpenerMaker
from commentary_llm.station.pools import Pools

if TYPE_CHECKING:
    from mpi4py import MPI

    from asr_tts.interfaces import Recognizer, Synthesizer

log = logging.getLogger(__name__)

_SPEECH_QUEUE = 32  # clauses of a session; more than the longest line has
ReportStep = Callable[[str], None]
MakeHearing = Callable[["Recognizer"], Hearing]


def _no_progress(step: str) -> None:
    log.info(step)


class Station:
    """A running station on rank 0. Make one with `start`; use it as a context manager, or call `close`."""

    def __init__(
        self,
        config: StationConfig,
        generator: Generator,
        synthesizer: Synthesizer,
        recognizer: Recognizer | None = None,
        *,
        clips: ClipCache | None = None,
        progress: ReportStep = _no_progress,
    ) -> None:
        """Puts ready models together and warms them up; `start` loads them. Openers' sound is kept in `clips`."""
        self.config = config
        self.generator, self.synthesizer, self.recognizer = generator, synthesizer, recognizer
        self.metrics = GroupMetrics()
        self.metrics.choose("backend", generator.description)
        self._progress = progress
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._error: EngineError | None = None
        self._closed = False
        self._warm_up()
        self._cues = CueQueue(config.queue_capacity)
        self._clauses = ClauseQueue(_SPEECH_QUEUE)
        self._listening = ListeningPool(recognizer) if recognizer is not None else None
        self._bank = SoundBank()
        self._openers = OpenerMaker(self._bank, synthesizer, clips, lambda: self._cues.busy_sessions > 0)
        self._pools = Pools(
            self._cues,
            self._clauses,
            self.sessions,
            writers=config.writers,
            speakers=config.speakers,
            listening=self._listening,
            failed=self._fail,
        )

    @classmethod
    def start(
        cls, config: StationConfig, *, comm: MPI.Comm | None = None, progress: ReportStep = _no_progress
    ) -> Station:
        """Loads the models, warms them up and returns the station, on rank 0.

        Every rank of `comm` (by default MPI's world under mpirun, else a single rank) calls this with the same
        configuration. Ranks above 0 serve the language model here and raise SystemExit(0) when rank 0 closes the
        station. Raises ConfigError, ArtifactError (with the command that rebuilds what is missing), RankLostError.
        """
        comm = world() if comm is None else comm
        choice = select_backend(config.llm.backend, config.model_options, comm)
        backend = BACKENDS.get(choice.name)
        if comm is not None and comm.rank > 0:
            backend.serve(config.model_options, comm)
            raise SystemExit(0)
        progress("loading the language model")
        turn = DeviceTurn()
        generator = backend.open(config.model_options, comm, turn)
        try:
            progress("loading the voice")
            synthesizer = load_voice(config, turn)
            recognizer = None
            if config.listen:
                progress("loading the recogniser")
                recognizer = load_recognizer(config)
            progress("warming up")
            clips = ClipCache(clips_dir())
            station = cls(config, generator, synthesizer, recognizer, clips=clips, progress=progress)
            station.metrics.choose("backend_choice", str(choice))
            return station
        except BaseException:
            generator.close()
            raise

    def open(
        self,
        config: MatchConfig,
        *,
        clock: StreamClock | None = None,
        subscribers: Sequence[Subscriber] = (),
        hearing: MakeHearing | None = None,
        wait_for_openers: bool = False,
    ) -> Session:
        """Opens a match: it may begin at once, also while others are on the air.

        `subscribers` are told of everything from the beginning (see `session.events`). `hearing` makes the source of
        the rolling transcript from the recogniser; by default it is what is fed to `hear`. The sound of openers is
        made in the background, likeliest first; `wait_for_openers` makes it all before returning. Raises ConfigError
        when a match of that id is open, EngineError when the station is closed or a model is lost.
        """
        match_id = config.info.id
        with self._lock:
            self._raise_if_over()
            if match_id in self._sessions:
                raise ConfigError(f"match {match_id!r} is open already; close it first, or give this one another id")
        work = Work(self._cues, self._clauses, self._candidates)
        models = Models(
            generator=self.generator,
            synthesizer=self.synthesizer,
            recognizer=self.recognizer,
            listening=self._listening,
            sounds=self._bank,
            metrics=self.metrics,
            examples=self.config.llm.model != LLM_MODEL,
            startup_timeout_s=self.config.startup_timeout_s,
        )
        session, openers = build_session(
            config,
            models,
            work,
            clock=clock or StreamClock(),
            subscribers=subscribers,
            hearing=hearing,
            on_prepare=lambda: self._pools.wake_prepare(),
            closed=self._forget,
            failed=self._look_at_model,
        )
        with self._lock:
            alone = not self._sessions
            self._sessions[match_id] = session
        try:
            now = wait_for_openers and alone and bool(openers)
            self._openers.open(match_id, openers, in_background=not now)
            if now:
                self._openers.make_now(match_id, lambda share: self._progress(f"making openers, {share:.0%}"))
            elif wait_for_openers:
                while not self._openers.wait(match_id, 0.5):
                    session.wait(0.0)
        except BaseException:
            session.close(drain_s=0.0)
            raise
        return session

    def sessions(self) -> tuple[Session, ...]:
        """The matches that are open."""
        with self._lock:
            return tuple(self._sessions.values())

    def openers_ready_s(self, match_id: str) -> float | None:
        """Seconds that an open match's openers took to be there, all of them; None while they are not."""
        return self._openers.ready_s(match_id)

    def close(self, *, drain_s: float = 30.0) -> None:
        """Closes every match (each drains for `drain_s` at most), then stops all ranks. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        try:
            for session in self.sessions():
                session.close(drain_s=drain_s)
            self._openers.close()
            if self._listening is not None:
                self._listening.close()
            self._pools.close()
        finally:
            self.generator.close()

    def __enter__(self) -> Station:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close(drain_s=30.0 if kind is None else 0.0)

    def _candidates(self) -> int:
        """How many completions of one line there is room for while as many matches want one as do now."""
        lines = min(self.config.writers, max(1, self._cues.busy_sessions))
        return max(1, self.config.llm.max_batch // lines)

    def _forget(self, session: Session) -> None:
        with self._lock:
            self._sessions.pop(session.match_id, None)
        self._openers.close_match(session.match_id)
        self.metrics.close_match(session.match_id)

    def _look_at_model(self, error: CommentaryError) -> None:
        """A session's work has failed. Where the language model is lost, no other session can go on either."""
        if not isinstance(error, EngineError):
            return
        try:
            request = GenerationRequest(prefix="", text="1", sampling=SamplingParams(max_new_tokens=1))
            self.generator.submit(request).result(timeout_s=self.config.startup_timeout_s)
        except BusyError:
            pass  # it has more to do than it takes: it lives
        except (EngineError, TimeoutError):
            self._fail(error)

    def _fail(self, error: EngineError) -> None:
        """No session can go on."""
        with self._lock:
            self._error = self._error or error
        for session in self.sessions():
            session.fail(error)

    def _raise_if_over(self) -> None:
        if self._error is not None:
            raise self._error
        if self._closed:
            raise EngineError("the station is closed; it opens no more matches")

    def _warm_up(self) -> None:
        """Runs every stage once, so that no first cue pays for lazy set-up."""
        request = GenerationRequest(
            prefix="", text="1", sampling=SamplingParams(max_new_tokens=4, candidates=self.config.llm.max_batch)
        )
        self.generator.submit(request).result(timeout_s=self.config.startup_timeout_s)
        self.synthesizer.warm_up()
        if self.recognizer is not None:
            self.recognizer.warm_up()
