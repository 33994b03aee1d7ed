"""Spoken sentences kept on disk, so that the same words in the same voice are synthesised once.

One file a clip: `CLIP1`, the length of a JSON head (uint32), the head, the samples as int16, a CRC-32 of all before it;
numbers little-endian. The file's name is the SHA-256 of voice, style and text. Files are written aside and renamed, so
several processes may share a folder; a damaged one counts as absent. When the folder grows over its bound, the clips
that were used longest ago go.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import struct
import zlib
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from asr_tts.interfaces import SpeechStyle, Synthesizer
from commentary_llm.ground.errors import OutputError
from commentary_llm.ground.files import write_bytes_atomically

log = logging.getLogger(__name__)

_MAGIC = b"CLIP1\n"
_SUFFIX = ".clip"
_FULL_SCALE = 32767.0
# About a dozen matches: one takes some 40 MB.
DEFAULT_MAX_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class Clip:
    """A spoken sentence without silence around it."""

    pcm: np.ndarray  # (N,) int16 mono
    sample_rate_hz: int
    word_edges_s: tuple[float, ...]  # as `Speech.word_edges_s`

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / self.sample_rate_hz

    def samples(self) -> np.ndarray:
        """(N,) float32 in [-1, 1]."""
        return self.pcm.astype(np.float32) / np.float32(_FULL_SCALE)


def speak_clip(synthesizer: Synthesizer, text: str, style: SpeechStyle) -> Clip:
    """Synthesises `text`, which holds at least one word."""
    speech = synthesizer.speak(text, style, at_leisure=True)
    samples = np.concatenate([chunk.samples for chunk in speech])
    pcm = np.round(np.clip(samples, -1.0, 1.0) * _FULL_SCALE).astype(np.int16)
    return Clip(pcm, synthesizer.sample_rate_hz, speech.word_edges_s)


class ClipCache:
    """Clips of one voice in `folder`, which other voices and processes may share."""

    def __init__(self, folder: Path, identity: str, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        """`identity`: the voice's (see `Synthesizer.identity`)."""
        self.folder = folder
        self._identity = identity
        self._max_bytes = max_bytes
        self._writable = True

    def get(self, text: str, style: SpeechStyle) -> Clip | None:
        """The clip, None where there is no whole one. Counts as use."""
        path = self._path(text, style)
        try:
            clip = _parse(path.read_bytes())
        except OSError:
            return None
        if clip is None:
            log.warning("%s is damaged; it is made again", path)
            return None
        with contextlib.suppress(OSError):  # another process may have removed it, or the disk be read-only
            os.utime(path)
        return clip

    def put(self, text: str, style: SpeechStyle, clip: Clip) -> None:
        """Keeps a clip. A full or read-only disk costs time at the next start, nothing else: warned of once."""
        if not self._writable:
            return
        path = self._path(text, style)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_bytes_atomically(path, _render(clip), sync=False)  # a damaged one counts as absent
        except (OSError, OutputError) as error:
            self._writable = False
            log.warning("cannot keep clips in %s: %s; they are synthesised again at the next start", self.folder, error)

    def prune(self) -> int:
        """Removes the clips used longest ago until the folder is within its bound; returns how many went."""
        entries = []
        for path in self.folder.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(OSError):
                stat = path.stat()
                entries.append((stat.st_mtime_ns, stat.st_size, path))
        excess = sum(size for _, size, _ in entries) - self._max_bytes
        removed = 0
        for _, size, path in sorted(entries):
            if excess <= 0:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            excess -= size
            removed += 1
        return removed

    def _path(self, text: str, style: SpeechStyle) -> Path:
        key = json.dumps([self._identity, astuple(style), text])
        return self.folder / (hashlib.sha256(key.encode()).hexdigest() + _SUFFIX)


def _render(clip: Clip) -> bytes:
    head = json.dumps({"sample_rate_hz": clip.sample_rate_hz, "word_edges_s": clip.word_edges_s}).encode()
    body = _MAGIC + struct.pack("<I", len(head)) + head + clip.pcm.astype("<i2").tobytes()
    return body + struct.pack("<I", zlib.crc32(body))


def _parse(data: bytes) -> Clip | None:
    """None for anything but a whole clip."""
    body, check = data[:-4], data[-4:]
    start = len(_MAGIC) + 4
    if len(data) < start + 4 or not body.startswith(_MAGIC) or struct.pack("<I", zlib.crc32(body)) != check:
        return None
    (length,) = struct.unpack_from("<I", body, len(_MAGIC))
    head = json.loads(body[start : start + length])
    pcm = np.frombuffer(body, dtype="<i2", offset=start + length).astype(np.int16)
    return Clip(pcm, head["sample_rate_hz"], tuple(head["word_edges_s"]))
