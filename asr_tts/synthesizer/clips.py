"""Spoken sentences kept on disk, so that the same words in the same voice are synthesised once.

    cache = ClipCache(clips_dir())                  # one for a process group
    with cache.open(voice.identity) as clips:       # one for each match and voice
        clip = clips.get("Goal!", style) or clips.put("Goal!", style, speak_clip(voice, "Goal!", style))
        samples = clip.samples()

One file a clip: `CLIP1`, the length of a JSON head (uint32), the head, the samples as int16, a CRC-32 of all before it;
numbers little-endian. The file's name is the SHA-256 of voice, style and text. Files are written aside and renamed, so
several processes may share a folder; a damaged one counts as absent. When the folder grows over its bound, the clips
that were used longest ago go, save those that an open match of this process holds.

Kept by hand: a cache of a library (diskcache, joblib) copies what it returns into memory, for each match anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import mmap
import os
import struct
import threading
import weakref
import zlib
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np

from asr_tts.interfaces import SpeechStyle, Synthesizer
from commentary_llm.ground.errors import OutputError
from commentary_llm.ground.files import write_bytes_atomically

log = logging.getLogger(__name__)

_MAGIC = b"CLIP1\n"
_SUFFIX = ".clip"
_FULL_SCALE = 32767.0
# A match takes some 40 MB in one voice: room for those that are open, and for a dozen that may come again.
CLOSED_BYTES = 512 * 1024 * 1024
OPEN_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class SpokenClip:
    """A sentence just spoken, without silence around it."""

    pcm: np.ndarray  # (N,) int16 mono
    sample_rate_hz: int
    word_edges_s: tuple[float, ...]  # as `Speech.word_edges_s`

    @property
    def length_samples(self) -> int:
        return len(self.pcm)

    def samples(self) -> np.ndarray:
        """(N,) float32 in [-1, 1]."""
        return _as_float(self.pcm)


class KeptClip:
    """A sentence in a file of the cache. Holds no sound: the file is mapped for each playing, and checked then.

    No map is kept between playings, since Python before 3.13 keeps a file descriptor with each; what is played often
    stays in the system's page cache, which all matches and processes share.
    """

    __slots__ = ("__weakref__", "_path", "length_samples", "lost", "sample_rate_hz", "word_edges_s")

    def __init__(self, path: Path, length_samples: int, sample_rate_hz: int, word_edges_s: tuple[float, ...]) -> None:
        self._path = path
        self.length_samples = length_samples
        self.sample_rate_hz = sample_rate_hz
        self.word_edges_s = word_edges_s  # as `Speech.word_edges_s`
        self.lost = False  # found damaged or gone

    def samples(self) -> np.ndarray | None:
        """(N,) float32 in [-1, 1]; None when the file has been damaged or removed since it was found."""
        content = _open(self._path)
        if content is None or len(content.pcm) != self.length_samples:
            self.lost = True
            return None
        return _as_float(content.pcm)


Clip = SpokenClip | KeptClip


def speak_clip(synthesizer: Synthesizer, text: str, style: SpeechStyle) -> SpokenClip:
    """Synthesises `text`, which holds at least one word."""
    speech = synthesizer.speak(text, style, at_leisure=True)
    samples = np.concatenate([chunk.samples for chunk in speech])
    pcm = np.round(np.clip(samples, -1.0, 1.0) * _FULL_SCALE).astype(np.int16)
    return SpokenClip(pcm, synthesizer.sample_rate_hz, speech.word_edges_s)


class ClipCache:
    """The clips of all matches and voices in `folder`, which other processes may share. Thread-safe."""

    def __init__(self, folder: Path, *, closed_bytes: int = CLOSED_BYTES, open_bytes: int = OPEN_BYTES) -> None:
        """The folder's bound is `closed_bytes` and `open_bytes` for each match that is open."""
        self.folder = folder
        self._closed_bytes, self._open_bytes = closed_bytes, open_bytes
        self._opened = 0
        self._writable = True
        self._lock = threading.Lock()
        # Clips that somebody holds, by file: matches share them, and they are not pruned.
        self._held: weakref.WeakValueDictionary[Path, KeptClip] = weakref.WeakValueDictionary()

    @property
    def max_bytes(self) -> int:
        """What the folder may hold at present."""
        with self._lock:
            return self._closed_bytes + self._opened * self._open_bytes

    def open(self, identity: str) -> OpenClips:
        """The clips of a match in one voice (see `Synthesizer.identity`); close them with the match."""
        with self._lock:
            self._opened += 1
        return OpenClips(self, identity)

    def find(self, path: Path) -> KeptClip | None:
        """The clip in `path`, one object for all who ask; None where there is no whole one. Counts as use."""
        with self._lock:
            held = self._held.get(path)
        if held is not None and not held.lost:
            clip = held
        else:
            content = _open(path)
            if content is None:
                return None
            clip = self._share(path, content)
        try:
            os.utime(path)
        except FileNotFoundError:  # removed since it was held, or just before that
            return None
        except OSError:  # a read-only disk
            pass
        return clip

    def keep(self, path: Path, clip: SpokenClip) -> Clip:
        """Writes a clip to `path`, and gives back the one that is kept, which holds no sound in memory.

        A full or read-only disk costs memory, and time at the next start: warned of once; then `clip` itself returns.
        """
        if not self._writable:
            return clip
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_bytes_atomically(path, _render(clip), sync=False)  # a damaged one counts as absent
        except (OSError, OutputError) as error:
            self._writable = False
            log.warning("cannot keep clips in %s: %s; they are synthesised again at the next start", self.folder, error)
            return clip
        return self._share(path, _Content(clip.pcm, clip.sample_rate_hz, clip.word_edges_s))

    def prune(self) -> int:
        """Removes the clips used longest ago, of those that nobody here holds, until the folder is within its bound.

        Returns how many went.
        """
        entries = []
        for path in self.folder.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(OSError):
                stat = path.stat()
                entries.append((stat.st_mtime_ns, stat.st_size, path))
        excess = sum(size for _, size, _ in entries) - self.max_bytes
        removed = 0
        for _, size, path in sorted(entries):
            if excess <= 0:
                break
            # Under the lock: a match that asks for the clip meanwhile either holds it before or finds it gone.
            with self._lock:
                if path in self._held:
                    continue
                with contextlib.suppress(OSError):
                    path.unlink()
            excess -= size
            removed += 1
        return removed

    def _share(self, path: Path, content: _Content) -> KeptClip:
        """The clip that stands for `path` here, the same for all while its content is."""
        found = KeptClip(path, len(content.pcm), content.sample_rate_hz, content.word_edges_s)
        with self._lock:
            held = self._held.get(path)
            if held is not None and not held.lost and held.length_samples == found.length_samples:
                return held
            self._held[path] = found
            return found

    def _close_one(self) -> None:
        with self._lock:
            self._opened -= 1


