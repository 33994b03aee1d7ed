"""Plans that run ahead of the tokens heard of give the same texts as steps one by one."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from device_double import DeviceDouble, drawing_on_device

from commentary_llm.generation import FinishReason, GenerationRequest, SamplingParams
from commentary_llm.generation.torch.backend import TorchBackendConfig
from commentary_llm.generation.torch.generator import TorchGenerator, open_torch_generator
from commentary_llm.generation.torch.runner import StepRunner
from commentary_llm.ground.device_turn import DeviceTurn
from commentary_llm.ground.errors import ConfigError, EngineError

TIMEOUT_S, STEPS, CONTEXT = 60, 4, 256
PROMPT = "Goal! Messi scores for Argentina"
WILD = SamplingParams(max_new_tokens=40, temperature=1.1, top_p=0.95, repetition_penalty=1.2, seed=6, candidates=4)
GREEDY = SamplingParams(max_new_tokens=30)
NEVER_ENDS = 200  # tokens: cancelled or late long before


def config(shards: dict[int, Path]) -> TorchBackendConfig:
    return TorchBackendConfig(
        shards[1], compute_dtype="float32", max_batch=4, max_context=CONTEXT, max_step_tokens=24, steps_ahead=STEPS
    )


@pytest.fixture(scope="module")
def plain(tiny_shards: dict[int, Path]) -> Iterator[TorchGenerator]:
    with open_torch_generator(config(tiny_shards), None) as opened:
        yield opened


@pytest.fixture(scope="module")
def opened(tiny_shards: dict[int, Path]) -> Iterator[tuple[TorchGenerator, DeviceDouble]]:
    with drawing_on_device() as made:
        generator = open_torch_generator(config(tiny_shards), None)
    with generator:
        yield generator, made[0]


@pytest.fixture
def ahead(opened: tuple[TorchGenerator, DeviceDouble]) -> TorchGenerator:
    return opened[0]


@pytest.fixture
def device(opened: tuple[TorchGenerator, DeviceDouble]) -> DeviceDouble:
    """Its plans are those of the test alone."""
    opened[1].plans.clear()
    return opened[1]


def tokens(generator: TorchGenerator, params: SamplingParams, text: str = PROMPT) -> list[tuple[int, ...]]:
    completions = generator.submit(GenerationRequest("", text, params)).result(TIMEOUT_S)
    return [completion.token_ids for completion in completions]


@pytest.mark.parametrize("params", [GREEDY, SamplingParams(25, repetition_penalty=1.5, candidates=2), WILD])
def test_same_chunks_and_completions(plain: TorchGenerator, ahead: TorchGenerator, params: SamplingParams) -> None:
    found = []
    for generator in (plain, ahead):
        handle = generator.submit(GenerationRequest("", PROMPT, params))
        chunks = [(chunk.candidate, chunk.text, chunk.tokens, chunk.finish_reason) for chunk in handle]
        found.append((chunks, [(c.token_ids, c.text, c.finish_reason) for c in handle.result(TIMEOUT_S)]))
    assert found[0] == found[1]  # chunks of candidates alternate as they do step by step


def test_logprobs_are_the_same(plain: TorchGenerator, ahead: TorchGenerator) -> None:
    expected, found = (
        [c.logprob for c in generator.submit(GenerationRequest("", PROMPT, WILD)).result(TIMEOUT_S)]
        for generator in (plain, ahead)
    )
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("most", "repeats"), [(1, [1]), (3, [1, 2]), (10, [1, 4, 4, 1])])
def test_steps_run_ahead_and_no_further(
    ahead: TorchGenerator, device: DeviceDouble, most: int, repeats: list[int]
) -> None:
    (found,) = tokens(ahead, SamplingParams(most))
    assert len(found) == most  # it does not end by itself
    assert [plan.repeats for plan in device.plans] == repeats


def test_text_up_to_the_end_of_the_slot(plain: TorchGenerator, ahead: TorchGenerator) -> None:
    room = CONTEXT - ahead.count_tokens(PROMPT)
    whole = SamplingParams(room, temperature=1.5, seed=1, candidates=2)
    long = ahead.submit(GenerationRequest("", "90+4", SamplingParams(NEVER_ENDS, temperature=1.5, seed=2)))
    assert tokens(ahead, whole) == tokens(plain, whole)
    ahead.cancel(long)
    long.result(TIMEOUT_S)


def test_stop_strings(plain: TorchGenerator, ahead: TorchGenerator) -> None:
    text = plain.submit(GenerationRequest("", PROMPT, GREEDY)).result(TIMEOUT_S)[0].text
    for place in (3, len(text) // 3, len(text) // 2):
        params = SamplingParams(30, stop=(text[place:][:3],))
        handle = ahead.submit(GenerationRequest("", PROMPT, params))
        streamed = "".join(chunk.text for chunk in handle)
        (completion,) = handle.result(TIMEOUT_S)
        assert completion.finish_reason is FinishReason.STOP
        assert streamed == completion.text == text[: text.index(params.stop[0])]
        assert tokens(plain, params) == [completion.token_ids]


def test_cancelled_and_late_requests_end_within_two_plans(ahead: TorchGenerator, device: DeviceDouble) -> None:
    params = SamplingParams(NEVER_ENDS, temperature=1.0, seed=3, candidates=4)
    running = ahead.submit(GenerationRequest("", PROMPT, params))
    waiting = ahead.submit(GenerationRequest("", PROMPT, GREEDY, deadline_ms=1))
    chunks = iter(running)
    for _ in range(20):
        next(chunks)
    ahead.cancel(running)
    assert waiting.result(TIMEOUT_S)[0].finish_reason is FinishReason.DEADLINE
    assert FinishReason.CANCELLED in {each.finish_reason for each in running.result(TIMEOUT_S)}
    planned = len(device.plans)
    assert len(tokens(ahead, SamplingParams(2))) == 1  # the slots are free
    assert len(device.plans) <= planned + 1 + 2
    late = ahead.submit(
        GenerationRequest("", PROMPT, SamplingParams(NEVER_ENDS, temperature=1.0, seed=3), deadline_ms=25)
    )
    assert late.result(TIMEOUT_S)[0].finish_reason is FinishReason.DEADLINE


def test_a_text_is_reused_as_a_prefix_up_to_its_surplus(plain: TorchGenerator, ahead: TorchGenerator) -> None:
    first = SamplingParams(14, temperature=0.8, seed=11)
    text = ahead.submit(GenerationRequest("", PROMPT, first)).result(TIMEOUT_S)[0].text
    stop = text[len(text) // 2 :][:2]
    ahead.submit(GenerationRequest("", PROMPT, SamplingParams(14, temperature=0.8, seed=11, stop=(stop,)))).result(
        TIMEOUT_S
    )
    for more in ("", " and", " scores again"):
        prompt = PROMPT + text + more
        handle = ahead.submit(GenerationRequest("", prompt, WILD))
        found = [completion.token_ids for completion in handle.result(TIMEOUT_S)]
        assert handle.cached_tokens >= ahead.count_tokens(PROMPT) - 1
        assert found == tokens(plain, WILD, prompt)


def test_random_requests_and_cancellations(plain: TorchGenerator, ahead: TorchGenerator) -> None:
    draw = random.Random(8)
    texts = (PROMPT, PROMPT + " and the keeper", "The referee points to the spot", "Mbappé — 90+4 minutes " * 3)
    expected: dict[tuple[str, int], list[tuple[int, ...]]] = {}
    submitted = []
    for number in range(40):
        text, kind = draw.choice(texts), draw.randrange(4)
        params = SamplingParams(
            (1, 7, 20, 33)[kind], temperature=(0.0, 1.0)[kind % 2], top_p=0.9, seed=kind, candidates=kind + 1
        )
        deadline_ms = draw.choice((None, None, None, 15.0))
        request = GenerationRequest("", text, params, draw.randrange(3), deadline_ms)
        handle = ahead.submit(request)
        submitted.append((handle, request, kind))
        if draw.random() < 0.25:
            ahead.cancel(draw.choice(submitted)[0])
        if number % 4 == 3:
            time.sleep(draw.random() * 0.05)
    whole = 0
    for handle, request, kind in submitted:
        key = (request.text, kind)
        if key not in expected:
            expected[key] = tokens(plain, request.sampling, request.text)
        for completion, right in zip(handle.result(TIMEOUT_S), expected[key], strict=True):
            if completion.finish_reason in (FinishReason.STOP, FinishReason.LENGTH):
                whole += 1
                assert completion.token_ids == right
            else:
                assert completion.token_ids == right[: len(completion.token_ids)]
    assert whole > 20


def test_a_failure_on_the_device_ends_every_request(
    tiny_shards: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> object:
        raise EngineError("the device is gone")

    with drawing_on_device():
        generator = open_torch_generator(config(tiny_shards), None)
    tokens(generator, GREEDY)
    monkeypatch.setattr(StepRunner, "logits", failing)
    handle = generator.submit(GenerationRequest("", PROMPT, GREEDY))
    with pytest.raises(EngineError, match="the device is gone"):
        handle.result(TIMEOUT_S)
    generator.close()


def test_at_least_one_step_a_plan(tiny_shards: dict[int, Path]) -> None:
    with pytest.raises(ConfigError, match="steps_ahead is 0, expected 1 or more"):
        TorchBackendConfig(tiny_shards[1], steps_ahead=0)


def test_the_voice_is_let_past(tiny_shards: dict[int, Path]) -> None:
    turn = DeviceTurn(TIMEOUT_S)
    with drawing_on_device() as made:
        generator = open_torch_generator(config(tiny_shards), None, turn)
    with generator:
        with turn.speech():
            handle = generator.submit(GenerationRequest("", PROMPT, GREEDY))
            time.sleep(0.2)
            assert not made[0].plans
        assert handle.result(TIMEOUT_S)


def test_what_runs_is_read_while_the_voice_has_its_turn(tiny_shards: dict[int, Path]) -> None:
    turn = DeviceTurn(TIMEOUT_S)
    with drawing_on_device() as made:
        generator = open_torch_generator(config(tiny_shards), None, turn)
    with generator:
        handle = generator.submit(GenerationRequest("", PROMPT, SamplingParams(NEVER_ENDS)))
        next(iter(handle))
        with turn.speech():
            time.sleep(0.2)
            planned = len(made[0].plans)
            assert made[0]._in_flight == 0
            time.sleep(0.2)
            assert len(made[0].plans) == planned
        handle.result(TIMEOUT_S)
        assert len(made[0].plans) > planned
