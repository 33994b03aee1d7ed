from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr

from asr_tts.audio.reader import AudioReader
from commentary_llm.ground.errors import InputError

DURATION_S = 90
# name, codec, rate, samples that the format's encoder puts before the sound without saying so
FORMATS = [
    ("a.wav", "pcm_s16le", 44_100, 0),
    ("a.wav", "pcm_u8", 8_000, 0),
    ("a.flac", "flac", 48_000, 0),
    ("a.opus", "libopus", 48_000, 0),
    ("a.mka", "libopus", 48_000, 0),
    ("a.m4a", "aac", 44_100, 0),
    ("a.aac", "aac", 44_100, 1024),
    ("a.ts", "aac", 48_000, 1024),
    ("a.mp3", "libmp3lame", 44_100, 0),
]


def recording(rate: int, duration_s: float = DURATION_S) -> np.ndarray:
    """Noise below 3 kHz, unlike itself at any other place."""
    wide = np.random.default_rng(3).standard_normal(round(duration_s * rate))
    spectrum = np.fft.rfft(wide)
    spectrum[np.fft.rfftfreq(len(wide), 1 / rate) > 3_000] = 0
    narrow = np.fft.irfft(spectrum, len(wide))
    return (narrow / np.abs(narrow).max() * 0.5).astype(np.float32)


def encode(path: Path, codec: str, rate: int, samples: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "stereo"
        resampler = av.AudioResampler(format=stream.format.name, layout="stereo", rate=rate)
        frame = av.AudioFrame.from_ndarray(np.tile(samples, (2, 1)), format="fltp", layout="stereo")
        frame.sample_rate = rate
        frame.pts = 0
        for converted in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(converted))
        container.mux(stream.encode(None))


def lag_samples(reference: np.ndarray, start: int, window: np.ndarray, reach: int) -> int:
    """Where in `reference` (padded) the window's best match lies, relative to `start`."""
    around = np.pad(reference, reach)[start : start + len(window) + 2 * reach]
    size = len(around) + len(window)
    product = np.fft.rfft(around, size) * np.conj(np.fft.rfft(window, size))
    return int(np.fft.irfft(product, size)[: 2 * reach + 1].argmax()) - reach


@pytest.mark.parametrize(("name", "codec", "rate", "priming"), FORMATS, ids=lambda value: str(value))
def test_windows_lie_where_they_were_asked_for(tmp_path: Path, name: str, codec: str, rate: int, priming: int) -> None:
    sound = recording(rate)
    encode(tmp_path / name, codec, rate, sound)
    reference = soxr.resample(sound, rate, 16_000)
    with AudioReader(tmp_path / name) as reader:
        assert reader.native_rate_hz == rate
        assert reader.duration_s == pytest.approx(DURATION_S, rel=0.1 if name == "a.aac" else 0.01)
        for start_s in (0.0, 80.0, 33.3337, 0.4, 60.01):
            window = reader.read(start_s, 3.0)
            assert window.dtype == np.float32
            assert len(window) == 48_000
            lag = lag_samples(reference, round(start_s * 16_000), window, 1_600)
            assert abs(lag / 16_000 + priming / rate) < 0.0015
            assert np.sqrt(np.mean(window**2)) == pytest.approx(np.sqrt(np.mean(reference**2)), rel=0.1)
        streamed = np.concatenate(list(reader.chunks(0.3)))
        assert abs(len(streamed) / 16_000 - DURATION_S) < 0.7
        assert abs(lag_samples(reference, 160_000, streamed[160_000:208_000], 1_600) / 16_000 + priming / rate) < 0.0015
        assert reader.damaged_packets == 0


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
def test_windows_and_stream_agree_at_any_rate(tmp_path: Path, rate: int) -> None:
    encode(tmp_path / "a.flac", "flac", 48_000, recording(48_000, 20.0))
    reader = AudioReader(tmp_path / "a.flac", sample_rate_hz=rate)
    streamed = np.concatenate(list(reader.chunks(0.1)))
    tiled = np.concatenate([reader.read(second, 2.0) for second in range(0, 20, 2)])
    assert len(tiled) == len(streamed) == 20 * rate
    assert np.abs(tiled - streamed).max() < 1e-4
    later = np.concatenate(list(reader.chunks(0.5, start_s=12.0)))
    assert np.abs(later[rate:] - streamed[13 * rate :])[: 6 * rate].max() < 1e-4


def test_past_the_ends_is_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(32_000, 0.25, np.float32), 16_000, subtype="FLOAT")
    reader = AudioReader(tmp_path / "a.wav")
    before = reader.read(-1.0, 2.0)
    np.testing.assert_array_equal(before[:16_000], 0.0)
    np.testing.assert_array_equal(before[16_000:], 0.25)
    after = reader.read(1.5, 1.0)
    np.testing.assert_array_equal(after[:8_000], 0.25)
    np.testing.assert_array_equal(after[8_000:], 0.0)
    np.testing.assert_array_equal(reader.read(500.0, 0.5), np.zeros(8_000))


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = np.full(16_000, 0.8, np.float32), np.full(16_000, -0.2, np.float32)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16_000, subtype="PCM_16")
    assert AudioReader(tmp_path / "a.wav").read(0.0, 1.0) == pytest.approx(0.3, abs=1e-4)


def test_damage_in_the_middle_does_not_end_the_reading(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp3", "libmp3lame", 44_100, recording(44_100, 20.0))
    data = bytearray((tmp_path / "a.mp3").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4_000] = np.random.default_rng(0).bytes(4_000)
    (tmp_path / "b.mp3").write_bytes(data)
    whole, damaged = (AudioReader(tmp_path / name).read(0.0, 20.0) for name in ("a.mp3", "b.mp3"))
    near = np.abs(whole - damaged).reshape(-1, 1_600).max(axis=1)
    assert (near[:80] < 1e-4).all()
    # An MP3 has no time stamps, so what follows lies where the frames that are left put it.
    assert np.sqrt(np.mean(damaged[-64_000:-32_000] ** 2)) == pytest.approx(np.sqrt(np.mean(whole**2)), rel=0.1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.wav", None, "no such file"),
        ("match.jsonl", b'{"minute": 1}\n' * 50, "not a media file"),
        ("empty.wav", b"", "not a media file"),
    ],
)
def test_files_without_sound_are_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: .*{message}|{name}: {message}"):
        AudioReader(tmp_path / name)


def test_a_video_without_sound_is_named(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "silent.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match=r"silent\.mp4: has no audio track, only video tracks"):
        AudioReader(tmp_path / "silent.mp4")
