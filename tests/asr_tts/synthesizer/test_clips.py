"""Clips on disk: what was kept comes back, whatever happens to the files."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_tts.audio.levels import first_audible
from asr_tts.interfaces import SpeechStyle
from asr_tts.synthesizer import PiperSynthesizer
from asr_tts.synthesizer.clips import Clip, ClipCache, speak_clip

CALM, HOT = SpeechStyle(), SpeechStyle(rate=1.2)


def clip(length: int = 2000, level: int = 1000) -> Clip:
    return Clip(np.full(length, level, np.int16), 22_050, (0.03, 0.0625))


def test_what_was_kept_comes_back_for_its_voice_style_and_text_alone(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path / "clips", "joe")
    assert cache.get("Goal!", HOT) is None
    cache.put("Goal!", HOT, clip())
    found = cache.get("Goal!", HOT)
    assert found is not None
    assert np.array_equal(found.pcm, clip().pcm)
    assert (found.sample_rate_hz, found.word_edges_s) == (22_050, (0.03, 0.0625))
    assert cache.get("Goal!", CALM) is None
    assert cache.get("Goal", HOT) is None
    assert ClipCache(tmp_path / "clips", "amy").get("Goal!", HOT) is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_counts_as_absent_and_is_made_again(tmp_path: Path, data: st.DataObject) -> None:
    cache = ClipCache(tmp_path, "joe")
    cache.put("Goal!", HOT, clip())
    (path,) = tmp_path.glob("*.clip")
    raw = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    else:
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(raw))
    assert cache.get("Goal!", HOT) is None
    cache.put("Goal!", HOT, clip())
    assert cache.get("Goal!", HOT) is not None


def test_the_clips_used_longest_ago_go_first(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, "joe", max_bytes=3 * 4200)
    for age, text in enumerate(("d", "c", "b", "a")):
        cache.put(text, CALM, clip())
        newest = max(tmp_path.glob("*.clip"), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (1000 + age, 1000 + age))
    assert cache.get("d", CALM) is not None  # used just now
    assert cache.prune() == 1
    assert cache.get("c", CALM) is None
    assert all(cache.get(text, CALM) is not None for text in "dba")
    assert cache.prune() == 0


def test_many_writers_leave_whole_files(tmp_path: Path) -> None:
    caches = [ClipCache(tmp_path, "joe") for _ in range(4)]

    def work(n: int) -> None:
        caches[n % 4].put("Goal!", HOT, clip(level=n))
        found = caches[(n + 1) % 4].get("Goal!", HOT)
        assert found is not None
        assert len(set(found.pcm.tolist())) == 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(100)))
    assert [path.suffix for path in tmp_path.iterdir()] == [".clip"]


def test_a_folder_that_cannot_be_written_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    cache = ClipCache(tmp_path / "file", "joe")
    cache.put("a", CALM, clip())
    cache.put("b", CALM, clip())
    assert cache.get("a", CALM) is None
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
    plain = PiperSynthesizer(voice, fingerprint="x")
    assert plain.identity == PiperSynthesizer(voice, fingerprint="x").identity
    others = [
        PiperSynthesizer(voice, fingerprint="y"),
        PiperSynthesizer(voice, seed=1, fingerprint="x"),
        PiperSynthesizer(voice, pronunciations={"Messi": "mɛsi"}, fingerprint="x"),
    ]
    assert len({plain.identity, *(other.identity for other in others)}) == 4
