"""Reads windows and streams of sound from any file that FFmpeg's libraries can read."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import av.container
import numpy as np
import soxr

from commentary_llm.ground.errors import InputError

# Decoded and thrown away before a window: a codec's first frames after a seek lean on frames it has not seen
# (Opus asks for 80 ms, MP3's bit reservoir reaches some 10 frames back).
PREROLL_S = 0.5
# Sound around a window that the resampler sees, so that its filter does not start at the window's edge.
_MARGIN_S = 0.05
# Time stamps may be rounded (1 ms in Matroska): frames are laid end to end until a stamp is off by more than this.
_GAP_S = 0.02


class AudioReader:
    """The first audio track of a file, mono at `sample_rate_hz`; second 0 is the start of the file.

    Channels are averaged. `read` seeks, so a window costs the same anywhere in a long recording. Thread-safe.
    Raises InputError naming the file when it is missing, is not a media file or has no audio track.
    """

    def __init__(self, path: Path | str, sample_rate_hz: int = 16_000) -> None:
        self._path = Path(path)
        self._sample_rate_hz = sample_rate_hz
        self._lock = threading.Lock()
        self._track = _Track(self._path)
        self.damaged_packets = 0

    @property
    def path(self) -> Path:
        return self._path

    @property
    def sample_rate_hz(self) -> int:
        return self._sample_rate_hz

    @property
    def native_rate_hz(self) -> int:
        """The file's own sample rate."""
        return self._track.rate_hz

    @property
    def duration_s(self) -> float:
        """Length as the file states it (estimated from the bit rate for raw streams such as .aac)."""
        return self._track.duration_s

    def read(self, start_s: float, duration_s: float) -> np.ndarray:
        """(round(duration_s * rate),) float32 from `start_s` on, zeros before the start and past the end. Blocks.

        Raises InputError when the file can no longer be read.
        """
        rate, native = self._sample_rate_hz, self._track.rate_hz
        first = round(start_s * rate)
        count = round(duration_s * rate)
        begin, offset = self._block_start(first)
        end = math.ceil(((first + count) / rate + _MARGIN_S) * native)
        block = np.zeros(end - begin, np.float32)
        with self._lock:
            for position, samples in self._track.frames(max(begin / native - PREROLL_S, 0.0)):
                if position >= end:
                    break
                low, high = max(position, begin), min(position + len(samples), end)
                if low < high:
                    block[low - begin : high - begin] = samples[low - position : high - position]
            self.damaged_packets += self._track.take_damaged()
        resampled = block if native == rate else soxr.resample(block, native, rate)
        out = np.zeros(count, np.float32)
        piece = resampled[offset : offset + count]
        out[: len(piece)] = piece
        return out

    def _block_start(self, first: int) -> tuple[int, int]:
        """Where to start resampling for output sample `first`: (native position, output samples to leave out).

        Both grids meet every `step` native samples. Blocks start there, so that any two windows, and the stream,
        have the same sample values where they overlap.
        """
        rate, native = self._sample_rate_hz, self._track.rate_hz
        step = native // math.gcd(native, rate)
        begin = math.floor((first / rate - _MARGIN_S) * native / step) * step
        return begin, first - begin * rate // native

    def chunks(self, chunk_s: float, start_s: float = 0.0) -> Iterator[np.ndarray]:
        """The sound from `start_s` to the end in order, (chunk_s * rate,) float32 each; the last is zero-padded.

        Decodes on its own handle of the file, as far as it is iterated. Raises as `read`.
        """
        rate = self._sample_rate_hz
        size = max(round(chunk_s * rate), 1)
        pending = np.zeros(0, np.float32)
        track = _Track(self._path)
        try:
            for piece in self._resampled(track, start_s):
                pending = np.concatenate([pending, piece])
                while len(pending) >= size:
                    yield pending[:size].copy()
                    pending = pending[size:]
            if len(pending):
                yield np.pad(pending, (0, size - len(pending)))
        finally:
            self.damaged_packets += track.take_damaged()
            track.close()

    def _resampled(self, track: _Track, start_s: float) -> Iterator[np.ndarray]:
        """Contiguous pieces at the reader's rate, gaps in the file filled with zeros."""
        native, rate = track.rate_hz, self._sample_rate_hz
        stream = soxr.ResampleStream(native, rate, 1, dtype="float32")
        position, skip = self._block_start(round(start_s * rate))
        for found, samples in track.frames(max(position / native - PREROLL_S, 0.0)):
            gap = np.zeros(max(found - position, 0), np.float32)
            fresh = np.concatenate([gap, samples[max(position - found, 0) :]])
            position += len(fresh)
            piece = stream.resample_chunk(fresh) if native != rate else fresh
            yield piece[skip:]
            skip -= min(skip, len(piece))
        if native != rate:
            yield stream.resample_chunk(np.zeros(0, np.float32), last=True)[skip:]

    def close(self) -> None:
        with self._lock:
            self._track.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _Track:
    """One open handle of a file's first audio track, at its own rate."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._damaged = 0
        try:
            self._container = av.open(str(path), mode="r")
        except FileNotFoundError as error:
            raise InputError(f"audio {path}: no such file") from error
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"audio {path}: not a media file that can be read ({error}); expected sound such as WAV, FLAC, MP3, "
                "AAC, Opus, or a video with sound"
            ) from error
        if not self._container.streams.audio:
            kinds = ", ".join(sorted({stream.type for stream in self._container.streams})) or "no"
            self._container.close()
            raise InputError(f"audio {path}: has no audio track, only {kinds} tracks; give a file with sound")
        self._stream = self._container.streams.audio[0]
        self.rate_hz = self._stream.rate
        self._origin_s = self._start_s()

    def _start_s(self) -> float:
        if self._container.start_time is not None:
            return self._container.start_time / av.time_base
        if self._stream.start_time is not None and self._stream.time_base is not None:
            return float(self._stream.start_time * self._stream.time_base)
        return 0.0

    @property
    def duration_s(self) -> float:
        if self._container.duration is not None:
            return self._container.duration / av.time_base
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        return 0.0

    def take_damaged(self) -> int:
        """Packets that did not decode since the last call."""
        damaged, self._damaged = self._damaged, 0
        return damaged

    def close(self) -> None:
        self._container.close()

    def frames(self, start_s: float) -> Iterator[tuple[int, np.ndarray]]:
        """(position of the first sample, mono samples) from a frame at or before `start_s` to the end of the file."""
        try:
            first = self._seek(start_s)
            expected: int | None = None
            for frame in first:
                stamp_s = _time_s(frame)
                found = expected if stamp_s is None else round((stamp_s - self._origin_s) * self.rate_hz)
                if found is None:
                    continue
                if expected is None or abs(found - expected) > _GAP_S * self.rate_hz:
                    expected = found
                samples = mono_samples(frame)
                yield expected, samples
                expected += len(samples)
        except (av.error.FFmpegError, OSError) as error:
            raise InputError(f"audio {self._path}: cannot be read at {start_s:.1f} s: {error}") from error

    def _seek(self, start_s: float) -> Iterator[av.AudioFrame]:
        """Frames from one that starts at or before `start_s`; steps further back where a seek lands too late."""
        back_s = 0.0
        while True:
            target_s = max(start_s - back_s, 0.0) + self._origin_s
            self._container.seek(math.floor(target_s * av.time_base), backward=True, any_frame=False)
            frames = self._decode()
            head = next(frames, None)
            head_s = None if head is None else _time_s(head)
            if head_s is None or head_s <= start_s + self._origin_s or target_s <= self._origin_s:
                break
            back_s = 2.0 * back_s + 1.0
        if head is not None:
            yield head
        yield from frames

    def _decode(self) -> Iterator[av.AudioFrame]:
        for packet in self._container.demux(self._stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                self._damaged += 1  # the place stays silent; later frames carry their own time
                continue
            for frame in frames:
                if isinstance(frame, av.AudioFrame):
                    yield frame


def _time_s(frame: av.AudioFrame) -> float | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return float(frame.pts * frame.time_base)


def mono_samples(frame: av.AudioFrame) -> np.ndarray:
    """(N,) float32, mean of the channels."""
    values = frame.to_ndarray()
    channels = frame.layout.nb_channels
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    if values.dtype.kind == "u":
        values = (values.astype(np.float32) - 128.0) / 128.0
    elif values.dtype.kind == "i":
        values = values.astype(np.float32) / float(1 << (8 * values.itemsize - 1))
    mixed: np.ndarray = values.mean(axis=0, dtype=np.float32)
    return mixed
