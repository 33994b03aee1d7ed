"""The one place that imports TensorRT: the package `tensorrt`, or `tensorrt_rtx`, which has the same API."""

from __future__ import annotations

import functools
import importlib
import logging
from typing import Any

from commentary_llm.ground.errors import ConfigError

log = logging.getLogger(__name__)
EXTRAS = {"tensorrt": "tensorrt", "tensorrt_rtx": "rtx"}
_KEPT_MESSAGES = 8


class Library:
    """One flavour of TensorRT with its logger, which passes warnings on and keeps the last errors for our messages."""

    def __init__(self, kind: str) -> None:
        try:
            self.api: Any = importlib.import_module(kind)
        except (ImportError, OSError) as error:  # OSError: the package is there, its shared library does not load
            raise ConfigError(
                f"the package {kind} cannot be imported ({error}); install it with "
                f"`pip install 'commentary-llm[{EXTRAS[kind]}]'`, or choose another speech runtime"
            ) from error
        if not hasattr(self.api, "__version__"):  # a bare folder of this name on the path imports too
            raise ConfigError(
                f"what Python finds as {kind} ({list(self.api.__path__)}) is no TensorRT: take it off the path, or "
                f"install the package with `pip install 'commentary-llm[{EXTRAS[kind]}]'`"
            )
        self.kind = kind
        self.version = str(self.api.__version__)
        self._errors: list[str] = []
        self.logger = _new_logger(self.api, self._errors)

    def last_errors(self) -> str:
        """What TensorRT complained about since the last call."""
        text = "; ".join(self._errors) or "TensorRT gave no reason"
        self._errors.clear()
        return text


def _new_logger(api: Any, errors: list[str]) -> Any:
    severity = api.ILogger.Severity

    class Logger(api.ILogger):
        def __init__(self) -> None:
            api.ILogger.__init__(self)

        def log(self, level: Any, message: str) -> None:
            if level in (severity.ERROR, severity.INTERNAL_ERROR):
                errors.append(message.strip())
                del errors[:-_KEPT_MESSAGES]
            elif level == severity.WARNING:
                log.warning("TensorRT: %s", message.strip())
            else:
                log.debug("TensorRT: %s", message.strip())

    return Logger()


@functools.cache
def open_library(kind: str) -> Library:
    """`tensorrt` or `tensorrt_rtx`. Raises ConfigError naming the extra to install."""
    return Library(kind)
