"""The whole generator on one rank with the tiny model."""

from __future__ import annotations

import dataclasses
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from commentary_llm.artifacts.llama import read_config
from commentary_llm.generation import FinishReason, GenerationHandle, GenerationRequest, SamplingParams
from commentary_llm.generation.registry import select_backend
from commentary_llm.generation.torch.backend import TorchBackendConfig, kv_slots_of, slot_bytes
from commentary_llm.generation.torch.config import model_config
from commentary_llm.generation.torch.cuda.library import load_kernels
from commentary_llm.generation.torch.generator import TorchGenerator, open_torch_generator
from commentary_llm.generation.torch.kv_cache import KVCache
from commentary_llm.generation.torch.protocol import StepPlan
from commentary_llm.ground.errors import ConfigError, EngineError, InputError
from commentary_llm.settings import EngineConfig

TIMEOUT_S = 60
PROMPT = "Goal! Messi scores for Argentina"


def request(text: str = PROMPT, prefix: str = "", **sampling: object) -> GenerationRequest:
    return GenerationRequest(prefix, text, SamplingParams(**sampling))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def generator(tiny_shards: dict[int, Path]) -> Iterator[TorchGenerator]:
    config = TorchBackendConfig(tiny_shards[1], compute_dtype="float32", max_batch=4, max_context=400, max_waiting=4)
    with open_torch_generator(config, None) as opened:
        yield opened


def test_stream_result_and_description(generator: TorchGenerator) -> None:
    handle = generator.submit(request(max_new_tokens=24, temperature=1.0, seed=2))
    chunks = list(handle)
    (completion,) = handle.result(TIMEOUT_S)
    assert "".join(chunk.text for chunk in chunks) == completion.text
    assert sum(chunk.logprob for chunk in chunks) == pytest.approx(completion.logprob)
    assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].finish_reason is completion.finish_reason
    assert list(handle) == []
    assert handle.prompt_tokens == generator.count_tokens(PROMPT)
    assert "1 rank" in generator.description


def test_prefix_reuse_changes_no_token(generator: TorchGenerator) -> None:
    prefix = "The referee points to the spot: penalty to France. "
    first = generator.submit(request("A", prefix, max_new_tokens=12)).result(TIMEOUT_S)
    generator.submit(request("B", prefix, max_new_tokens=12)).result(TIMEOUT_S)
    handle = generator.submit(request("A", prefix, max_new_tokens=12))
    assert handle.result(TIMEOUT_S)[0].token_ids == first[0].token_ids
    assert handle.cached_tokens >= generator.count_tokens(prefix) - 1


def test_candidates_do_not_depend_on_the_rest_of_the_batch(generator: TorchGenerator) -> None:
    def sampled(count: int) -> list[tuple[int, ...]]:
        handle = generator.submit(request(max_new_tokens=16, temperature=0.9, top_p=0.95, seed=7, candidates=count))
        return [completion.token_ids for completion in handle.result(TIMEOUT_S)]

    four = sampled(4)
    assert len(set(four)) > 1
    assert sampled(1) == four[:1]
    other = generator.submit(request("The referee", max_new_tokens=40, temperature=1.0))
    assert sampled(2) == four[:2]
    other.result(TIMEOUT_S)


