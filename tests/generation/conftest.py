from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, Path]]:
    """Shard directories of the tiny models: kind -> rank count -> directory."""
    from tiny_llama import SIZES, make_model

    directory = tmp_path_factory.mktemp("tiny")
    return {kind: make_model(directory, kind) for kind in SIZES}


@pytest.fixture(scope="session")
def tiny_shards(tiny_models: dict[str, dict[int, Path]]) -> dict[int, Path]:
    return tiny_models["tied"]
