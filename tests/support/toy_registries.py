"""Toys for the registries: each is registered by the test that wants it, and nothing else knows of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from session_fakes import ScriptedGenerator, ScriptedSynthesizer

from asr_tts.interfaces import Transcript
from asr_tts.recognizer.registry import RECOGNIZERS
from asr_tts.synthesizer.registry import VOICES
from commentary_llm.generation.registry import BACKENDS, ModelOptions
from commentary_llm.ground.registry import Registry


def register(registry: Registry[Any], name: str, entry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """For one test."""
    registry.names()
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    registry.register(name, entry)


class ToyBackend:
    """Says what it is told to; `order` and `against_it` as `auto` sees them."""

    fitting = "a toy always fits"

    def __init__(self, order: int | None = None, against_it: str = "") -> None:
        self.auto_order, self._against = order, against_it
        self.generator = ScriptedGenerator()
        self.opened_with: ModelOptions | None = None

    def against(self, options: ModelOptions, rank: int, ranks: int) -> str:
        return self._against

    def open(self, options: ModelOptions, comm: object, turn: object) -> ScriptedGenerator:
        self.opened_with = options
        return self.generator

    def serve(self, options: ModelOptions, comm: object) -> None:
        raise AssertionError("one rank has nobody to serve")


class ToyRecognizer:
    description = "toy"

    def warm_up(self) -> None:
        pass

    def transcribe(self, samples: np.ndarray, start_s: float = 0.0) -> Transcript:
        return Transcript("", start_s, start_s, 1.0, 0.0)


def model_folder(home: Path, name: str, kind: str) -> Path:
    """A whole artifact of that kind without any network."""
    folder = home / "models" / name
    folder.mkdir(parents=True)
    manifest = {
        **{"format_version": 1, "kind": kind, "name": name, "created_at": "2026-01-01T00:00:00Z", "command": "make it"},
        **{"recipe": "toy 1", "sources": [], "tools": {}, "dtype": "none", "files": {}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def register_toy_voice(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Kind "toy-voice"; what it was opened with lands in the dictionary."""
    opened: dict[str, Any] = {}

    def open_toy(folder: Path, **options: Any) -> ScriptedSynthesizer:
        opened.update(options, folder=folder)
        return ScriptedSynthesizer()

    register(VOICES, "toy-voice", open_toy, monkeypatch)
    return opened


def register_toy_recognizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kind "toy-ears"."""
    register(RECOGNIZERS, "toy-ears", lambda folder, **options: ToyRecognizer(), monkeypatch)


def register_toy_backend(monkeypatch: pytest.MonkeyPatch, **options: Any) -> ToyBackend:
    """Backend "toy"."""
    backend = ToyBackend(**options)
    register(BACKENDS, "toy", backend, monkeypatch)
    return backend
