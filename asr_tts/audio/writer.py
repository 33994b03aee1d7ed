"""Writes sound files that are whole or not there."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile

from commentary_llm.ground.errors import OutputError
from commentary_llm.ground.files import written_aside


class WavWriter:
    """A mono 16-bit WAV file, written under a temporary name and renamed when it is closed.

    Used with `with`. Also when the block is left by an exception (Ctrl-C among them) what has been written so far
    becomes a valid file; only a file that could not be written at all is taken away again. Raises OutputError naming
    the file when the disk is full or the place cannot be written to.
    """

    def __init__(self, path: Path, sample_rate_hz: int, title: str = "") -> None:
        """`title` goes into the file's INFO chunk."""
        self.path = path
        self._samples = 0
        self._rate = sample_rate_hz
        self._open = contextlib.ExitStack()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = self._open.enter_context(written_aside(path))
            self._file = soundfile.SoundFile(
                str(aside), "w", samplerate=sample_rate_hz, channels=1, format="WAV", subtype="PCM_16"
            )
            if title:
                self._file.title = title
        except (OSError, soundfile.LibsndfileError) as error:
            self._open.__exit__(type(error), error, error.__traceback__)
            raise OutputError(f"cannot write {path}: {error}; choose another place or free some space") from error

    def write(self, samples: np.ndarray) -> None:
        """Appends float samples in [-1, 1]; what lies outside is clipped."""
        try:
            self._file.write(np.clip(samples, -1.0, 1.0))
            self._samples += len(samples)
        except (OSError, soundfile.LibsndfileError, AssertionError) as error:
            # python-soundfile asserts that libsndfile took every frame; on a full disk it has not.
            raise self._failure(error) from error

    @property
    def duration_s(self) -> float:
        return self._samples / self._rate

    def __enter__(self) -> WavWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OutputError):
            with contextlib.suppress(OSError, soundfile.LibsndfileError):
                self._file.close()  # on a full disk the header may fail again; the first error is the one to tell
            self._open.__exit__(kind, error, trace)
            return
        try:
            with self._open:
                self._file.close()
        except (OSError, soundfile.LibsndfileError) as failure:
            raise self._failure(failure) from failure

    def _failure(self, error: BaseException) -> OutputError:
        return OutputError(
            f"cannot write {self.path} past {self.duration_s:.1f} s: {error or 'the disk did not take all samples'}; "
            "free some space and run again"
        )
