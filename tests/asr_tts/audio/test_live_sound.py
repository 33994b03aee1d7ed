"""Live sound: raw and contained formats, at any rate; what is kept of it; a source that stalls, races or breaks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_tts.audio.live import RATE_HZ, SpooledSound, live_chunks
from commentary_llm.ends.stadium_sound import AHEAD_S, StadiumSound
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.errors import InputError, OutputError


def tone(seconds: float, rate_hz: int) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def level(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


@pytest.mark.parametrize(
    ("name", "rate_hz", "channels"), [("a.wav", 16_000, 1), ("a b.flac", 44_100, 2), ("a.ogg", 48_000, 1)]
)
def test_formats_are_recognised_and_brought_to_16_khz_mono(
    tmp_path: Path, name: str, rate_hz: int, channels: int
) -> None:
    sound = tone(2.0, rate_hz)
    soundfile.write(tmp_path / name, np.stack([sound] * channels, axis=1), rate_hz)
    heard = np.concatenate(list(live_chunks(str(tmp_path / name))))
    assert heard.dtype == np.float32
    assert len(heard) == pytest.approx(2.0 * RATE_HZ, abs=0.05 * RATE_HZ)
    assert level(heard[2000:-2000]) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    spectrum = np.abs(np.fft.rfft(heard[4000:20_000]))
    assert spectrum.argmax() == 440


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_raw_sound_comes_through_a_pipe(tmp_path: Path, rate_hz: int) -> None:
    os.mkfifo(tmp_path / "pipe")
    data = (tone(1.0, rate_hz) * 32767).astype("<i2").tobytes()
    feed = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(data), daemon=True)
    feed.start()
    heard = np.concatenate(list(live_chunks(str(tmp_path / "pipe"), rate_hz)))
    assert len(heard) == pytest.approx(RATE_HZ, abs=0.05 * RATE_HZ)
    assert level(heard[2000:-2000]) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_what_is_no_sound_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no sound at all " * 100)
    for source in ("notes.txt", "absent.wav"):
        with pytest.raises(InputError, match=source):
            list(live_chunks(str(tmp_path / source)))


def test_kept_sound_is_read_back_by_stream_time(tmp_path: Path) -> None:
    spool = SpooledSound(tmp_path, start_s=2.0)
    sound = tone(3.0, RATE_HZ)
    for piece in np.array_split(sound, 7):
        spool.append(piece)
    np.testing.assert_allclose(spool.read(2.5, 1.0), sound[8_000:24_000], atol=1e-4)
    around = spool.read(1.5, 4.0)
    assert len(around) == 4 * RATE_HZ
    assert not around[:8_000].any()
    np.testing.assert_allclose(around[8_000:56_000], sound, atol=1e-4)
    assert not around[56_000:].any()
    assert not spool.read(100.0, 1.0).any()
    spool.close()
    assert not list(tmp_path.iterdir())
    with pytest.raises(OutputError, match="absent"):
        SpooledSound(tmp_path / "absent", 0.0)


class Stadium:
    """A `StadiumSound` over a file, with what it gave and said."""

    def __init__(self, source: Path, folder: Path, clock: StreamClock, raw_rate_hz: int | None = None) -> None:
        self.heard: list[np.ndarray] = []
        self.said: list[str] = []
        self.spool = SpooledSound(folder, clock.now_s())
        self.sound = StadiumSound(
            str(source), raw_rate_hz, self.heard.append, clock, self.spool, clock.now_s(), self.said.append
        )
        self.sound.start()

    def seconds(self) -> float:
        return sum(map(len, self.heard)) / RATE_HZ


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.01)


def test_a_file_is_held_back_to_real_time(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", tone(20.0, RATE_HZ), RATE_HZ)
    now_s = [0.0]
    stadium = Stadium(tmp_path / "long.wav", tmp_path, StreamClock(monotonic=lambda: now_s[0]))
    wait_for(lambda: stadium.seconds() > AHEAD_S)
    chunk_s = 0.2  # more than any decoder hands out at once
    time.sleep(0.1)
    assert stadium.seconds() < AHEAD_S + chunk_s
    now_s[0] = 5.0
    wait_for(lambda: stadium.seconds() > 5.0)
    assert stadium.seconds() < 5.0 + AHEAD_S + chunk_s

    def ended() -> bool:
        now_s[0] += 0.2
        return bool(stadium.said)

    wait_for(ended)
    assert "has ended" in stadium.said[0]
    stadium.sound.stop()


def test_a_source_that_pauses_leaves_silence_where_it_was_silent(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    now_s = [0.0]
    stadium = Stadium(tmp_path / "pipe", tmp_path, StreamClock(monotonic=lambda: now_s[0]), RATE_HZ)
    burst = (tone(0.2, RATE_HZ) * 32767).astype("<i2").tobytes()
    with (tmp_path / "pipe").open("wb", buffering=0) as pipe:
        pipe.write(burst)
        wait_for(lambda: stadium.seconds() > 0.1)
        now_s[0] = 10.0
        pipe.write(burst)
        wait_for(lambda: stadium.seconds() > 9.9)
    wait_for(lambda: bool(stadium.said))
    stadium.sound.stop()
    kept = stadium.spool.read(0.0, 11.0)
    assert level(kept[1000:2000]) > 0.1
    assert not kept[RATE_HZ : 9 * RATE_HZ].any()
    assert level(kept[round(9.95 * RATE_HZ) : round(10.15 * RATE_HZ)]) > 0.1


def test_a_source_that_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    stadium = Stadium(tmp_path / "absent.wav", tmp_path, StreamClock())
    wait_for(lambda: bool(stadium.said))
    assert "absent.wav" in stadium.said[0]
    assert "going on without" in stadium.said[0]
    stadium.sound.stop()
