"""Progress of long steps: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

_LOG_INTERVAL_S = 10.0
_MEGABYTE = 1_000_000


class Reporter:
    """Tells the user what is going on, on stderr, so that stdout keeps the result alone."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._terminal = sys.stderr.isatty()

    def say(self, text: str) -> None:
        """One line."""
        if self._terminal:
            self._console.print(text, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def task(self, title: str, total_bytes: int | None = None) -> Iterator[Callable[[int], None]]:
        """A step of known or unknown size; yields the function to call with bytes as they are done."""
        started = time.perf_counter()
        if self._terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
            shown = columns if total_bytes else (columns[0], columns[1], columns[3])
            with Progress(*shown, console=self._console) as bars:
                task = bars.add_task(title, total=total_bytes)
                yield lambda done: bars.update(task, advance=done)
                bars.update(task, total=total_bytes or 1, completed=total_bytes or 1)
            return
        self.say(f"{title} …")
        done_bytes, told_at = 0, started

        def advance(done: int) -> None:
            nonlocal done_bytes, told_at
            done_bytes += done
            if time.perf_counter() - told_at >= _LOG_INTERVAL_S:
                told_at = time.perf_counter()
                part = f" of {total_bytes / _MEGABYTE:.0f}" if total_bytes else ""
                self.say(f"{title}: {done_bytes / _MEGABYTE:.0f}{part} MB")

        yield advance
        self.say(f"{title}: done in {time.perf_counter() - started:.1f} s")
