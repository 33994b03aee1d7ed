"""The double refuses what the real library forbids, so that a wrong call of ours cannot pass unseen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

SHORT = timedelta(milliseconds=20)
Make = Callable[..., Any]


@pytest.fixture
def library(double: Any) -> Any:
    import tensorrt_llm.bindings.executor as bindings

    return bindings


@pytest.fixture
def executor(library: Any, engines_1: Path) -> Iterator[Any]:
    made = library.Executor(str(engines_1), library.ModelType.DECODER_ONLY, library.ExecutorConfig(max_queue_size=5))
    yield made
    made.shutdown()


def request(library: Any, **options: Any) -> Any:
    given = {
        "streaming": True,
        "sampling_config": library.SamplingConfig(1, top_k=1),
        "output_config": library.OutputConfig(exclude_input_from_output=True),
        "end_id": 0,
        "pad_id": 0,
    }
    return library.Request(options.pop("tokens", [5, 6, 7]), options.pop("max_tokens", 4), **{**given, **options})


def noted(double: Any) -> list[str]:
    found = list(double.broken)
    double.broken.clear()
    return found


def test_positional_and_keyword_arguments(library: Any, double: Any) -> None:
    with pytest.raises(TypeError):
        library.Request([1], 1, True)
    with pytest.raises(TypeError):
        library.Request([1], 1, top_k=1)
    with pytest.raises(TypeError):
        library.Request((1, 2), 1.5)
    with pytest.raises(TypeError):
        library.SamplingConfig(1, 5)
    with pytest.raises(TypeError):
        library.ExecutorConfig(cuda_graph_mode=True)
    with pytest.raises(TypeError):
        library.ExtendedRuntimePerfKnobConfig(cuda_graph_mode=True)
    with pytest.raises(TypeError, match="allotted"):
        library.Request([1], 1, allotted_time_ms=0.5, end_id=0, pad_id=0)
    with pytest.raises(RuntimeError, match="priority"):
        library.Request([1], 1, priority=2.0, end_id=0, pad_id=0)
    assert all("exclude_input" in rule for rule in noted(double))


def test_a_request_without_end_is_noted(library: Any, double: Any) -> None:
    library.Request([1], 1)
    library.SamplingConfig(1, temperature=0.5)
    assert len(noted(double)) == 3


def test_result_and_error_exclude_each_other(library: Any, double: Any, executor: Any) -> None:
    (number,) = executor.enqueue_requests([request(library, max_tokens=1)])
    (response,) = executor.await_responses(timeout=timedelta(seconds=5))
    assert response.request_id == number
    assert not response.has_error()
    with pytest.raises(RuntimeError, match="without an error"):
        _ = response.error_msg
    with pytest.raises(AttributeError):
        response.result.is_final = True
    (again,) = executor.await_responses(number, timeout=SHORT)
    assert "already been processed" in again.error_msg
    with pytest.raises(RuntimeError, match="error response"):
        _ = again.result
    assert len(noted(double)) == 2


def test_unknown_ids_are_waited_for(library: Any, executor: Any) -> None:
    assert executor.await_responses(4711, timeout=SHORT) == []
    assert executor.await_responses(timeout=SHORT) == []
    with pytest.raises(TypeError):
        executor.await_responses(timeout=0.02)
    waiting = threading.Thread(target=executor.await_responses, args=(4711,), daemon=True)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()


def test_streaming_sends_new_tokens_alone(library: Any, double: Any, executor: Any) -> None:
    double.control.endless = True
    executor.enqueue_request(request(library, max_tokens=4))
    tokens, final = [], False
    while not final:
        for response in executor.await_responses(timeout=timedelta(seconds=5)):
            tokens.append(response.result.output_token_ids[0])
            final = response.result.is_final
    assert [len(each) for each in tokens] == [1, 1, 1, 1]


def test_full_queue_and_too_long_prompts(library: Any, double: Any, executor: Any) -> None:
    double.control.endless, double.control.step_s = True, 0.01
    with pytest.raises(RuntimeError, match="Maximum queue size of 5 has been reached"):
        executor.enqueue_requests([request(library) for _ in range(6)])
    number = executor.enqueue_request(request(library, tokens=[1] * 300))
    (response,) = executor.await_responses(number, timeout=timedelta(seconds=5))
    assert "exceeds maximum input length" in response.error_msg
    assert noted(double) == []  # these are the caller's to handle


def test_calls_after_shutdown(library: Any, double: Any, executor: Any) -> None:
    executor.shutdown()
    executor.shutdown()
    assert not executor.can_enqueue_requests()
    for call in (
        lambda: executor.enqueue_request(request(library)),
        lambda: executor.await_responses(timeout=SHORT),
        lambda: executor.cancel_request(1),
    ):
        with pytest.raises(RuntimeError, match="Shutdown called"):
            call()
    assert len(noted(double)) == 3


def test_what_is_queued_at_shutdown_vanishes(library: Any, double: Any, engines_1: Path) -> None:
    double.control.endless, double.control.step_s = True, 0.05
    executor = library.Executor(engines_1, library.ModelType.DECODER_ONLY, library.ExecutorConfig(max_batch_size=1))
    executor.enqueue_requests([request(library, max_tokens=3)])
    executor.await_responses(timeout=timedelta(seconds=5))
    executor.enqueue_requests([request(library)])
    executor.shutdown()
    assert "vanish without a response" in noted(double)[0]


def test_a_dropped_executor_is_noted(library: Any, double: Any, engines_1: Path) -> None:
    executor = library.Executor(engines_1, library.ModelType.DECODER_ONLY, library.ExecutorConfig())
    executor.__del__()
    executor.shutdown()
    assert noted(double) == ["an executor was dropped without shutdown()"]


def test_a_cancelled_request_ends_with_a_response(library: Any, double: Any, executor: Any) -> None:
    double.control.endless = True
    number = executor.enqueue_request(request(library, max_tokens=200))
    executor.await_responses(number, timeout=timedelta(seconds=5))
    executor.cancel_request(number)
    responses = []
    while not (responses and responses[-1].result.is_final):
        responses += executor.await_responses(number, timeout=timedelta(seconds=5))
    assert responses[-1].result.finish_reasons == [library.FinishReason.CANCELLED]
    executor.cancel_request(number)  # finished ids are ignored


def test_one_engine_does_not_lead_two_ranks(library: Any, double: Any, engines_1: Path, tmp_path: Path) -> None:
    config = (engines_1 / "config.json").read_text(encoding="utf-8")
    (tmp_path / "config.json").write_text(config.replace('"tp_size": 1', '"tp_size": 2'), encoding="utf-8")
    with pytest.raises(RuntimeError, match="MPI worldSize is expected to be equal"):
        library.Executor(tmp_path, library.ModelType.DECODER_ONLY, library.ExecutorConfig())
    assert noted(double)


def test_builder_rules(double: Any, trt_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tensorrt_llm.builder import BuildConfig, build
    from tensorrt_llm.mapping import Mapping
    from tensorrt_llm.models import LLaMAForCausalLM
    from tensorrt_llm.models.modeling_utils import QuantConfig
    from tensorrt_llm.plugin import PluginConfig
    from tensorrt_llm.quantization import QuantAlgo

    source = trt_home / "models" / "llama3"
    w8a16 = QuantConfig(quant_algo=QuantAlgo.W8A16)
    with pytest.raises(TypeError):
        LLaMAForCausalLM.from_hugging_face(source, quant_config=w8a16)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="from_hugging_face"):
        LLaMAForCausalLM.quantize(str(source), str(tmp_path / "q"), quant_config=w8a16)
    assert PluginConfig(reduce_fusoin=True).reduce_fusion is False  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="reduce_fusoin"):
        BuildConfig(reduce_fusoin=True)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="world_size"):
        Mapping(world_size=2, tp_size=4)
    model = LLaMAForCausalLM.from_hugging_face(str(source), quant_config=w8a16)
    assert model.config.rotary_base == 10000.0
    with pytest.raises(ValueError, match="use_fused_mlp"):
        build(model, BuildConfig())
    monkeypatch.chdir(tmp_path)
    build(model, BuildConfig(plugin_config=PluginConfig(use_fused_mlp=False)))
    assert noted(double) == ["the timing cache would be written to the working directory"]
    LLaMAForCausalLM.from_hugging_face(str(source), mapping=Mapping(2, 1, tp_size=2), quant_config=w8a16)
    assert "converts on GPU 0" in noted(double)[0]
