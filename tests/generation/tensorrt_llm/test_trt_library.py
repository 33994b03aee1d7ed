"""What is probed at start-up: an installation that differs from 1.2.1 is named, not used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from checkpoints.tensorrt_llm.calibration import SAMPLES, calibration_texts, check_calibration, write_calibration
from checkpoints.tensorrt_llm.library import builder_library
from commentary_llm.generation.tensorrt_llm.library import executor_bindings
from commentary_llm.generation.tensorrt_llm.responses import StepFailed, error_of, read_piece
from commentary_llm.generation.tensorrt_llm.settings import priority_of
from commentary_llm.ground.errors import ConfigError, EngineError, InputError


def test_the_double_passes_the_probes(double: Any) -> None:
    assert executor_bindings().Executor
    assert builder_library().build


def test_a_keyword_that_is_gone(double: Any) -> None:
    double.control.without = "max_queue_size"
    with pytest.raises(ConfigError, match=r"max_queue_size \(documented as: __init__\(self, max_beam"):
        executor_bindings()
    double.control.without = ""


@pytest.mark.parametrize(
    ("owner", "name", "expected"),
    [
        ("Executor", "cancel_request", "Executor has no cancel_request"),
        ("Result", "log_probs", "Result has no log_probs"),
        ("Response", "has_error", "Response has no has_error"),
    ],
)
def test_an_attribute_that_is_gone(
    double: Any, monkeypatch: pytest.MonkeyPatch, owner: str, name: str, expected: str
) -> None:
    import tensorrt_llm.bindings.executor as bindings

    monkeypatch.delattr(getattr(bindings, owner), name)
    with pytest.raises(ConfigError, match=expected):
        executor_bindings()


def test_a_name_or_member_that_is_gone(double: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorrt_llm.bindings.executor as bindings

    class Fewer:
        NOT_FINISHED = END_ID = STOP_WORDS = LENGTH = CANCELLED = 1

    monkeypatch.setattr(bindings, "FinishReason", Fewer)
    with pytest.raises(ConfigError, match="FinishReason has no TIMED_OUT"):
        executor_bindings()
    monkeypatch.delattr(bindings, "SchedulerConfig")
    monkeypatch.undo()
    monkeypatch.delattr(bindings, "Executor")
    with pytest.raises(ConfigError, match="Executor is missing"):
        executor_bindings()


def test_a_version_that_only_the_module_shows(double: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorrt_llm

    monkeypatch.setattr(tensorrt_llm, "__version__", "1.3.0rc9")
    with pytest.raises(ConfigError, match=r"1\.3\.0rc9 was imported, this program uses 1\.2\.1"):
        executor_bindings()


def test_builder_options_that_are_gone(double: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorrt_llm.builder
    import tensorrt_llm.plugin
    from pydantic import BaseModel

    class Plugins(BaseModel):
        gemm_plugin: str | None = None

    monkeypatch.setattr(tensorrt_llm.plugin, "PluginConfig", Plugins)
    with pytest.raises(ConfigError, match="PluginConfig has no option reduce_fusion"):
        builder_library()
    monkeypatch.undo()
    monkeypatch.delattr(tensorrt_llm.builder, "build")
    with pytest.raises(ConfigError, match=r"tensorrt_llm\.builder\.build"):
        builder_library()


def test_calibration_is_on_our_own_prompts(double: Any, trt_home: Path, tmp_path: Path) -> None:
    from tensorrt_llm.models.convert_utils import load_calib_dataset

    texts = calibration_texts(trt_home / "models" / "llama3", examples=False)
    assert len(texts) == SAMPLES
    assert len(set(texts)) > SAMPLES // 2
    assert any("Messi" in text for text in texts)
    folder = write_calibration(texts, tmp_path)
    check_calibration(load_calib_dataset, folder, texts)
    with pytest.raises(ConfigError, match="read 512 other calibration texts"):
        check_calibration(load_calib_dataset, folder, ["something else"])
    with pytest.raises(ConfigError, match=r"cannot read calibration texts .*TypeError"):
        check_calibration(load_calib_dataset, tmp_path, texts)


def test_errors_are_told_apart() -> None:
    step = "Encountered an error in forwardSync function: CUDA out of memory"
    fetch = "Encountered an error when fetching new request: "
    assert isinstance(error_of(step), StepFailed)
    assert isinstance(error_of(fetch + "Prompt length (9) exceeds maximum input length (8)."), InputError)
    assert type(error_of(fetch + "something new")) is EngineError
    assert "refused" in str(error_of(fetch + "something new"))


def test_responses_that_do_not_add_up(double: Any) -> None:
    import tensorrt_llm.bindings.executor as bindings
    from tensorrt_llm.bindings.executor import FinishReason, Result

    with pytest.raises(EngineError, match="2 log-probabilities for 3 new tokens after 4; expected 7 or 3"):
        read_piece(bindings, Result([1, 2, 3], [[0.1, 0.2]], False, FinishReason.NOT_FINISHED, None), 4)
    with pytest.raises(EngineError, match="finish reason FinishReason"):
        read_piece(bindings, Result([], None, True, FinishReason.NOT_FINISHED, None), 0)
    piece = read_piece(bindings, Result([], None, True, FinishReason.LENGTH, None), 4)
    assert piece.final
    assert piece.reused_blocks == 0


def test_priorities_keep_their_order() -> None:
    values = [priority_of(priority) for priority in range(-50, 51)]
    assert values == sorted(set(values))
    assert priority_of(0) == 0.5
    assert 0 < values[0] < values[-1] < 1
