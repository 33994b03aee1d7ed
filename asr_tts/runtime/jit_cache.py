"""TensorRT-RTX compiles its kernels on the user's GPU when a context first runs; this keeps them for the next start.

The cache lies beside the engine as `NAME.engine.jit`. TensorRT-RTX itself refuses one from another GPU, driver or
version; it is then made anew.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

from commentary_llm.ground.errors import EngineError, OutputError
from commentary_llm.ground.files import write_bytes_atomically

log = logging.getLogger(__name__)


class JitCache:
    """The compiled kernels of one engine, shared by its execution contexts."""

    def __init__(self, engine: Any, path: Path) -> None:
        self._engine = engine
        self._path = path.with_name(path.name + ".jit")
        self._cache = engine.create_runtime_config().create_runtime_cache()
        self._saved = b""
        with contextlib.suppress(FileNotFoundError):
            self._saved = self._path.read_bytes()
        if self._saved and not self._cache.deserialize(self._saved):
            log.info("%s is of another GPU, driver or version; the kernels are compiled again", self._path)
            self._saved = b""

    def config(self) -> Any:
        """What a new execution context has to be created with. Raises EngineError."""
        config = self._engine.create_runtime_config()
        if not config.set_runtime_cache(self._cache):
            raise EngineError(f"{self._path}: TensorRT-RTX refuses its own kernel cache; delete the file")
        return config

    def save(self) -> None:
        """Writes what was compiled since it was loaded; where that fails, the next start takes longer."""
        content = bytes(self._cache.serialize())
        if content == self._saved:
            return
        try:
            write_bytes_atomically(self._path, content, sync=False)
        except OutputError as error:
            log.warning("compiled kernels are not kept: %s", error)
            return
        self._saved = content
