"""The TensorRT-LLM backend on one rank, over the double."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from commentary_llm.generation import FinishReason, GenerationHandle, GenerationRequest, SamplingParams
from commentary_llm.generation.tensorrt_llm.config import TensorRTLLMConfig
from commentary_llm.generation.tensorrt_llm.generator import TensorRTLLMGenerator, open_tensorrt_llm_generator
from commentary_llm.generation.tensorrt_llm.settings import Sampling
from commentary_llm.ground.errors import BusyError, ConfigError, EngineError, InputError, RankLostError

TIMEOUT_S = 30
PROMPT = "Goal! Messi scores for Argentina"


def request(text: str = PROMPT, prefix: str = "", **sampling: Any) -> GenerationRequest:
    return GenerationRequest(prefix, text, SamplingParams(**{"max_new_tokens": 100, **sampling}))


@pytest.fixture
def generator(double: Any, engines_1: Path) -> Iterator[TensorRTLLMGenerator]:
    config = TensorRTLLMConfig(engines_1, "llama3", max_waiting=12, stall_s=3.0)
    with open_tensorrt_llm_generator(config, None) as opened:
        yield opened


def expected_line(generator: TensorRTLLMGenerator, text: str, params: SamplingParams, candidate: int = 0) -> str:
    from tensorrt_llm.double.script import LINES, line_number

    seed = 0 if params.temperature == 0 else Sampling.of(params, candidate).seed
    return LINES[line_number(generator._tokenizer.encode(text), seed)]


def test_every_line_comes_whole_whatever_the_characters(generator: TensorRTLLMGenerator) -> None:
    from tensorrt_llm.double.script import LINES

    seen = set()
    for seed in range(5):
        params = {"temperature": 1.0, "seed": seed}
        handle = generator.submit(request(**params))
        chunks = list(handle)
        (completion,) = handle.result(TIMEOUT_S)
        assert completion.text == expected_line(generator, PROMPT, SamplingParams(**params))
        assert completion.finish_reason is FinishReason.STOP
        assert "".join(chunk.text for chunk in chunks) == completion.text
        assert not any("\ufffd" in chunk.text for chunk in chunks)
        assert sum(chunk.logprob for chunk in chunks) == pytest.approx(completion.logprob)
        assert sum(chunk.tokens for chunk in chunks) >= len(completion.token_ids)
        assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        assert chunks[-1].finish_reason is FinishReason.STOP
        seen.add(completion.text)
    assert seen == set(LINES)
    assert "tensorrt_llm 1.2.1 llama3, W8A16" in generator.description
    assert "1 rank" in generator.description


@pytest.mark.parametrize("end_token", [False, True])
@pytest.mark.parametrize("new_alone", [False, True])
def test_end_token_and_logprobs_in_either_form(
    generator: TensorRTLLMGenerator, double: Any, end_token: bool, new_alone: bool
) -> None:
    from tensorrt_llm.double.script import logprob

    double.control.end_token_in_output, double.control.logprobs_of_new_tokens_alone = end_token, new_alone
    completion = generator.submit(request()).result(TIMEOUT_S)[0]
    assert completion.text == expected_line(generator, PROMPT, SamplingParams())
    own = sum(logprob(token, at) for at, token in enumerate(completion.token_ids))
    if end_token:
        own += logprob(0, len(completion.token_ids))
    assert completion.logprob == pytest.approx(own)


def test_candidates_come_from_seeds_of_their_own(generator: TensorRTLLMGenerator) -> None:
    params = SamplingParams(temperature=0.7, seed=11, candidates=4, max_new_tokens=100)
    found = generator.submit(GenerationRequest("", PROMPT, params)).result(TIMEOUT_S)
    assert [completion.candidate for completion in found] == [0, 1, 2, 3]
    assert [completion.text for completion in found] == [
        expected_line(generator, PROMPT, params, candidate) for candidate in range(4)
    ]
    assert len({completion.text for completion in found}) > 1
    alone = SamplingParams(temperature=0.7, seed=11, max_new_tokens=100)
    assert generator.submit(GenerationRequest("", PROMPT, alone)).result(TIMEOUT_S)[0].text == found[0].text


def test_stop_string_across_chunks(generator: TensorRTLLMGenerator) -> None:
    for seed in range(5):
        params = {"temperature": 1.0, "seed": seed}
        whole = expected_line(generator, PROMPT, SamplingParams(**params))
        for stop in ("\n", "été, naïve", "and on", "日本 ⚽"):
            handle = generator.submit(request(stop=(stop,), **params))
            streamed = "".join(chunk.text for chunk in handle)
            (completion,) = handle.result(TIMEOUT_S)
            assert streamed == completion.text == whole.partition(stop)[0]
            assert completion.finish_reason is FinishReason.STOP


def test_a_stop_string_frees_the_slot_while_siblings_go_on(generator: TensorRTLLMGenerator, double: Any) -> None:
    double.control.endless = True
    handle = generator.submit(request(stop=("noise",), max_new_tokens=200))
    assert handle.result(TIMEOUT_S)[0].text == "The "
    generator.close()  # would wait for the sequence if it had not been cancelled


def test_length_ends_a_sequence(generator: TensorRTLLMGenerator, double: Any) -> None:
    double.control.endless = True
    (completion,) = generator.submit(request(max_new_tokens=7)).result(TIMEOUT_S)
    assert completion.finish_reason is FinishReason.LENGTH
    assert len(completion.token_ids) == 7


def test_cancel_running_and_queued(generator: TensorRTLLMGenerator, double: Any) -> None:
    double.control.endless = True
    running = generator.submit(request(max_new_tokens=200, candidates=4, temperature=1.0))
    queued = generator.submit(request(max_new_tokens=200))
    next(iter(running))
    for handle in (queued, running):
        generator.cancel(handle)
        generator.cancel(handle)
        assert {c.finish_reason for c in handle.result(TIMEOUT_S)} == {FinishReason.CANCELLED}
    assert queued.result(TIMEOUT_S)[0].text == ""
    assert generator.submit(request(max_new_tokens=3)).result(TIMEOUT_S)[0].finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize("as_cancelled", [False, True])
def test_deadlines_of_running_and_queued_requests(
    generator: TensorRTLLMGenerator, double: Any, as_cancelled: bool
) -> None:
    double.control.endless, double.control.timed_out_as_cancelled = True, as_cancelled
    double.control.step_s = 0.02
    params = SamplingParams(max_new_tokens=200, candidates=4, temperature=1.0)
    running = generator.submit(GenerationRequest("", PROMPT, params, deadline_ms=400))
    queued = generator.submit(GenerationRequest("", PROMPT, SamplingParams(max_new_tokens=200), deadline_ms=100))
    assert queued.result(TIMEOUT_S)[0].finish_reason is FinishReason.DEADLINE
    assert not running.finished  # type: ignore[attr-defined]
    found = running.result(TIMEOUT_S)
    assert {completion.finish_reason for completion in found} == {FinishReason.DEADLINE}
    assert all(completion.text for completion in found)


def test_the_executors_own_clock_ends_a_request_too(generator: TensorRTLLMGenerator, double: Any) -> None:
    """Where our clock is late: the response says TIMED_OUT, or in some releases CANCELLED."""
    double.control.endless = True
    for as_cancelled in (False, True):
        double.control.timed_out_as_cancelled = as_cancelled
        generator._session._look_at_clocks = lambda: None  # type: ignore[method-assign]
        handle = generator.submit(GenerationRequest("", PROMPT, SamplingParams(max_new_tokens=220), deadline_ms=60))
        assert handle.result(TIMEOUT_S)[0].finish_reason is FinishReason.DEADLINE


def test_priority_orders_the_queue(generator: TensorRTLLMGenerator, double: Any) -> None:
    double.control.step_s = 0.005
    blockers = generator.submit(request(max_new_tokens=30, candidates=4, temperature=1.0))
    handles = {}
    for priority in (-3, 0, 3):
        sampling = SamplingParams(max_new_tokens=3, candidates=1)
        handles[priority] = generator.submit(GenerationRequest("", PROMPT, sampling, priority=priority))
    order = [item[1]._priority for item in generator._executor._loop.queue]
    assert order == sorted(order, reverse=True)
    for handle in (*handles.values(), blockers):
        handle.result(TIMEOUT_S)


def test_prefix_is_reused_in_whole_blocks(generator: TensorRTLLMGenerator) -> None:
    prefix = "The referee points to the spot: penalty to France in the 80th minute, and nobody can believe it. " * 2
    tokens = generator.count_tokens(prefix)
    assert tokens > 40
    first = generator.submit(request("A", prefix))
    first.result(TIMEOUT_S)
    assert first.cached_tokens == 0
    handle = generator.submit(request("B", prefix))
    handle.result(TIMEOUT_S)
    assert handle.prompt_tokens == generator.count_tokens(prefix + "B")
    assert tokens - 32 < handle.cached_tokens <= tokens
    assert handle.cached_tokens % 32 == 0


def test_what_can_never_run_is_refused(generator: TensorRTLLMGenerator) -> None:
    for bad, message in (
        (request(""), "prompt is empty"),
        (request(candidates=5), "max_batch_size 4"),
        (request(max_new_tokens=250), "max_seq_len 256"),
        (request(top_p=2.0), "top_p"),
    ):
        with pytest.raises(InputError, match=message):
            generator.submit(bad)


def test_full_queue(generator: TensorRTLLMGenerator, double: Any) -> None:
    double.control.endless = True
    handles = [generator.submit(request(max_new_tokens=200, candidates=4, temperature=1.0))]
    next(iter(handles[0]))

    def fill() -> None:
        while len(handles) < 20:
            handles.append(generator.submit(request()))

    with pytest.raises(EngineError, match="queue of 12 sequences is full"):
        fill()
    for handle in handles:
        generator.cancel(handle)
        handle.result(TIMEOUT_S)
    while generator._session._running:  # cancelled requests leave the executor's queue only by becoming active
        time.sleep(0.005)
    assert generator.submit(request(max_new_tokens=3)).result(TIMEOUT_S)


def test_a_refused_request_fails_alone(generator: TensorRTLLMGenerator) -> None:
    other = generator.submit(request())
    generator._options = generator._options.__class__(max_seq_len=10_000)  # as if our own check had not seen it
    handle = generator.submit(request("goal " * 300))
    with pytest.raises(InputError, match="exceeds maximum input length"):
        handle.result(TIMEOUT_S)
    assert other.result(TIMEOUT_S)


def test_a_failed_step_fails_everything(generator: TensorRTLLMGenerator, double: Any) -> None:
    double.control.endless = True
    handles = [generator.submit(request(max_new_tokens=200)) for _ in range(3)]
    next(iter(handles[0]))
    double.control.fail_step = "CUDA error: an illegal memory access was encountered"
    for handle in handles:
        with pytest.raises(EngineError, match="illegal memory access"):
            handle.result(TIMEOUT_S)
    with pytest.raises(EngineError, match="illegal memory access"):
        generator.submit(request())


def test_silence_of_running_requests_is_noticed(double: Any, engines_1: Path) -> None:
    generator = open_tensorrt_llm_generator(TensorRTLLMConfig(engines_1, "llama3", stall_s=0.3), None)
    double.control.step_s = 1.5
    handle = generator.submit(request())
    with pytest.raises(RankLostError, match="silent"):
        handle.result(TIMEOUT_S)
    double.control.step_s = 0.001
    generator.close()


def test_close_ends_what_runs_and_what_waits(generator: TensorRTLLMGenerator, double: Any) -> None:
    double.control.endless = True
    handles = [generator.submit(request(max_new_tokens=200)) for _ in range(8)]
    next(iter(handles[0]))
    generator.close()
    generator.close()
    assert all(handle.result(TIMEOUT_S)[0].finish_reason is FinishReason.CANCELLED for handle in handles)
    with pytest.raises(EngineError, match="closed"):
        generator.submit(request())


@pytest.mark.parametrize("seed", range(4))
def test_whatever_callers_do_every_request_ends_and_nothing_is_left(
    generator: TensorRTLLMGenerator, double: Any, seed: int
) -> None:
    """Random requests, deadlines and cancellations from two threads; the rules hold and the executor drains."""
    double.control.endless, double.control.end_token_in_output = bool(seed % 2), seed >= 2
    handles: list[Any] = []
    refused: list[EngineError] = []

    def call(random: Random) -> None:
        for _ in range(25):
            sampling = SamplingParams(
                max_new_tokens=random.randint(1, 60),
                temperature=random.choice([0.0, 0.8]),
                seed=random.randint(0, 9),
                stop=random.choice([(), ("\n",), ("noise", "moment")]),
                candidates=random.randint(1, 4),
            )
            deadline_ms = random.choice([None, None, 1.0, 30.0])
            asked = GenerationRequest(
                "Goal! ", "x" * random.randint(1, 80), sampling, random.randint(-2, 2), deadline_ms
            )
            try:
                handles.append((generator.submit(asked), sampling))
            except EngineError as error:
                refused.append(error)
            if handles and random.random() < 0.4:
                generator.cancel(random.choice(handles)[0])
            time.sleep(random.random() * 0.01)

    callers = [threading.Thread(target=call, args=(Random(10 * seed + number),)) for number in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(TIMEOUT_S)
    for handle, sampling in handles:
        chunks, found = list(handle), handle.result(TIMEOUT_S)
        assert [completion.candidate for completion in found] == list(range(sampling.candidates))
        for completion in found:
            own = [chunk for chunk in chunks if chunk.candidate == completion.candidate]
            assert "".join(chunk.text for chunk in own) == completion.text
            assert own[-1].finish_reason is completion.finish_reason
            assert len(completion.token_ids) <= sampling.max_new_tokens
            assert not any(stop in completion.text for stop in sampling.stop)
    assert all("sequences is full" in str(error) for error in refused)
    generator.close()
    assert not generator._session._running


def test_the_caller_may_end_while_another_reads(generator: TensorRTLLMGenerator, double: Any) -> None:
    double.control.endless = True
    started = time.perf_counter()
    handle = generator.submit(request(max_new_tokens=220))
    chunks = iter(handle)
    assert next(chunks).text
    generator.cancel(handle)
    assert [chunk.finish_reason for chunk in chunks][-1] is FinishReason.CANCELLED
    assert time.perf_counter() - started < TIMEOUT_S


def calls_of(generator: TensorRTLLMGenerator, monkeypatch: pytest.MonkeyPatch, most: int = 99) -> list[int]:
    """How many sequences each call enqueues; more than `most` find the queue full."""
    sizes: list[int] = []
    enqueue = generator._executor.enqueue_requests

    def counted(requests: list[Any]) -> list[int]:
        sizes.append(len(requests))
        if len(requests) > most:
            raise RuntimeError("Maximum queue size of 12 has been reached")
        ids: list[int] = enqueue(requests)
        return ids

    monkeypatch.setattr(generator._executor, "enqueue_requests", counted)
    return sizes


def submit_together(generator: TensorRTLLMGenerator, *requests: GenerationRequest) -> list[GenerationHandle]:
    """Submits each on a thread of its own, at once."""
    start = threading.Barrier(len(requests))

    def submit(each: GenerationRequest) -> GenerationHandle:
        start.wait(TIMEOUT_S)
        return generator.submit(each)

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(submit, requests))


@pytest.fixture
def gathering(double: Any, engines_1: Path) -> Iterator[TensorRTLLMGenerator]:
    config = TensorRTLLMConfig(engines_1, "llama3", max_waiting=12, stall_s=3.0, batch_window_ms=10.0)
    with open_tensorrt_llm_generator(config, None) as opened:
        object.__setattr__(config, "batch_window_ms", 1e3 * TIMEOUT_S)  # no test waits so long: a full batch ends it
        yield opened


def test_two_matches_share_a_batch_and_one_is_cancelled(
    gathering: TensorRTLLMGenerator, double: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    double.control.step_s = 0.02
    sizes = calls_of(gathering, monkeypatch)
    ours, theirs = (request(f"Match {name}. {PROMPT}", f"Match {name}. ", candidates=2) for name in ("A", "B"))
    alone = [expected_line(gathering, each.prefix + each.text, each.sampling) for each in (ours, theirs)]
    first, second = submit_together(gathering, ours, theirs)
    assert sizes == [4]
    next(iter(first))
    gathering.cancel(second)
    assert {each.finish_reason for each in second.result(TIMEOUT_S)} == {FinishReason.CANCELLED}
    assert [(each.text, each.finish_reason) for each in first.result(TIMEOUT_S)] == [(alone[0], FinishReason.STOP)] * 2
    # A lone request beside a running one waits for nobody.
    running = gathering.submit(request(candidates=4, max_new_tokens=200))
    gathering.submit(request()).result(TIMEOUT_S)
    running.result(TIMEOUT_S)


def test_of_requests_gathered_those_that_fit_the_queue_are_taken(
    gathering: TensorRTLLMGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = calls_of(gathering, monkeypatch, most=2)
    start = threading.Barrier(2)

    def submit(candidates: int) -> str:
        start.wait(TIMEOUT_S)
        try:
            return gathering.submit(request(candidates=candidates)).result(TIMEOUT_S)[0].text
        except BusyError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        refused, taken = pool.map(submit, (3, 1))
    assert "queue of 12 sequences is full" in refused
    assert taken == expected_line(gathering, PROMPT, SamplingParams())
    assert sizes[0] == 4
    assert sorted(sizes[1:]) == [1, 3]


def test_closing_ends_the_wait_for_others(double: Any, engines_1: Path) -> None:
    config = TensorRTLLMConfig(engines_1, "llama3", batch_window_ms=10.0)
    opened = open_tensorrt_llm_generator(config, None)
    object.__setattr__(config, "batch_window_ms", 1e3 * TIMEOUT_S)
    with ThreadPoolExecutor(1) as pool:
        submitted = pool.submit(opened.submit, request())
        while not opened._session._gathering:
            time.sleep(0.001)
        opened.close()
        with pytest.raises(EngineError, match="closed"):
            submitted.result(TIMEOUT_S)


@pytest.mark.parametrize(
    ("options", "text"), [({"kv_slots": 3}, "kv_slots is 3, expected 4"), ({"batch_window_ms": 11}, "0 to 10")]
)
def test_wrong_options_are_named(double: Any, engines_1: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        open_tensorrt_llm_generator(TensorRTLLMConfig(engines_1, "llama3", **options), None)