def test_stop_string_ends_the_text_before_it(generator: TorchGenerator) -> None:
    text = generator.submit(request(max_new_tokens=30)).result(TIMEOUT_S)[0].text
    stop = text[len(text) // 2 :][:3]
    handle = generator.submit(request(max_new_tokens=30, stop=(stop,)))
    streamed = "".join(chunk.text for chunk in handle)
    (completion,) = handle.result(TIMEOUT_S)
    assert completion.finish_reason is FinishReason.STOP
    assert streamed == completion.text == text[: text.index(stop)]


def test_cancel_running_and_waiting(generator: TorchGenerator) -> None:
    running = generator.submit(request(max_new_tokens=300, temperature=1.0, candidates=4))
    waiting = generator.submit(request(max_new_tokens=300))
    chunks = iter(running)
    next(chunks)
    generator.cancel(waiting)
    generator.cancel(running)
    assert waiting.result(TIMEOUT_S)[0].finish_reason is FinishReason.CANCELLED
    reasons = {completion.finish_reason for completion in running.result(TIMEOUT_S)}
    assert FinishReason.CANCELLED in reasons
    generator.cancel(running)  # a second time does nothing
    assert len(generator.submit(request(max_new_tokens=3)).result(TIMEOUT_S)) == 1


def test_deadline(generator: TorchGenerator) -> None:
    handle = generator.submit(GenerationRequest("", PROMPT, SamplingParams(max_new_tokens=300), deadline_ms=0.01))
    assert handle.result(TIMEOUT_S)[0].finish_reason is FinishReason.DEADLINE


def test_what_can_never_run_is_refused(generator: TorchGenerator) -> None:
    for bad, message in (
        (request(""), "prompt is empty"),
        (request(candidates=5), "max_batch 4"),
        (request(max_new_tokens=500), "max_context 400"),
        (request(top_p=2.0), "top_p"),
    ):
        with pytest.raises(InputError, match=message):
            generator.submit(bad)
    blocker = generator.submit(request(max_new_tokens=300, temperature=1.0, candidates=4))
    handles: list[GenerationHandle] = []

    def fill() -> None:
        while len(handles) < 20:
            handles.append(generator.submit(request(max_new_tokens=1)))

    with pytest.raises(EngineError, match="requests are waiting"):
        fill()
    for handle in [blocker, *handles]:
        generator.cancel(handle)
        handle.result(TIMEOUT_S)


def test_two_matches_share_a_batch_and_one_is_cancelled(
    tiny_shards: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TorchBackendConfig(tiny_shards[1], "float32", max_batch=4, max_context=400, batch_window_ms=10.0)
    prefixes = [f"Match {name}: the referee points to the spot. " for name in "AB"]
    with open_torch_generator(config, None) as generator:

        def asked(prefix: str, most: int) -> GenerationRequest:
            return request("Who?", prefix, max_new_tokens=most, temperature=0.8, seed=5, candidates=2)

        alone = [generator.submit(asked(prefix, 24)).result(TIMEOUT_S) for prefix in prefixes]
        object.__setattr__(config, "batch_window_ms", 1e3 * TIMEOUT_S)  # no test waits so long: a full batch ends it
        plans: list[StepPlan] = []
        run = generator._loop._plans._runner.run
        monkeypatch.setattr(generator._loop._plans._runner, "run", lambda plan: (plans.append(plan), run(plan))[1])
        # In turn, each time the other one is cancelled.
        for kept, cancelled in ((0, 1), (1, 0)):
            plans.clear()
            handles = {
                kept: generator.submit(asked(prefixes[kept], 24)),
                cancelled: generator.submit(asked(prefixes[cancelled], 300)),
            }
            next(iter(handles[cancelled]))
            generator.cancel(handles[cancelled])
            reasons = {each.finish_reason for each in handles[cancelled].result(TIMEOUT_S)}
            assert reasons == {FinishReason.CANCELLED}
            found = handles[kept].result(TIMEOUT_S)
            assert [each.token_ids for each in found] == [each.token_ids for each in alone[kept]]
            assert len([span for span in plans[0].spans if span.draws]) == 2  # both prompts in the first step


def test_prefixes_of_more_matches_than_decode_at_once_stay(tiny_shards: dict[int, Path]) -> None:
    config = TorchBackendConfig(tiny_shards[1], "float32", max_batch=2, kv_slots=6, max_context=400)
    prefixes = [f"Match {name}: the referee points to the spot once more. " for name in "ABCDE"]
    with open_torch_generator(config, None) as generator:
        for turn in range(3):
            for prefix in prefixes:
                handle = generator.submit(request("Who?", prefix, max_new_tokens=4, candidates=2))
                handle.result(TIMEOUT_S)
                assert turn == 0 or handle.cached_tokens >= generator.count_tokens(prefix)


def test_slots_follow_from_memory_and_are_settable(tiny_shards: dict[int, Path]) -> None:
    config = TorchBackendConfig(tiny_shards[1], max_context=400)
    model = model_config(read_config(tiny_shards[1]), 1, "here")
    assert kv_slots_of(config, model) == config.max_batch + 16
    shape = dataclasses.replace(model.local, layers=32, kv_heads=32, head_dim=128)
    big = dataclasses.replace(model, local=shape)  # a slot takes 400 MiB on a CPU, half of it on a GPU
    assert slot_bytes(config, big) == 400 * 2**20
    assert kv_slots_of(config, big) == config.max_batch
    assert kv_slots_of(dataclasses.replace(config, max_batch=2), big) == 5
    assert kv_slots_of(dataclasses.replace(config, device="cuda"), big) == config.max_batch + 16
    assert kv_slots_of(dataclasses.replace(config, kv_slots=9), big) == 9
    with pytest.raises(ConfigError, match="kv_slots is 7, expected max_batch 8 or more"):
        TorchBackendConfig(tiny_shards[1], kv_slots=7)
    with pytest.raises(ConfigError, match="batch_window_ms is 11"):
        TorchBackendConfig(tiny_shards[1], batch_window_ms=11)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_slots_take_memory_as_they_are_filled(tiny_shards: dict[int, Path]) -> None:
    model = model_config(read_config(tiny_shards[1]), 1, "here")
    row_bytes = slot_bytes(TorchBackendConfig(tiny_shards[1], max_context=2), model) // 2
    before = resident_bytes()
    cache = KVCache(model, 2**29 // 2**12 // row_bytes, 2**12, torch.float32, torch.device("cpu"))
    assert cache.size_bytes > 2**28
    assert resident_bytes() - before < cache.size_bytes // 8
    keys, values = cache.read(0, 0, 2, 2**12)
    assert not keys.any()
    assert not values.any()


def test_chat_uses_the_template(generator: TorchGenerator) -> None:
    text = generator.chat("Be brief.", [("user", "Who scored?")])
    assert text == "<|start|>system: Be brief.\n<|start|>user: Who scored?\n<|start|>assistant: "


def test_closed_generator_refuses(tiny_shards: dict[int, Path]) -> None:
    generator = open_torch_generator(TorchBackendConfig(tiny_shards[1], max_context=100), None)
    handle = generator.submit(request(max_new_tokens=60, temperature=1.0))
    generator.close()
    generator.close()
    assert handle.result(TIMEOUT_S)
    with pytest.raises(EngineError, match="closed"):
        generator.submit(request())


def test_wrong_rank_count_names_both_and_the_command(tiny_shards: dict[int, Path]) -> None:
    with pytest.raises(ConfigError, match=r"1 MPI ranks .* cut for 2.*checkpoints shard --model tied --ranks 1"):
        open_torch_generator(TorchBackendConfig(tiny_shards[2]), None)


def test_backend_choice() -> None:
    options = EngineConfig().station.model_options
    assert select_backend("auto", options).name == "torch"
    assert select_backend("torch", options).name == "torch"
    assert select_backend("tensorrt_llm", options).name == "tensorrt_llm"
    with pytest.raises(ConfigError, match="expected one of"):
        select_backend("vllm", options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_is_named(tiny_shards: dict[int, Path]) -> None:
    with pytest.raises(ConfigError, match="torch sees no CUDA GPU"):
        open_torch_generator(TorchBackendConfig(tiny_shards[1], device="cuda", max_context=400), None)


def test_device_and_precision_have_to_go_together(tiny_shards: dict[int, Path]) -> None:
    with pytest.raises(ConfigError, match="device is 'tpu', expected 'cpu' or 'cuda'"):
        TorchBackendConfig(tiny_shards[1], device="tpu")
    with pytest.raises(ConfigError, match="'cuda' computes in 'int8' alone"):
        TorchBackendConfig(tiny_shards[1], device="cuda", compute_dtype="float32")


@pytest.mark.parametrize(("has_vnni", "expected"), [(True, "int8"), (False, "float32")])
def test_auto_takes_what_the_processor_is_quick_at(
    tiny_shards: dict[int, Path], monkeypatch: pytest.MonkeyPatch, has_vnni: bool, expected: str
) -> None:
    # An AVX2 processor multiplied INT8 twenty times slower than float32, and lines came seconds late.
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: has_vnni)
    with open_torch_generator(TorchBackendConfig(tiny_shards[1], max_context=400), None) as generator:
        assert f"INT8 weights, {expected}, cpu" in generator.description
    with open_torch_generator(TorchBackendConfig(tiny_shards[1], "int8", max_context=400), None) as generator:
        assert "INT8 weights, int8, cpu" in generator.description


def test_kernel_is_for_hopper_alone() -> None:
    with pytest.raises(ConfigError, match=r"compute capability is 8\.9"):
        load_kernels((8, 9))
