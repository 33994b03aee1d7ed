"""When the writer chooses, and what it falls back to."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter, perf_counter_ns
from typing import Any

import pytest
from english import gate_of, history, names_of, template_writer

from commentary_llm.cue.cue import Cue, Urgency
from commentary_llm.cue.facts import facts_of
from commentary_llm.cue.history import LineHistory
from commentary_llm.generation import FinishReason, GenerationRequest, SamplingParams, TokenChunk
from commentary_llm.language.en.prompt import PromptBuilder
from commentary_llm.match import EventType, MatchEvent, MatchInfo
from commentary_llm.match.match import Match
from commentary_llm.session.job import CueJob, new_job
from commentary_llm.session.timeline import SpeechTimeline
from commentary_llm.session.writer import LineWriter, TextBudget

LIKELY, UNLIKELY = "Emil Hart scores for Northport!", "Emil Hart finds the net for Northport!"
LONG_S = 60.0


class Handle:
    """Chunks as given; where they end with an open candidate, empty ones for it until cancelled."""

    prompt_tokens, cached_tokens = 10, 8

    def __init__(self, chunks: list[TokenChunk], waits_for: int | None = None) -> None:
        self._chunks, self._waits_for, self.cancelled = chunks, waits_for, False

    def __iter__(self) -> Iterator[TokenChunk]:
        yield from self._chunks
        while self._waits_for is not None and not self.cancelled:
            yield TokenChunk(self._waits_for, "", 0.0, 1)


class Generator:
    description = "scripted"

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.requests: list[GenerationRequest] = []

    def submit(self, request: GenerationRequest) -> Handle:
        self.requests.append(request)
        return self.handle

    def cancel(self, handle: Handle) -> None:
        handle.cancelled = True


def whole(candidate: int, text: str, nats: float) -> TokenChunk:
    return TokenChunk(candidate, text, 8 * nats, 8, FinishReason.STOP)


@pytest.fixture
def cue(small_match: MatchInfo) -> Cue:
    event = MatchEvent(event_id="g", type=EventType.GOAL, period=1, elapsed_s=600, team="h", player="h4")
    return Cue(
        facts_of(event, Match(small_match).accept(event).state_after), Urgency.URGENT, "goal", 20.0, 24, False, 0.8
    )


def written(cue: Cue, handle: Handle, opener: str = "", **fields: Any) -> tuple[list[str], CueJob, LineHistory]:
    lane, _ = SpeechTimeline(lambda: 0.0).reserve("g", cue.urgency, cue.interruptible, 0)
    job = new_job(cue, 1, 0.0, perf_counter_ns(), lane, "")
    job.opener = opener
    budget_s = fields.pop("budget_s", LONG_S)
    for name, value in fields.items():
        setattr(job, name, value)
    said, info = history(), cue.state.info
    prompts = PromptBuilder(lambda system, turns: "\n".join(text for _, text in turns), names_of(info))
    writer = LineWriter(
        Generator(handle),  # type: ignore[arg-type]
        prompts,
        gate_of(info),
        template_writer(info, said),
        said,
        SamplingParams(candidates=2),
        TextBudget(budget_s, budget_s, budget_s, budget_s),
    )
    return list(writer.write(job, lambda: False)), job, said


def test_while_an_opener_sounds_all_candidates_are_heard_out(cue: Cue) -> None:
    handle = Handle([whole(0, UNLIKELY, -3.0), TokenChunk(1, "", 0.0, 1), whole(1, LIKELY, -0.1)])
    said, job, _ = written(cue, handle, covered_until_s=perf_counter() + LONG_S)
    assert said == [LIKELY]
    assert job.source == "model"
    assert handle.cancelled


def test_without_sound_to_cover_it_nobody_waits_for_the_slowest(cue: Cue) -> None:
    said, job, _ = written(cue, Handle([whole(0, UNLIKELY, -3.0)], waits_for=1))
    assert said == [UNLIKELY]
    assert job.source == "model"


def test_when_the_opener_ends_what_is_there_is_taken_and_gone_on_with(cue: Cue) -> None:
    chunks = [TokenChunk(0, "Emil Hart scores for Northport! ", -1.0, 8), whole(0, "Northport lead one-nil.", -0.1)]
    chunks.append(TokenChunk(1, "", 0.0, 0, FinishReason.STOP))
    said, _, _ = written(cue, Handle(chunks), covered_until_s=perf_counter() + 0.061)
    assert " ".join(said) == "Emil Hart scores for Northport! Northport lead one-nil."


def test_nothing_in_time_leaves_it_to_a_template(cue: Cue) -> None:
    said, job, _ = written(cue, Handle([], waits_for=0), budget_s=0.0)
    assert (job.source, job.source_reason) == ("template", "no true line before the deadline")
    assert said


def test_a_template_goes_on_from_the_opener(cue: Cue) -> None:
    said, job, history = written(cue, Handle([whole(0, "Max Ferrow scores!", -0.1)]), "Goal! Hart!")
    assert job.source == "template"
    assert job.refusals
    assert not {"goal", "hart"} & {word.strip("!.,").lower() for word in " ".join(said).split()}
    assert history.last(1) == [f"Goal! Hart! {' '.join(said)}"]


def test_with_nothing_to_add_the_opener_stands_alone(cue: Cue) -> None:
    opener = " ".join(line.text for line in template_writer(cue.state.info).lines(cue))
    said, job, history = written(cue, Handle([whole(0, "Max Ferrow scores!", -0.1)]), opener)
    assert (said, job.source) == ([], "opener")
    assert history.last(1) == [opener]
