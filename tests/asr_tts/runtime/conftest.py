from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tensorrt_machine import Machine

from asr_tts.runtime.cuda import Stage
from asr_tts.runtime.engine_card import EngineCard
from asr_tts.runtime.tensorrt_library import open_library


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    yield Machine(monkeypatch)
    open_library.cache_clear()
    Stage._all.clear()


@pytest.fixture
def change_card() -> Callable[..., None]:
    def change(engine: Path, **fields: object) -> None:
        replace(EngineCard.read(engine), **fields).write(engine)  # type: ignore[arg-type]

    return change
