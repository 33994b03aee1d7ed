"""Which backend generates: by name, or the first that fits."""

from __future__ import annotations

import logging

import pytest
from toy_registries import register_toy_backend

from commentary_llm.generation.registry import backend_choices, select_backend
from commentary_llm.settings import EngineConfig
from commentary_llm.settings.groups import LlmSettings

OPTIONS = EngineConfig().station.model_options


def test_a_toy_is_a_choice_like_any_other(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    register_toy_backend(monkeypatch)
    assert backend_choices() == ("auto", "tensorrt_llm", "torch", "toy")
    assert LlmSettings(backend="toy").backend == "toy"
    with caplog.at_level(logging.INFO):
        assert str(select_backend("toy", OPTIONS)) == "toy (as asked)"
    assert "generation backend: toy (as asked)" in caplog.text
    assert select_backend("auto", OPTIONS).name != "toy"  # only by name


def test_auto_takes_the_first_that_fits_and_says_what_it_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    register_toy_backend(monkeypatch, order=1)
    assert str(select_backend("auto", OPTIONS)) == "toy (auto: a toy always fits)"
    monkeypatch.undo()
    register_toy_backend(monkeypatch, order=1, against_it="the toy is broken")
    choice = select_backend("auto", OPTIONS)
    assert choice.name != "toy"
    assert choice.reason.startswith("auto: the toy is broken")
