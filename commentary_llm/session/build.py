"""Puts a session together: what is of one match, on models that all matches share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asr_tts.interfaces import Recognizer, Synthesizer
from asr_tts.recognizer.listener import ListeningPool
from commentary_llm.cue.director import Director
from commentary_llm.generation import GenerationRequest, Generator, SamplingParams
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.errors import CommentaryError
from commentary_llm.ground.metrics import GroupMetrics
from commentary_llm.language.contract import OpenerSentence
from commentary_llm.language.registry import language
from commentary_llm.match.match import Match
from commentary_llm.session.branches import Branches
from commentary_llm.session.events import EventStream, SegmentPlaced, Subscriber
from commentary_llm.session.hearing import Hearing, LiveHearing, Silence
from commentary_llm.session.lines import Parts, Work
from commentary_llm.session.session import Session
from commentary_llm.session.sound_bank import SoundBank
from commentary_llm.session.speaker import Speaker
from commentary_llm.session.timeline import SpeechTimeline
from commentary_llm.session.writer import LineWriter, TextBudget
from commentary_llm.settings import MatchConfig


@dataclass(frozen=True)
class Models:
    """What a session speaks and hears with; loaded once and shared by all."""

    generator: Generator
    synthesizer: Synthesizer
    recognizer: Recognizer | None
    listening: ListeningPool | None  # hears live streams with the recogniser
    sounds: SoundBank
    metrics: GroupMetrics
    examples: bool  # whether the language model has to be shown examples: it was not trained on these prompts
    startup_timeout_s: float


def build_session(
    config: MatchConfig,
    models: Models,
    work: Work,
    *,
    clock: StreamClock,
    subscribers: Sequence[Subscriber],
    hearing: Callable[[Recognizer], Hearing] | None,
    on_prepare: Callable[[], None],
    closed: Callable[[Session], None],
    failed: Callable[[CommentaryError], None],
) -> tuple[Session, tuple[OpenerSentence, ...]]:
    """A session of `config.info`, and the sentences whose sound it wants ready, likeliest first.

    The prompt's prefix is in the KV cache when it returns. `on_prepare` is told when there may be something to prepare
    ahead; `closed` and `failed` as for `Session`. Raises ConfigError and what the generator raises.
    """
    info = config.info
    generator, synthesizer, metrics = models.generator, models.synthesizer, models.metrics.open_match(info.id)
    sampling = SamplingParams(
        max_new_tokens=config.max_new_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        repetition_penalty=config.repetition_penalty,
        seed=config.seed,
        stop=("\n",),
        candidates=config.candidates,
    )
    examples = models.examples if config.few_shot is None else config.few_shot
    spoken = language(config.language).open(
        info,
        persona=config.persona,
        seed=config.seed,
        chat=generator.chat,
        count_tokens=generator.count_tokens,
        examples=examples,
    )
    gate, prompts, history, openers = spoken.gate, spoken.prompts, spoken.history, spoken.openers
    _cache_prefix(models, prompts.prefix)
    events = EventStream()
    for subscriber in subscribers:
        events.attach(subscriber)
    timeline = SpeechTimeline(clock.now_s, lambda segment: events.publish(SegmentPlaced(info.id, segment)))
    parts = Parts(
        match=Match(info),
        director=Director(),
        openers=openers,
        writer=LineWriter(generator, prompts, gate, spoken.templates, history, sampling, TextBudget()),
        speaker=Speaker(synthesizer, timeline, models.sounds, spoken.rules, events, info.id),
        timeline=timeline,
        clock=clock,
        hearing=_hearing(models, clock, hearing),
        branches=Branches(
            generator,
            synthesizer,
            prompts,
            gate,
            history,
            openers,
            sampling,
            metrics,
            on_prepare,
            enabled=config.prepare,
        ),
        events=events,
        metrics=metrics,
    )
    return Session(parts, work, closed, failed), openers.inventory() if config.prepare else ()


def _cache_prefix(models: Models, prefix: str) -> None:
    """Runs the part of the prompt that stays the same all match, so that no cue pays for it."""
    request = GenerationRequest(prefix=prefix, text="", sampling=SamplingParams(max_new_tokens=1))
    models.generator.submit(request).result(timeout_s=models.startup_timeout_s)


def _hearing(models: Models, clock: StreamClock, make: Callable[[Recognizer], Hearing] | None) -> Hearing:
    if models.recognizer is None or models.listening is None:
        return Silence()
    return make(models.recognizer) if make is not None else LiveHearing(models.listening.open(clock.now_s()))
