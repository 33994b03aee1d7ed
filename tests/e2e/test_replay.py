"""The replay command on two real ranks with the real models: what it leaves behind, and how it fails."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
import soxr
from replay_job import replay, start_replay

from asr_tts.recognizer import open_recognizer, word_error_rate
from asr_tts.recognizer.word_error import normalise_words
from asr_tts.synthesizer import PiperSynthesizer
from commentary_llm.ground.home import ASR_MODEL, LLM_MODEL, TTS_MODEL, models_dir, shards_dir
from commentary_llm.match import CardType, EventType, MatchEvent, MatchInfo, ShotOutcome
from commentary_llm.match.feeds.jsonl import write_jsonl
from commentary_llm.match.feeds.recording import Recording
from commentary_llm.session.record import CueRecord
from commentary_llm.speech import speech_text_of

pytestmark = [pytest.mark.models, pytest.mark.mpi]

ANNOUNCEMENT = "Goal for Northport, scored by number four, Emil Hart."


def event(event_id: str, kind: EventType, elapsed_s: float, **fields: object) -> MatchEvent:
    return MatchEvent(event_id=event_id, type=kind, period=1, elapsed_s=elapsed_s, **fields)  # type: ignore[arg-type]


def events() -> tuple[MatchEvent, ...]:
    return (
        event("start", EventType.PERIOD_START, 0),
        event("shot", EventType.SHOT, 30, team="a", player="a9", outcome=ShotOutcome.SAVED, goalkeeper="h1"),
        event("corner", EventType.CORNER, 33, team="a"),
        event("goal", EventType.GOAL, 60, team="h", player="h4", assist="h7"),
        event("card", EventType.CARD, 90, team="a", player="a5", card=CardType.YELLOW),
        event("sub", EventType.SUBSTITUTION, 120, team="h", player="h9", player_on="h12"),
        event("end", EventType.PERIOD_END, 150),
    )


@pytest.fixture(scope="module")
def match_file(small_match: MatchInfo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("match") / "small.jsonl"
    write_jsonl(Recording(small_match, events()), path)
    return path


@pytest.fixture(scope="module")
def stadium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """160 s of quiet noise with one announcement a second after the goal."""
    voice = PiperSynthesizer.load(models_dir() / TTS_MODEL, speech_text_of)
    spoken = np.concatenate([chunk.samples for chunk in voice.synthesize(ANNOUNCEMENT)])
    spoken = soxr.resample(spoken, voice.sample_rate_hz, 16_000)
    sound = np.random.default_rng(0).normal(0, 0.003, 160 * 16_000).astype(np.float32)
    sound[61 * 16_000 : 61 * 16_000 + len(spoken)] += spoken
    path = tmp_path_factory.mktemp("stadium") / "stadium.flac"
    soundfile.write(path, sound, 16_000)
    return path


def records_of(out: Path) -> list[CueRecord]:
    lines = (out / "commentary.jsonl").read_text(encoding="utf-8").splitlines()
    return [CueRecord.model_validate_json(line) for line in lines]


@pytest.fixture(scope="module")
def replayed(match_file: Path, stadium: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("replay") / "out"
    code, output = replay("--match", match_file, "--audio", stadium, "--out", out)
    assert code == 0, output
    assert "Northport 1-0 Eastvale" in output
    return out


def test_every_event_worth_words_is_spoken(replayed: Path) -> None:
    records = {record.event_id: record for record in records_of(replayed)}
    for event_id in ("start", "shot", "goal", "card", "sub", "end"):
        record = records[event_id]
        assert record.text, record
        assert record.source in ("model", "template")
        assert record.end_s is not None
        assert record.end_s > record.start_s >= 0
        assert record.timings_ms["first_audible"] <= record.timings_ms["last_sample"]
    assert "Hart" in records["goal"].text
    assert records["goal"].score == "1-0"


def test_sound_is_at_broadcast_level_and_holds_the_lines(replayed: Path, small_match: MatchInfo) -> None:
    samples, rate = soundfile.read(replayed / "commentary.wav", dtype="float32")
    records = [record for record in records_of(replayed) if record.text]
    loudness = pyloudnorm.Meter(rate).integrated_loudness(samples)
    assert loudness == pytest.approx(-23, abs=1)
    assert np.abs(soxr.resample(samples, rate, 4 * rate)).max() <= 10 ** (-1 / 20)
    for left, right in itertools.pairwise(records):
        assert 0 <= right.start_s - left.end_s <= 2.01
    assert len(samples) / rate == pytest.approx(records[-1].end_s + 2, abs=0.1)
    recognizer = open_recognizer(models_dir() / ASR_MODEL)
    said, heard = [], []
    for record in records:
        line = samples[int(record.start_s * rate) - rate // 5 : int(record.end_s * rate) + rate // 5]
        heard.append(recognizer.transcribe(soxr.resample(line, rate, 16_000)).text)
        said.append(record.text)
    # Made-up names are misheard; the rest has to be intelligible over the crowd.
    teams = (small_match.home, small_match.away)
    names = {word for team in teams for each in (team, *team.players) for word in normalise_words(each.name)}
    words = Counter(word for word in normalise_words(" ".join(said)) if word not in names)
    found = words & Counter(normalise_words(" ".join(heard)))
    assert found.total() >= 0.7 * words.total(), list(zip(said, heard, strict=True))


def test_stadium_is_heard(replayed: Path) -> None:
    goal = next(record for record in records_of(replayed) if record.event_id == "goal")
    assert word_error_rate(ANNOUNCEMENT, goal.heard) < 0.5, goal.heard


def test_captions_are_on_the_same_timeline(replayed: Path) -> None:
    text = (replayed / "captions.vtt").read_text(encoding="utf-8")
    assert text.startswith("WEBVTT")
    for record in records_of(replayed):
        if record.text:
            assert record.text.split()[0] in text
            stamp = f"{int(record.start_s // 60):02}:{record.start_s % 60:06.3f}"
            assert stamp in text


def test_report_is_complete_and_self_contained(replayed: Path) -> None:
    page = (replayed / "report.html").read_text(encoding="utf-8")
    assert "Northport" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_full_timeline_keeps_the_pauses(match_file: Path, tmp_path: Path) -> None:
    code, output = replay("--match", match_file, "--out", tmp_path, "--full-timeline", "--seed", 3)
    assert code == 0, output
    info = soundfile.info(tmp_path / "commentary.wav")
    assert info.duration > 150
    goal = next(record for record in records_of(tmp_path) if record.event_id == "goal")
    assert 60 <= goal.start_s <= 64


def test_bad_input_is_named_once_and_ends_all_ranks(match_file: Path, tmp_path: Path) -> None:
    lines = match_file.read_text(encoding="utf-8").splitlines()
    lines[2] = lines[2].replace('"a9"', '"a99"')
    lines[4] = lines[4][:25]
    broken = tmp_path / "broken.jsonl"
    broken.write_text("\n".join(lines), encoding="utf-8")
    code, output = replay("--match", broken, "--out", tmp_path / "out")
    assert code == 2, output
    assert "line 3" in output
    assert "line 5" in output
    assert output.count("error:") == 1, output
    assert "Traceback" not in output
    assert not (tmp_path / "out").exists()


def test_wrong_rank_count_names_both_and_the_command(match_file: Path, tmp_path: Path) -> None:
    code, output = replay("--match", match_file, "--out", tmp_path, ranks=5)
    assert code == 3, output
    assert "checkpoints shard" in output
    assert "5" in output


def test_a_corrupted_shard_of_another_rank_is_named_by_rank_0(
    match_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = tmp_path / "home" / "shards" / LLM_MODEL / "int8-tp2"
    shutil.copytree(shards_dir(LLM_MODEL, 2), shards)
    (tmp_path / "home" / "models").symlink_to(models_dir())
    monkeypatch.setenv("COMMENTARY_HOME", str(tmp_path / "home"))
    damaged = bytearray((shards / "rank1.safetensors").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (shards / "rank1.safetensors").write_bytes(damaged)
    code, output = replay("--match", match_file, "--out", tmp_path / "out")
    assert code == 3, output
    assert "error: rank 1 (" in output
    assert "rank1.safetensors is corrupted" in output
    assert f"python -m checkpoints shard --model {LLM_MODEL} --ranks 2" in output


def test_a_corrupted_voice_is_named_with_the_command(match_file: Path, tmp_path: Path) -> None:
    voice = tmp_path / "voice"
    shutil.copytree(models_dir() / TTS_MODEL, voice)
    decoder = bytearray((voice / "decoder.onnx").read_bytes())
    decoder[len(decoder) // 2] ^= 1
    (voice / "decoder.onnx").write_bytes(decoder)
    code, output = replay("--match", match_file, "--tts", voice, "--out", tmp_path / "out")
    assert code == 3, output
    assert "decoder.onnx is corrupted" in output
    assert "python -m checkpoints" in output


def test_full_disk_leaves_no_half_written_sound(match_file: Path, tmp_path: Path) -> None:
    # One rank: the limit would keep MPI from making its shared memory.
    code, output = replay("--match", match_file, "--out", tmp_path, ranks=1, limit_file_bytes=256 * 1024)
    assert code == 1, output
    assert "free some space" in output
    assert not (tmp_path / "commentary.wav").exists()
    assert records_of(tmp_path)


def test_interrupted_replay_leaves_valid_files(match_file: Path, tmp_path: Path) -> None:
    with start_replay("--match", match_file, "--out", tmp_path, "--speed", "2x") as job:
        journal = tmp_path / "commentary.jsonl"
        job.wait_for(lambda: journal.exists() and journal.stat().st_size > 0)
        os.kill(job.rank_pid(0), signal.SIGINT)
        code, output = job.finish(60)
    assert code == 130, output
    records = records_of(tmp_path)
    assert records
    assert soundfile.info(tmp_path / "commentary.wav").duration > 1
    assert (tmp_path / "captions.vtt").read_text(encoding="utf-8").startswith("WEBVTT")
    assert "</html>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_death_of_a_rank_ends_the_replay_and_names_it(match_file: Path, tmp_path: Path) -> None:
    with start_replay("--match", match_file, "--out", tmp_path, "--speed", "1x") as job:
        journal = tmp_path / "commentary.jsonl"
        job.wait_for(lambda: journal.exists() and journal.stat().st_size > 0)
        os.kill(job.rank_pid(1), signal.SIGSTOP)
        stopped = time.monotonic()
        code, output = job.finish(60)
        took = time.monotonic() - stopped
    assert code != 0
    assert "rank 1" in output, output
    assert took < 20  # a bound on hanging, not on speed
    assert records_of(tmp_path)
