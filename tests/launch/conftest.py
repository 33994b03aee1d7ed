"""Settings for ranks that the scripts' own checks start."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest


@pytest.fixture
def mpi_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """mpirun on the PATH, as the launch scripts put it there; allowed for root."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
