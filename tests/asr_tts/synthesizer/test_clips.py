"""Clips on disk: what was kept comes back, whatever happens to the files."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_tts.audio.levels import first_audible
from asr_tts.interfaces import SpeechStyle
from asr_tts.synthesizer import PiperSynthesizer
from asr_tts.synthesizer.clips import ClipCache, KeptClip, SpokenClip, speak_clip
from commentary_llm.language.en.speech import ENGLISH_SPEECH

CALM, HOT = SpeechStyle(), SpeechStyle(rate=1.2)


def clip(length: int = 2000, level: int = 1000) -> SpokenClip:
    return SpokenClip(np.full(length, level, np.int16), 22_050, (0.03, 0.0625))


def samples(found: KeptClip | None) -> np.ndarray:
    assert found is not None
    heard = found.samples()
    assert heard is not None
    return heard


def test_what_was_kept_comes_back_for_its_voice_style_and_text_alone(tmp_path: Path) -> None:
    clips = ClipCache(tmp_path / "clips").open("joe")
    assert clips.get("Goal!", HOT) is None
    put = clips.put("Goal!", HOT, clip())
    found = ClipCache(tmp_path / "clips").open("joe").get("Goal!", HOT)
    for kept in (put, found):
        assert isinstance(kept, KeptClip)
        assert np.array_equal(samples(kept), clip().samples())
        assert samples(kept).dtype == np.float32
        assert (kept.length_samples, kept.sample_rate_hz, kept.word_edges_s) == (2000, 22_050, (0.03, 0.0625))
    assert clips.get("Goal!", CALM) is None
    assert clips.get("Goal", HOT) is None
    assert ClipCache(tmp_path / "clips").open("amy").get("Goal!", HOT) is None


def test_a_file_of_the_first_version_is_read(tmp_path: Path) -> None:
    """As it was written before clips were mapped: the caches of users stay good."""
    key = json.dumps(["joe", [1.2, 1.0, 0.0], "Goal!"])
    head = json.dumps({"sample_rate_hz": 22_050, "word_edges_s": [0.5]}).encode()
    body = b"CLIP1\n" + struct.pack("<I", len(head)) + head + np.arange(-3, 3, dtype="<i2").tobytes()
    path = tmp_path / (hashlib.sha256(key.encode()).hexdigest() + ".clip")
    path.write_bytes(body + struct.pack("<I", zlib.crc32(body)))
    found = ClipCache(tmp_path).open("joe").get("Goal!", HOT)
    assert np.array_equal(np.round(samples(found) * 32767), np.arange(-3, 3))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_counts_as_absent_and_is_made_again(tmp_path: Path, data: st.DataObject) -> None:
    cache = ClipCache(tmp_path)
    before = cache.open("joe").put("Goal!", HOT, clip())
    (path,) = tmp_path.glob("*.clip")
    raw = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    else:
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(raw))
    assert before.samples() is None  # found out when it is played, too
    clips = cache.open("joe")
    assert clips.get("Goal!", HOT) is None
    clips.put("Goal!", HOT, clip())
    assert clips.get("Goal!", HOT) is not None
    assert before.samples() is not None


def test_a_file_that_vanishes_counts_as_absent(tmp_path: Path) -> None:
    clips = ClipCache(tmp_path).open("joe")
    kept = clips.put("Goal!", HOT, clip())
    next(tmp_path.glob("*.clip")).unlink()
    assert clips.get("Goal!", HOT) is None
    assert kept.samples() is None


def test_matches_share_one_clip_that_holds_no_sound(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path)
    first, second = cache.open("joe"), cache.open("joe")
    kept = first.put("Goal!", HOT, clip(400_000))
    assert second.get("Goal!", HOT) is kept
    assert second.put("Goal!", HOT, clip(400_000)) is kept
    tracemalloc.start()
    try:
        many = [first.put(str(number), HOT, clip(400_000)) for number in range(20)]
        assert sum(len(samples(each)) for each in many) == 20 * 400_000  # each float copy goes when it is played
        assert tracemalloc.get_traced_memory()[0] < 400_000
    finally:
        tracemalloc.stop()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    kept_sounds = [samples(each) for each in many]
    assert len(kept_sounds) == 20
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_threads_that_ask_at_once_get_one_clip(tmp_path: Path) -> None:
    ClipCache(tmp_path).open("joe").put("Goal!", HOT, clip())
    cache = ClipCache(tmp_path)
    opened = [cache.open("joe") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda clips: clips.get("Goal!", HOT), opened))
    assert found[0] is not None
    assert all(each is found[0] for each in found)


def test_the_clips_used_longest_ago_go_first(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, closed_bytes=3 * 4200, open_bytes=0)
    with cache.open("joe") as clips:
        for age, text in enumerate(("d", "c", "b", "a")):
            clips.put(text, CALM, clip())
            newest = max(tmp_path.glob("*.clip"), key=lambda path: path.stat().st_mtime_ns)
            os.utime(newest, (1000 + age, 1000 + age))
        assert clips.get("d", CALM) is not None  # used just now
    assert cache.prune() == 1
    clips = cache.open("joe")
    assert clips.get("c", CALM) is None
    assert all(clips.get(text, CALM) is not None for text in "dba")
    assert cache.prune() == 0


def test_what_an_open_match_holds_stays(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, closed_bytes=4200, open_bytes=0)
    first, second = cache.open("joe"), cache.open("joe")
    for text in "abc":
        first.put(text, CALM, clip())
    assert second.get("a", CALM) is not None
    assert cache.prune() == 0
    first.close()
    assert cache.prune() == 2
    assert second.get("a", CALM) is not None
    assert second.get("b", CALM) is None


def test_the_bound_grows_with_open_matches(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, closed_bytes=10, open_bytes=3)
    assert cache.max_bytes == 10
    with cache.open("joe"), cache.open("amy") as other:
        assert cache.max_bytes == 16
        other.close()
        other.close()
        assert cache.max_bytes == 13
    assert cache.max_bytes == 10


def test_many_writers_leave_whole_files(tmp_path: Path) -> None:
    opened = [ClipCache(tmp_path).open("joe") for _ in range(4)]

    def work(n: int) -> None:
        opened[n % 4].put("Goal!", HOT, clip(level=n))
        assert len(set(samples(opened[(n + 1) % 4].get("Goal!", HOT)).tolist())) == 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(100)))
    assert [path.suffix for path in tmp_path.iterdir()] == [".clip"]


def test_a_folder_that_cannot_be_written_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    clips = ClipCache(tmp_path / "file").open("joe")
    made = clip()
    assert clips.put("a", CALM, made) is made
    clips.put("b", CALM, made)
    assert clips.get("a", CALM) is None
    assert len(caplog.records) == 1


@pytest.mark.models
def test_a_clip_is_the_live_sound_and_starts_audibly(synthesizer: PiperSynthesizer) -> None:
    made = speak_clip(synthesizer, "Saved by Lloris!", HOT)
    speech = synthesizer.speak("Saved by Lloris!", HOT)
    live = np.concatenate([chunk.samples for chunk in speech])
    assert made.word_edges_s == speech.word_edges_s
    # The silence kept at the end depends on where the chunks end.
    assert abs(len(made.pcm) - len(live)) <= 0.02 * made.sample_rate_hz
    spoken = min(len(made.pcm), len(live)) - round(0.04 * made.sample_rate_hz)
    assert np.abs(made.samples()[:spoken] - live[:spoken]).max() < 1e-4
    start = first_audible(made.samples(), made.sample_rate_hz)
    assert start is not None
    assert start <= 0.010 * made.sample_rate_hz


@pytest.mark.models
def test_identity_follows_what_shapes_the_sound(synthesizer: PiperSynthesizer) -> None:
    voice = synthesizer.voice
    plain = PiperSynthesizer(voice, ENGLISH_SPEECH, fingerprint="x")
    assert plain.identity == PiperSynthesizer(voice, ENGLISH_SPEECH, fingerprint="x").identity
    others = [
        PiperSynthesizer(voice, ENGLISH_SPEECH, fingerprint="y"),
        PiperSynthesizer(voice, ENGLISH_SPEECH, seed=1, fingerprint="x"),
        PiperSynthesizer(voice, ENGLISH_SPEECH, pronunciations={"Messi": "mɛsi"}, fingerprint="x"),
    ]
    assert len({plain.identity, *(other.identity for other in others)}) == 4
