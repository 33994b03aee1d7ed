"""The mix: loudness, peaks, ducking, placement, what is left after an interruption or on a full disk."""

from __future__ import annotations

import resource
import tracemalloc
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from asr_tts.audio.background import Splice, SplicedBackground
from asr_tts.audio.crowd import CrowdNoise, Moment
from asr_tts.audio.ducking import DUCK_DB, SPEECH_TO_BED_DB, Ducker
from asr_tts.audio.fades import cut_fade, faded_cut
from asr_tts.audio.levels import rms_dbfs
from asr_tts.audio.loudness import true_peak_dbtp
from asr_tts.audio.mixer import Mixer
from asr_tts.audio.writer import WavWriter
from commentary_llm.ground.errors import InputError, OutputError

RATE = 22_050


class Hum:
    """A steady background."""

    def __init__(self, level: float = 0.05, rate: int = RATE) -> None:
        self.sample_rate_hz, self._level = rate, level

    def read(self, start_s: float, duration_s: float) -> np.ndarray:
        first = round(start_s * self.sample_rate_hz)
        times = np.arange(first, first + round(duration_s * self.sample_rate_hz)) / self.sample_rate_hz
        return (self._level * np.sin(2 * np.pi * 300 * times)).astype(np.float32)


def talk(seconds: float, level: float = 0.15, seed: int = 0) -> np.ndarray:
    """Noise in syllables."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(rng.normal(0, level, len(times)) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * times)), dtype=np.float32)


@pytest.mark.parametrize("level", [0.01, 0.15, 0.6])
def test_broadcast_loudness_whatever_comes_in(tmp_path: Path, level: float) -> None:
    with Mixer(temporary_folder=tmp_path) as mixer:
        for start_s in (1.0, 6.0, 14.5):
            mixer.add(start_s, talk(3.0, level), RATE)
        mixer.add(19.0, np.sign(talk(0.01)) * np.float32(0.99), RATE)  # a click that only the limiter can hold
        report = mixer.write(tmp_path / "mix.wav", 22.0, CrowdNoise([Moment(6.0, 1.0)], 16_000))
    samples, rate = soundfile.read(tmp_path / "mix.wav")
    assert (rate, len(samples)) == (RATE, 22 * RATE)
    assert pyloudnorm.Meter(rate).integrated_loudness(samples) == pytest.approx(-23.0, abs=0.7)
    assert true_peak_dbtp(samples.astype(np.float32)) <= -1.0
    assert report.integrated_lufs == pytest.approx(pyloudnorm.Meter(rate).integrated_loudness(samples), abs=0.1)
    assert report.duration_s == 22.0
    assert report.speech_s == pytest.approx(9.01, abs=0.01)
    assert [path.name for path in tmp_path.iterdir()] == ["mix.wav"]


def test_speech_lies_where_it_was_put(tmp_path: Path) -> None:
    with Mixer() as mixer:
        mixer.add(12.345, talk(1.0), RATE)
        mixer.add(2.0, talk(1.0), RATE, cut_s=0.5)
        mixer.write(tmp_path / "mix.wav", 15.0)
    samples, _ = soundfile.read(tmp_path / "mix.wav")
    loud = np.flatnonzero(np.abs(samples) > 1e-4) / RATE
    assert loud[0] == pytest.approx(2.0, abs=0.002)
    assert loud[-1] == pytest.approx(13.345, abs=0.002)
    assert not ((loud > 2.501) & (loud < 12.344)).any()


def test_the_background_goes_down_before_speech_and_comes_back() -> None:
    ducker = Ducker(Hum(), [(5.0, 7.0)], -24.0, RATE)
    bed = ducker.read(0, 12 * RATE)
    level = {
        second: rms_dbfs(bed[round(second * RATE) : round((second + 0.3) * RATE)]) for second in (2, 4.6, 5, 6, 10)
    }
    assert level[5] == pytest.approx(level[6], abs=0.2)
    assert level[6] <= level[2] + DUCK_DB + 0.1
    assert level[4.6] == pytest.approx(level[2], abs=0.2)
    assert level[10] == pytest.approx(level[2], abs=0.1)
    assert np.isfinite(bed).all()


def test_a_roar_is_held_down_under_speech() -> None:
    crowd = CrowdNoise([Moment(4.0, 1.0)], RATE)
    speech_lufs = -26.0
    bed = Ducker(crowd, [(5.0, 9.0), (70.0, 71.0)], speech_lufs, RATE).read(0, 12 * RATE)
    for second in np.arange(5.5, 8.5, 0.5):
        under = rms_dbfs(bed[round(second * RATE) : round((second + 0.4) * RATE)])
        assert under <= speech_lufs - SPEECH_TO_BED_DB + 1.5


def test_ducking_does_not_depend_on_the_blocks() -> None:
    ducker = Ducker(CrowdNoise([Moment(1.0, 0.8)], RATE), [(1.0, 2.0), (3.1, 4.0)], -24.0, RATE)
    whole = ducker.read(0, 6 * RATE)
    parts = np.concatenate([ducker.read(first, 10_000) for first in range(0, 6 * RATE, 10_000)])[: len(whole)]
    np.testing.assert_allclose(parts, whole, atol=2e-4)


def test_a_mix_without_speech_or_without_anything(tmp_path: Path) -> None:
    with Mixer() as mixer:
        assert mixer.write(tmp_path / "bed.wav", 5.0, Hum()).integrated_lufs == pytest.approx(-23.0, abs=0.5)
        assert mixer.write(tmp_path / "nothing.wav", 2.0).integrated_lufs == -np.inf
        assert mixer.write(tmp_path / "empty.wav", 0.0).duration_s == 0.0
    assert not soundfile.read(tmp_path / "nothing.wav")[0].any()
    assert soundfile.info(tmp_path / "empty.wav").frames == 0


def test_bad_speech_is_refused() -> None:
    with Mixer() as mixer:
        for samples in (np.zeros((2, 5), np.float32), np.zeros(5, np.int16), np.array([0.0, np.nan], np.float32)):
            with pytest.raises(InputError, match="expected finite mono floats"):
                mixer.add(0.0, samples, RATE)
        with pytest.raises(InputError, match="at a time from 0 on"):
            mixer.add(-1.0, np.zeros(5, np.float32), RATE)


def test_speech_of_another_rate(tmp_path: Path) -> None:
    with Mixer(48_000) as mixer:
        mixer.add(1.0, talk(2.0), RATE)
        assert mixer.end_s == pytest.approx(3.0, abs=0.001)
        assert mixer.write(tmp_path / "mix.wav", 4.0, Hum()).sample_rate_hz == 48_000


def test_a_cut_fades_and_ends() -> None:
    cut = faded_cut(np.ones(RATE, dtype=np.float32), RATE, 0.5)
    assert len(cut) == RATE // 2
    assert cut[-1] == 0.0
    assert cut[: -round(0.02 * RATE)].min() == 1.0
    assert len(faded_cut(np.ones(10, dtype=np.float32), RATE, 0.5)) == 10


def test_the_fade_of_a_cut_does_not_depend_on_the_pieces() -> None:
    whole = cut_fade(0, 1000, 1000, RATE)
    pieces = [cut_fade(first, 100, 1000, RATE) for first in range(0, 1000, 100)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert not len(cut_fade(1000, 0, 1000, RATE))


def test_a_mix_takes_no_more_memory_when_the_match_is_longer(tmp_path: Path) -> None:
    rate = 8_000

    def peak_bytes(minutes: int) -> int:
        sentence = talk(3.0)
        tracemalloc.start()
        with Mixer(rate, tmp_path) as mixer:
            for number in range(6 * minutes):
                mixer.add(10.0 * number, sentence, rate)
            mixer.write(tmp_path / "mix.wav", 60.0 * minutes, Hum(rate=rate))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    short, long = peak_bytes(2), peak_bytes(12)
    assert long < short + 2e6  # ten minutes more are 19 MB of float32


def test_splices_join_without_a_hole() -> None:
    splices = [Splice(0.0, 0.0, 4.0), Splice(100.0, 4.0, 3.0), Splice(50.0, 7.0, 2.0)]
    spliced = SplicedBackground(CrowdNoise(sample_rate_hz=8000), splices)
    whole = spliced.read(0.0, 9.0)
    parts = np.concatenate([spliced.read(second / 2, 0.5) for second in range(18)])
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    levels = [rms_dbfs(whole[start : start + 800]) for start in range(0, len(whole), 800)]
    assert min(levels) > max(levels) - 12


def test_an_interrupted_file_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "out" / "a.wav"

    def interrupted() -> None:
        with WavWriter(path, RATE) as writer:
            writer.write(talk(1.5))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert soundfile.info(path).duration == 1.5
    assert [item.name for item in path.parent.iterdir()] == ["a.wav"]


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:
        with WavWriter(tmp_path / "a.wav", RATE) as writer:
            for _ in range(50):
                writer.write(talk(1.0))

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*a\.wav"):
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        WavWriter(tmp_path / "file" / "a.wav", RATE)


def test_the_crowd_is_the_same_wherever_reading_starts() -> None:
    crowd, again = (CrowdNoise([Moment(6.0, 0.9)], 8000, seed=3) for _ in range(2))
    whole = crowd.read(0.0, 14.0)
    np.testing.assert_array_equal(again.read(5.0, 4.0), whole[40_000:72_000])
    assert rms_dbfs(whole[8000 * 8 : 8000 * 9]) > rms_dbfs(whole[8000 * 4 : 8000 * 5]) + 6
    assert np.abs(whole).max() <= 1.0
    assert np.abs(CrowdNoise(sample_rate_hz=8000, seed=4).read(0, 1) - crowd.read(0, 1)).max() > 0.01
    assert len(crowd.read(-2.0, 1.0)) == 8000
