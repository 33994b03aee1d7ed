"""The loop that ends run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commentary_llm.ends.loop import EndsLoop


@pytest.fixture
def loop() -> Iterator[EndsLoop]:
    with EndsLoop() as running:
        yield running
