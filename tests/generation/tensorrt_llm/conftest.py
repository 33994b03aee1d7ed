"""Fixtures of the TensorRT-LLM tests: the double in this process, a tiny model, and engines built by the product."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from trt_pretend import pretend

OPTIONS = {"max_batch_size": 4, "max_seq_len": 256, "max_num_tokens": 256}


@pytest.fixture(scope="session")
def trt_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COMMENTARY_HOME with the tiny model "llama3" (8 query and 2 key/value heads)."""
    from tiny_llama import make_model

    home = tmp_path_factory.mktemp("trt_home")
    make_model(home, "llama3", ranks=())
    return home


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """The double's rules; a test fails for any broken one that it does not take out of the list itself."""
    for name in ("OMPI_COMM_WORLD_SIZE", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    with pretend():
        from tensorrt_llm.double import rules

        yield rules
        assert rules.broken == []


@pytest.fixture(scope="session")
def engines_1(trt_home: Path) -> Path:
    """Engines of the tiny model for one rank, built by the product with the double."""
    from tiny_llama import home

    from checkpoints.progress import Reporter
    from checkpoints.tensorrt_llm.build import build_llm_engines
    from commentary_llm.artifacts.tensorrt_llm import EngineOptions

    with home(trt_home), pretend():
        return build_llm_engines("llama3", EngineOptions(**OPTIONS), None, Reporter())
