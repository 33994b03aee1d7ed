"""`CommentaryEngine`: the public API, as a match-state tracker uses it.

    from commentary_llm import CommentaryEngine, EngineConfig, MatchEvent

    with CommentaryEngine.start(EngineConfig(match=info)) as engine:   # on every rank
        handle = engine.submit(MatchEvent(...))                        # returns at once
        for clause in handle:                                          # text, then its PCM, as they come
            ...
        record = handle.result()                                       # the whole record, with timings

Run it under `mpirun -n N`: the same program on every rank. `start` returns on rank 0 only; on the other ranks it serves
the language model until rank 0 is done, and then leaves by SystemExit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from asr_tts.recognizer.listener import Listener
from asr_tts.synthesizer.clips import ClipCache
from commentary_llm.artifacts.manifest import load_manifest
from commentary_llm.config import EngineConfig, artifact_path
from commentary_llm.cue.director import Director
from commentary_llm.generation import GenerationRequest, Generator, SamplingParams
from commentary_llm.generation.backends import open_generator, select_backend, serve_generator
from commentary_llm.generation.tensorrt_llm.config import TensorRTLLMConfig
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.device_turn import DeviceTurn
from commentary_llm.ground.errors import ConfigError
from commentary_llm.ground.home import LLM_MODEL, clips_dir, llm_engines_dir, models_dir, shards_dir, speech_graphs_dir
from commentary_llm.ground.metrics import Metrics
from commentary_llm.ground.world import world
from commentary_llm.language.registry import language
from commentary_llm.match import MatchEvent
from commentary_llm.match.match import Match
from commentary_llm.session.branches import Branches
from commentary_llm.session.events import EventStream, SegmentPlaced, Subscriber
from commentary_llm.session.flow import Flow
from commentary_llm.session.handle import CueHandle
from commentary_llm.session.hearing import Hearing, LiveHearing, Silence
from commentary_llm.session.sound_bank import prepare_sounds
from commentary_llm.session.speaker import Speaker
from commentary_llm.session.timeline import SpeechTimeline
from commentary_llm.session.writer import LineWriter, TextBudget

if TYPE_CHECKING:
    from mpi4py import MPI

    from asr_tts.interfaces import Recognizer, Synthesizer
    from commentary_llm.artifacts.speech_engines import SpeechEngines
    from commentary_llm.generation.torch.backend import TorchBackendConfig

log = logging.getLogger(__name__)

_DRAIN_S = 30.0
ReportStep = Callable[[str], None]
MakeHearing = Callable[["Recognizer"], Hearing]


def _no_progress(step: str) -> None:
    log.info(step)


class CommentaryEngine:
    """A running engine on rank 0. Make one with `start`; use it as a context manager, or call `close`."""

    def __init__(
        self,
        config: EngineConfig,
        generator: Generator,
        synthesizer: Synthesizer,
        recognizer: Recognizer | None,
        *,
        clock: StreamClock | None = None,
        subscribers: Sequence[Subscriber] = (),
        hearing: MakeHearing | None = None,
        clips: ClipCache | None = None,
        progress: ReportStep = _no_progress,
    ) -> None:
        """Puts ready parts together; `start` makes them. Openers are voiced here, and kept in `clips`.

        Raises ConfigError without a match.
        """
        if config.match is None:
            raise ConfigError("the engine has no match; give EngineConfig(match=MatchInfo(...)) with both line-ups")
        self.config = config
        self.clock = clock or StreamClock()
        self.metrics = Metrics()
        self.metrics.labels["backend"] = generator.description
        self.generator, self.synthesizer, self.recognizer = generator, synthesizer, recognizer
        self.match = Match(config.match)
        self._listener: Listener | None = None
        self._hearing: Hearing = Silence()
        sampling = SamplingParams(
            max_new_tokens=config.max_new_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
            repetition_penalty=config.repetition_penalty,
            seed=config.seed,
            stop=("\n",),
            candidates=config.candidates,
        )
        few_shot = config.llm != LLM_MODEL if config.few_shot is None else config.few_shot
        spoken = language(config.language).open(
            config.match,
            persona=config.persona,
            seed=config.seed,
            chat=generator.chat,
            count_tokens=generator.count_tokens,
            examples=few_shot,
        )
        gate, prompts, history = spoken.gate, spoken.prompts, spoken.history
        writer = LineWriter(generator, prompts, gate, spoken.templates, history, sampling, TextBudget())
        self._warm_up(prompts.prefix, sampling)
        bank = prepare_sounds(
            spoken.openers.inventory() if config.prepare else (),
            spoken.rules,
            synthesizer,
            clips,
            lambda share: progress(f"making openers, {share:.0%}"),
        )
        if recognizer is not None and hearing is not None:
            self._hearing = hearing(recognizer)
        elif recognizer is not None:
            self._listener = Listener(recognizer, start_s=self.clock.now_s())
            self._hearing = LiveHearing(self._listener)
        match_id = config.match.id
        self.events = EventStream()
        for subscriber in subscribers:
            self.events.attach(subscriber)
        timeline = SpeechTimeline(
            self.clock.now_s, lambda segment: self.events.publish(SegmentPlaced(match_id, segment))
        )
        ahead = (generator, synthesizer, prompts, gate, history, spoken.openers, sampling, self.metrics)
        branches = Branches(*ahead, enabled=config.prepare)
        self._flow = Flow(
            match=self.match,
            director=Director(),
            openers=spoken.openers,
            writer=writer,
            speaker=Speaker(synthesizer, timeline, bank, self.events, match_id),
            timeline=timeline,
            clock=self.clock,
            hearing=self._hearing,
            branches=branches,
            metrics=self.metrics,
            events=self.events,
            queue_capacity=config.queue_capacity,
        )

    @classmethod
    def start(
        cls,
        config: EngineConfig,
        *,
        comm: MPI.Comm | None = None,
        clock: StreamClock | None = None,
        subscribers: Sequence[Subscriber] = (),
        hearing: MakeHearing | None = None,
        progress: ReportStep = _no_progress,
    ) -> CommentaryEngine:
        """Loads the models, warms them up and returns the engine, on rank 0.

        Every rank of `comm` (by default MPI's world under mpirun, else a single rank) calls this with the same
        configuration; what comes after `comm` matters on rank 0 alone. `subscribers` are told of everything from the
        beginning (see `session.events`). `hearing` makes the source of the rolling transcript from the recogniser
        (with `config.listen`); by default it is what is fed to `hear`.

        Ranks above 0 serve the language model here and raise SystemExit(0) when rank 0 closes the engine. Raises
        ConfigError, ArtifactError (with the command that rebuilds what is missing), RankLostError.
        """
        comm = world() if comm is None else comm
        ranks = comm.size if comm is not None else 1
        backend_config, llm_engines = _backend_config(config, ranks), _llm_engines(config, ranks)
        choice = select_backend(config.backend, llm_engines, comm)
        if choice.name != "torch" and config.llm_sizes is not None:
            raise ConfigError(f"llm_sizes is {config.llm_sizes!r}: the torch backend alone pads a model, not {choice}")
        if comm is not None and comm.rank > 0:
            serve_generator(choice.name, backend_config, comm, engines=llm_engines)
            raise SystemExit(0)
        progress("loading the language model")
        turn = DeviceTurn()
        generator = open_generator(choice.name, backend_config, comm, engines=llm_engines, turn=turn)
        try:
            progress("loading the voice")
            synthesizer = load_voice(config, turn)
            recognizer = None
            if config.listen:
                progress("loading the recogniser")
                recognizer = load_recognizer(config)
            progress("warming up")
            engine = cls(
                config,
                generator,
                synthesizer,
                recognizer,
                clock=clock,
                subscribers=subscribers,
                hearing=hearing,
                clips=ClipCache(clips_dir(), synthesizer.identity),
                progress=progress,
            )
            engine.metrics.labels["backend_choice"] = str(choice)
            return engine
        except BaseException:
            generator.close()
            raise

    def submit(self, event: MatchEvent, *, stream_s: float | None = None, announced: str = "") -> CueHandle:
        """Takes an event and returns at once, with a handle to what is said about it.

        `stream_s`: when it happened in stream time (default: now). `announced`: what the stadium announcer says of
        it, where known, to score the recogniser. Raises InputError if the event contradicts the match (which stays as
        it was), EngineError if the engine has failed.
        """
        return self._flow.submit(event, stream_s, announced)

    def hear(self, samples: np.ndarray) -> None:
        """Live stadium sound: (N,) float32 mono 16 kHz in [-1, 1]. Never waits. Raises ConfigError without `listen`."""
        if self._listener is None:
            raise ConfigError("the engine was started without a recogniser; use EngineConfig(listen=True)")
        self._listener.push(samples)

    def idle(self) -> bool:
        """Whether every accepted event has been dealt with."""
        return self._flow.idle()

    def wait_idle(self, timeout_s: float) -> bool:
        """Waits until idle; False when it is not within `timeout_s`. Raises EngineError if the engine has failed."""
        return self._flow.wait_idle(timeout_s)

    def wait(self, timeout_s: float) -> None:
        """Waits `timeout_s`, or less when the engine fails; raises EngineError then."""
        self._flow.wait(timeout_s)

    def drain(self, timeout_s: float = _DRAIN_S) -> None:
        """Takes no more events, finishes what is being said (for `timeout_s` at most) and gives it to the sinks.

        Idempotent. The models stay loaded until `close`.
        """
        self._flow.close(drain_s=timeout_s)
        self._hearing.close()

    def close(self, *, drain_s: float = _DRAIN_S) -> None:
        """Drains, then stops all ranks. Idempotent."""
        try:
            self.drain(drain_s)
        finally:
            self.generator.close()

    def __enter__(self) -> CommentaryEngine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close(drain_s=_DRAIN_S if kind is None else 0.0)

    def _warm_up(self, prefix: str, sampling: SamplingParams) -> None:
        """Runs every stage once: the prompt's prefix is in the KV cache and no first cue pays for lazy set-up."""
        handle = self.generator.submit(GenerationRequest(prefix=prefix, text="", sampling=sampling))
        handle.result(timeout_s=self.config.startup_timeout_s)
        self.synthesizer.warm_up()
        if self.recognizer is not None:
            self.recognizer.warm_up()


def _backend_config(config: EngineConfig, ranks: int) -> TorchBackendConfig:
    from commentary_llm.generation.torch.backend import TorchBackendConfig

    return TorchBackendConfig(
        shards=shards_dir(config.llm, ranks),
        compute_dtype=config.compute_dtype,
        device=config.device,
        threads=config.llm_threads,
        max_batch=config.max_batch,
        sizes=config.llm_sizes,
    )


def _llm_engines(config: EngineConfig, ranks: int) -> TensorRTLLMConfig:
    given = config.llm_engines
    folder = Path(given).expanduser().absolute() if given is not None else llm_engines_dir(config.llm, ranks)
    return TensorRTLLMConfig(engine_dir=folder, model=config.llm)


def load_voice(config: EngineConfig, turn: DeviceTurn | None = None) -> Synthesizer:
    """The configured voice; on a GPU it takes its `turn` there. Raises ArtifactError, ConfigError."""
    from asr_tts.synthesizer import PiperSynthesizer

    built = _built_for_gpu(config, "tts")
    if built is None:
        folder = artifact_path(config.tts, models_dir())
        load_manifest(folder, kind="piper-onnx", verify="sha256")
    # The voice's own noise follows from the words alone: openers made once serve every seed of the engine.
    return PiperSynthesizer.load(
        folder if built is None else built.folder / "tts",
        runtime=config.speech_runtime,
        device=config.speech_device,
        threads=config.speech_threads,
        turn=turn if built is not None else None,
    )


def load_recognizer(config: EngineConfig) -> Recognizer:
    """The configured speech recogniser. Raises ArtifactError, ConfigError."""
    from asr_tts.recognizer import open_recognizer

    built = _built_for_gpu(config, "asr")
    if built is not None:
        return open_recognizer(
            built.folder / "asr",
            runtime=config.speech_runtime,
            device=config.speech_device,
            window_s=built.window_s,
        )
    folder = artifact_path(config.asr, models_dir())
    load_manifest(folder, kind="whisper-onnx", verify="sha256")
    return open_recognizer(folder, threads=config.speech_threads)


def _built_for_gpu(config: EngineConfig, stage: str) -> SpeechEngines | None:
    """What was built from recogniser and voice for the configured runtime, `stage`'s part checked; None for the CPU."""
    if config.speech_runtime == "onnxruntime" and config.speech_device == "cpu":
        return None
    given = config.speech_engines
    # Imported here: it brings onnx, which takes long to load and is of no use without a GPU.
    if config.speech_runtime == "onnxruntime":
        from asr_tts.runtime.onnxruntime_cuda import check_library
        from commentary_llm.artifacts.speech_engines import load_graphs

        check_library()
        folder = speech_graphs_dir(config.asr, config.tts) if given is None else Path(given).expanduser().absolute()
        return load_graphs(folder, stage)
    if given is None:
        raise ConfigError(
            f"speech runtime {config.speech_runtime} needs built engines; name their folder as speech_engines. "
            f"`python -m checkpoints engines build --runtime {config.speech_runtime} --compute-capability X.Y` "
            "builds them"
        )
    from commentary_llm.artifacts.speech_engines import load_engines

    return load_engines(Path(given).expanduser().absolute(), config.speech_runtime)
