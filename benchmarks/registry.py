"""The benchmarks that there are: each module of this package that has a `BENCHMARK`, by its own name."""

from __future__ import annotations

import importlib
import pkgutil
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import benchmarks

if TYPE_CHECKING:
    from mpi4py import MPI


@dataclass(frozen=True)
class Benchmark:
    """One benchmark. `run` is called on every rank and returns the exit code; rank 0 publishes the results.

    `ranks`: how many are started where none are running yet and the command line names no number.
    """

    help: str
    add_options: Callable[[ArgumentParser], None]
    run: Callable[[Namespace, MPI.Comm | None], int]
    ranks: int = 2


def find(name: str) -> Benchmark | None:
    """The benchmark of that name, or None."""
    if not name.isidentifier() or name.startswith("_"):
        return None
    try:
        module = importlib.import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"benchmarks.{name}":
            raise
        return None
    found = getattr(module, "BENCHMARK", None)
    return found if isinstance(found, Benchmark) else None


def everything() -> dict[str, Benchmark]:
    """All of them, by name. Imports every module of the package, which takes some seconds."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    return {name: found for name in names if (found := find(name)) is not None}