class OpenClips:
    """A match's clips in one voice: what it has got or put is held until `close`. Thread-safe."""

    def __init__(self, cache: ClipCache, identity: str) -> None:
        self.cache = cache
        self._identity = identity
        self._holds: dict[Path, KeptClip] = {}
        self._closed = False

    def get(self, text: str, style: SpeechStyle) -> KeptClip | None:
        """The clip, None where there is no whole one."""
        return self._hold(self._path(text, style), self.cache.find(self._path(text, style)))

    def put(self, text: str, style: SpeechStyle, clip: SpokenClip) -> Clip:
        """Keeps a clip; returns what to play from now on (see `ClipCache.keep`)."""
        kept = self.cache.keep(self._path(text, style), clip)
        if isinstance(kept, KeptClip):
            self._hold(self._path(text, style), kept)
        return kept

    def close(self) -> None:
        """Lets go of all clips. Idempotent."""
        if not self._closed:
            self._closed = True
            self._holds.clear()
            self.cache._close_one()

    def __enter__(self) -> OpenClips:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _hold(self, path: Path, clip: KeptClip | None) -> KeptClip | None:
        if clip is not None and not self._closed:
            self._holds[path] = clip
        return clip

    def _path(self, text: str, style: SpeechStyle) -> Path:
        key = json.dumps([self._identity, astuple(style), text])
        return self.cache.folder / (hashlib.sha256(key.encode()).hexdigest() + _SUFFIX)


class _Content(NamedTuple):
    pcm: np.ndarray  # (N,) int16, of a file: a read-only view of its map
    sample_rate_hz: int
    word_edges_s: tuple[float, ...]


def _as_float(pcm: np.ndarray) -> np.ndarray:
    return pcm.astype(np.float32) / np.float32(_FULL_SCALE)


def _render(clip: SpokenClip) -> bytes:
    head = json.dumps({"sample_rate_hz": clip.sample_rate_hz, "word_edges_s": clip.word_edges_s}).encode()
    body = _MAGIC + struct.pack("<I", len(head)) + head + clip.pcm.astype("<i2").tobytes()
    return body + struct.pack("<I", zlib.crc32(body))


def _open(path: Path) -> _Content | None:
    """Maps a file and checks it; None when it is gone, or anything but a whole clip (which is logged)."""
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError:
        return None
    except ValueError:  # an empty file cannot be mapped
        content = None
    else:
        content = _parse(mapped)
    if content is None:
        log.warning("%s is damaged; it is made again", path)
    return content


def _parse(mapped: mmap.mmap) -> _Content | None:
    """None for anything but a whole clip."""
    view = memoryview(mapped)
    start = len(_MAGIC) + 4
    if len(view) < start + 4 or view[: len(_MAGIC)] != _MAGIC:
        return None
    body, check = view[:-4], view[-4:]
    if struct.pack("<I", zlib.crc32(body)) != check:
        return None
    (length,) = struct.unpack_from("<I", body, len(_MAGIC))
    head = json.loads(bytes(body[start : start + length]))
    pcm = np.frombuffer(body, dtype="<i2", offset=start + length)
    return _Content(pcm, head["sample_rate_hz"], tuple(head["word_edges_s"]))
