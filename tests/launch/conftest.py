"""Settings for ranks that the scripts' own checks start."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def environment_of_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what the script that runs the suite has set: the scripts under test leave such settings as they are."""
    for name in list(os.environ):
        if name.startswith(("OMPI_", "PRTE_")):
            monkeypatch.delenv(name)


@pytest.fixture
def mpi_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """mpirun on the PATH, as the launch scripts put it there; allowed for root."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
