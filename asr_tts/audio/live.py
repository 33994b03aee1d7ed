"""Live sound: what a microphone, pipe or stream gives, as it comes, and what of it is kept for the mix."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import av.error
import numpy as np
import soxr

from asr_tts.audio.reader import mono_samples
from commentary_llm.ground.errors import InputError, OutputError

RATE_HZ = 16_000


def live_chunks(source: str, raw_rate_hz: int | None = None) -> Iterator[np.ndarray]:
    """Sound from a file, FIFO, "-" (standard input) or any address PyAV opens: (N,) float32 mono at 16 kHz.

    `raw_rate_hz`: the source is raw s16le mono at that rate; otherwise its format is recognised. Chunks come as the
    source gives them; iterating blocks until then. Raises InputError when it cannot be opened or is no sound.
    """
    place = "pipe:0" if source == "-" else source
    try:
        if raw_rate_hz is None:
            container = av.open(place)
        else:
            raw = {"sample_rate": str(raw_rate_hz), "ch_layout": "mono"}
            container = av.open(place, format="s16le", options=raw)
        with container:
            if not container.streams.audio:
                raise InputError(f"--audio {source} has no sound in it; expected an audio track")
            yield from _decoded(container)
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(f"--audio {source} cannot be read as sound: {error}") from error


def _decoded(container: av.container.InputContainer) -> Iterator[np.ndarray]:
    stream = container.streams.audio[0]
    rate = None
    converter: soxr.ResampleStream | None = None
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue  # a damaged packet of a live stream: the next one is on its way
        for frame in frames:
            if not isinstance(frame, av.AudioFrame):
                continue
            if frame.sample_rate != rate:
                rate = frame.sample_rate
                converter = None if rate == RATE_HZ else soxr.ResampleStream(rate, RATE_HZ, 1, dtype="float32")
            samples = mono_samples(frame)
            if converter is not None:
                samples = converter.resample_chunk(samples)
            if len(samples):
                yield samples
    if converter is not None:
        yield converter.resample_chunk(np.zeros(0, np.float32), last=True)


class SpooledSound:
    """Live sound kept in a temporary file (s16, 115 MB an hour), to lie under the speech at the end.

    A `Background`: second 0 is stream time 0. Thread-safe.
    """

    sample_rate_hz = RATE_HZ

    def __init__(self, folder: Path, start_s: float) -> None:
        """`start_s`: stream time of the first sample to come. Raises OutputError."""
        self._lock = threading.Lock()
        self._first = round(start_s * RATE_HZ)
        self._count = 0
        self._folder = folder
        try:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by close)
        except OSError as error:
            raise OutputError(f"cannot make a temporary file in {folder}: {error.strerror}") from error

    def append(self, samples: np.ndarray) -> None:
        """Adds (N,) float32 mono. Raises OutputError when the disk is full."""
        data = (np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
        with self._lock:
            try:
                self._file.seek(2 * self._count)
                self._file.write(data)
            except OSError as error:
                raise OutputError(
                    f"cannot keep the stadium's sound in {self._folder}: {error.strerror}; free some space"
                ) from error
            self._count += len(samples)

    def read(self, start_s: float, duration_s: float) -> np.ndarray:
        first, wanted = round(start_s * RATE_HZ) - self._first, round(duration_s * RATE_HZ)
        out = np.zeros(wanted, np.float32)
        low, high = max(first, 0), min(first + wanted, self._count)
        if low < high:
            with self._lock:
                self._file.seek(2 * low)
                kept = np.frombuffer(self._file.read(2 * (high - low)), "<i2")
            out[low - first : low - first + len(kept)] = kept.astype(np.float32) / 32767.0
        return out

    def close(self) -> None:
        self._file.close()
