"""Speech over a ducked background, brought to broadcast loudness.

    speech ──────────────┬────────────▶ + ──▶ gain to -23 LUFS ──▶ true-peak limiter ──▶ WAV
                         ▼ sidechain    ▲
    background ──▶ level, duck ─────────┘

A stream goes in, a stream comes out, and nothing is held whole in memory, however long the match: speech goes to a
temporary file as it becomes final, the mix to another, block by block, until its loudness is known. What depends on the
whole (the speech's loudness, the background's usual level, the gain) is measured when the mix is written.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import soxr

from asr_tts.audio.background import Background
from asr_tts.audio.ducking import Ducker
from asr_tts.audio.fades import faded_cut
from asr_tts.audio.levels import gain_of
from asr_tts.audio.limiter import TruePeakLimiter
from asr_tts.audio.loudness import LoudnessMeter, true_peak_envelope
from asr_tts.audio.writer import WavWriter
from commentary_llm.ground.errors import InputError, OutputError

TARGET_LUFS = -23.0
CEILING_DBTP = -1.0
_TOLERANCE_LU = 0.5  # the limiter may take more loudness away than this; then the file is written again, louder
_MAX_PASSES = 6
_BLOCK_S = 5.0


@dataclass(frozen=True)
class Placed:
    """A stretch of speech in the temporary file and in the mix, in samples."""

    start: int
    offset: int
    count: int


@dataclass(frozen=True)
class MixReport:
    """What was written, measured on the samples in the file."""

    path: Path
    duration_s: float
    sample_rate_hz: int
    speech_s: float
    integrated_lufs: float  # -inf for silence
    true_peak_dbtp: float


class Mixer:
    """Takes speech as it comes, then writes it over a background.

    `add` costs little more than writing the samples to the disk. `write` may be called at any time, also after an
    interruption: it mixes what has been added so far. Use with `with`, or `close` it, so that the temporary file goes
    away. Not thread-safe.
    """

    def __init__(self, sample_rate_hz: int = 22_050, temporary_folder: Path | None = None) -> None:
        """`temporary_folder`: where speech waits (4 bytes a sample); by default the system's."""
        self.sample_rate_hz = sample_rate_hz
        self._folder = temporary_folder
        self._speech = self._temporary()
        self._placed: list[Placed] = []

    def __enter__(self) -> Mixer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._speech.close()

    @property
    def end_s(self) -> float:
        """Where the last speech ends."""
        return max((item.start + item.count for item in self._placed), default=0) / self.sample_rate_hz

    def add(self, start_s: float, samples: np.ndarray, sample_rate_hz: int, cut_s: float | None = None) -> None:
        """Places speech (float32 mono) at `start_s` >= 0; with `cut_s` it fades out and ends so long after its start.

        Speech of another rate is resampled. Stretches may come in any order. Raises InputError for samples that are
        not finite mono floats, OutputError when the disk is full.
        """
        samples = np.asarray(samples)
        if samples.ndim != 1 or samples.dtype.kind != "f" or not np.isfinite(samples).all() or start_s < 0:
            raise InputError(
                f"speech at {start_s:g} s: found {samples.dtype} samples of shape {samples.shape}; expected finite "
                "mono floats at a time from 0 on"
            )
        if cut_s is not None:
            samples = faded_cut(samples, sample_rate_hz, cut_s)
        if sample_rate_hz != self.sample_rate_hz and len(samples):
            samples = soxr.resample(samples, sample_rate_hz, self.sample_rate_hz)
        if not len(samples):
            return
        # Noted once it is on the disk: should that be full, what was added before can still be mixed.
        self._store(self._speech, samples)
        self._placed.append(Placed(round(start_s * self.sample_rate_hz), self._speech_length, len(samples)))

    @property
    def _speech_length(self) -> int:
        return self._placed[-1].offset + self._placed[-1].count if self._placed else 0

    def write(
        self,
        path: Path,
        duration_s: float,
        background: Background | None = None,
        progress: Callable[[float], None] | None = None,
        *,
        title: str = "",
    ) -> MixReport:
        """Writes `duration_s` of mix as 16-bit WAV at -23 LUFS, true peak at most -1 dBTP, tagged with `title`.

        The file appears when it is complete; if the last pass is interrupted, what it has written is a valid file.
        `progress` is told the share done, 0 to 1. A background of another rate is resampled. Raises OutputError.
        """
        total = round(duration_s * self.sample_rate_hz)

        furthest = 0.0

        def report(share: float) -> None:
            nonlocal furthest
            furthest = max(furthest, min(1.0, share))
            if progress is not None:
                progress(furthest)

        with self._temporary() as mixed:
            meter, done = LoudnessMeter(self.sample_rate_hz), 0
            for block in self._mixed_blocks(total, background):
                meter.push(block)
                self._store(mixed, block)
                done += len(block)
                report(0.7 * done / max(1, total))
            loudness = meter.integrated_lufs()
            gain_db = TARGET_LUFS - loudness if math.isfinite(loudness) else 0.0
            for _ in range(_MAX_PASSES):
                written = self._master(mixed, gain_db, path, title, total, report)
                missing_db = TARGET_LUFS - written.integrated_lufs
                if not math.isfinite(missing_db) or abs(missing_db) <= _TOLERANCE_LU:
                    break
                gain_db += missing_db
            return written

    def _master(
        self, mixed: IO[bytes], gain_db: float, path: Path, title: str, total: int, report: Callable[[float], None]
    ) -> MixReport:
        meter, peak, done = LoudnessMeter(self.sample_rate_hz), 0.0, 0
        with WavWriter(path, self.sample_rate_hz, title) as writer:
            for block in self._mastered(mixed, gain_db):
                writer.write(block)
                meter.push(block)
                if 2 * float(np.abs(block).max(initial=0.0)) > peak:  # else its true peak cannot be the greatest
                    peak = max(peak, float(true_peak_envelope(block).max(initial=0.0)))
                done += len(block)
                report(0.7 + 0.3 * done / max(1, total))
        return MixReport(
            path=path,
            duration_s=done / self.sample_rate_hz,
            sample_rate_hz=self.sample_rate_hz,
            speech_s=self._speech_length / self.sample_rate_hz,
            integrated_lufs=meter.integrated_lufs(),
            true_peak_dbtp=20 * math.log10(peak) if peak > 0 else -math.inf,
        )

    def _mixed_blocks(self, total: int, background: Background | None) -> Iterator[np.ndarray]:
        """The mix before mastering, float32, block by block."""
        placed = sorted(self._placed, key=lambda item: item.start)
        intervals = [
            (item.start / self.sample_rate_hz, (item.start + item.count) / self.sample_rate_hz) for item in placed
        ]
        ducker = Ducker(background, intervals, self._speech_lufs(), self.sample_rate_hz)
        block = round(_BLOCK_S * self.sample_rate_hz)
        longest = max((item.count for item in placed), default=0)
        starts = np.array([item.start for item in placed])
        for first in range(0, total, block):
            count = min(block, total - first)
            mix = ducker.read(first, count)
            low, high = np.searchsorted(starts, (first - longest, first + count))
            for item in placed[low:high]:
                begin, end = max(item.start, first), min(item.start + item.count, first + count)
                if begin < end:
                    offset = item.offset + begin - item.start
                    mix[begin - first : end - first] += self._load(self._speech, offset, end - begin)
            yield mix

    def _speech_lufs(self) -> float:
        meter = LoudnessMeter(self.sample_rate_hz)
        for block in self._stored_blocks(self._speech):
            meter.push(block)
        return meter.integrated_lufs()

    def _mastered(self, mixed: IO[bytes], gain_db: float) -> Iterator[np.ndarray]:
        gain = np.float32(gain_of(gain_db))
        limiter = TruePeakLimiter(self.sample_rate_hz, CEILING_DBTP)
        for block in self._stored_blocks(mixed):
            limited = limiter.push(block * gain)
            if len(limited):
                yield limited
        yield limiter.finish()

    def _stored_blocks(self, file: IO[bytes]) -> Iterator[np.ndarray]:
        block, offset = round(_BLOCK_S * self.sample_rate_hz), 0
        while len(samples := self._load(file, offset, block)):
            yield samples
            offset += len(samples)

    def _temporary(self) -> IO[bytes]:
        try:
            return tempfile.TemporaryFile(dir=self._folder)
        except OSError as error:
            raise OutputError(
                f"cannot make a temporary file in {self._folder or tempfile.gettempdir()}: {error}"
            ) from error

    def _store(self, file: IO[bytes], samples: np.ndarray) -> None:
        try:
            file.seek(0, 2)
            file.write(samples.astype("<f4", copy=False).tobytes())
            file.flush()
        except OSError as error:
            place = self._folder or tempfile.gettempdir()
            raise OutputError(f"cannot keep the mix in {place}: {error}; free some space and run again") from error

    @staticmethod
    def _load(file: IO[bytes], offset: int, count: int) -> np.ndarray:
        file.seek(4 * offset)
        return np.frombuffer(file.read(4 * count), dtype="<f4")
