"""A live match on real ranks with the real models: streams, trackers, stops, readers that do not read."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from mpi_job import mpirun_path
from serve_job import Live, records_in, serve_command, start_live

from asr_tts.synthesizer import PiperSynthesizer
from commentary_llm.ground.home import TTS_MODEL, models_dir
from commentary_llm.match import MatchInfo
from commentary_llm.match.feeds.jsonl import write_jsonl
from commentary_llm.match.feeds.recording import Recording
from commentary_llm.speech import speech_text_of

pytestmark = [pytest.mark.models, pytest.mark.mpi, pytest.mark.timeout(480)]

REPO = Path(__file__).resolve().parents[2]
KICK_OFF = '{"event_id": "k", "type": "period_start", "period": 1, "elapsed_s": 0}'
GOAL = '{"event_id": "g", "type": "goal", "clock": "23", "team": "Northport", "player": "Hart"}'
CARD = '{"event_id": "c", "type": "card", "clock": "25", "team": "Eastvale", "player": "a5", "card": "yellow"}'
NOBODY = '{"event_id": "x", "type": "goal", "clock": "24", "team": "Northport", "player": "Nobody"}'


@pytest.fixture(scope="module")
def teams(small_match: MatchInfo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teams") / "the teams.jsonl"
    write_jsonl(Recording(small_match, ()), path)
    return path


class Listening:
    """Reads a FIFO to its end."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.data = bytearray()
        self._thread = threading.Thread(target=self._read, args=(path,), daemon=True)
        self._thread.start()

    def _read(self, path: Path) -> None:
        with path.open("rb", buffering=0) as fifo:
            while piece := fifo.read(65_536):
                self.data += piece

    def samples(self) -> np.ndarray:
        self._thread.join(20)
        assert len(self.data) % 2 == 0
        return np.frombuffer(bytes(self.data), "<i2")


def check_files(out: Path) -> None:
    """All four files are there and whole."""
    assert soundfile.info(out / "commentary.wav").duration > 1
    assert (out / "captions.vtt").read_text(encoding="utf-8").startswith("WEBVTT")
    assert "</html>" in (out / "report.html").read_text(encoding="utf-8")
    assert records_in(out)
    assert sorted(path.name for path in out.iterdir()) == [
        *("captions.vtt", "commentary.jsonl", "commentary.wav", "report.html")
    ]


def check_stream(samples: np.ndarray, live: Live) -> None:
    """The stream is silent but for the captions' times, and not silent then."""
    ready = live.of("ready")[0]
    rate = ready["sample_rate_hz"]
    slack = rate // 2
    quiet = np.ones(len(samples), bool)
    for began, ended in zip(live.of("caption"), live.of("caption_end"), strict=True):
        assert began["event_id"] == ended["event_id"]
        first, last = (round((at_s - ready["stream_s"]) * rate) for at_s in (began["start_s"], ended["end_s"]))
        assert np.abs(samples[max(0, first - slack) : last + slack].astype(float)).max() > 1000
        quiet[max(0, first - slack) : last + slack] = False
    assert not samples[quiet].any()


def script(*options: object) -> tuple[list[str], dict[str, str]]:
    """launch/serve.sh with options, and the environment that makes it use this one."""
    path = f"{Path(mpirun_path()).parent}{os.pathsep}{os.environ['PATH']}"
    command = [str(REPO / "launch" / "serve.sh"), *map(str, options)]
    return command, {"COMMENTARY_PYTHON": sys.executable, "PATH": path}


def test_events_from_standard_input_speech_into_a_fifo(teams: Path, tmp_path: Path) -> None:
    out, pipe = tmp_path / "out", tmp_path / "speech pipe"
    listening = Listening(pipe)
    command, environment = script("--match-info", teams, "--pcm", pipe, "--out", out)
    with start_live(command, tmp_path / "log", **environment) as live:
        live.ready()
        live.send(KICK_OFF, "not json", "", GOAL, NOBODY, GOAL)
        live.wait(lambda: any(line["event_id"] == "g" for line in live.of("caption_end")))
        live.send(CARD)
        live.end_of_events()
        assert live.exit_code() == 0, live.said
    assert "line 2: not a whole JSON record" in live.said
    assert "line 5: field player: unknown player 'Nobody'" in live.said
    end = live.of("end")[0]
    assert live.lines[-1] is end
    assert {line["match_id"] for line in live.lines} == {"small"}
    assert (end["accepted"], end["duplicate"], end["refused"], end["error"]) == (3, 1, 2, None)
    records = records_in(out)
    assert "Hart" in records["g"].text
    assert records["c"].text
    # What was captioned live is what the journal says.
    for event_id in ("g", "c"):
        captioned = " ".join(line["text"] for line in live.of("caption") if line["event_id"] == event_id)
        assert captioned.rstrip(".,;") == records[event_id].text.rstrip(".,;")
        (told,) = [line["record"] for line in live.of("cue") if line["record"]["event_id"] == event_id]
        assert told["text"] == records[event_id].text
    check_stream(listening.samples(), live)
    check_files(out)


def test_trackers_over_tcp_and_a_stop_by_sigterm_in_mid_sentence(teams: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = serve_command("--match-info", teams, "--events", "tcp:127.0.0.1:0", "--out", out, ranks=2)
    with start_live(command, tmp_path / "log") as live:
        port = int(live.ready()["events"].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as tracker:
            answers = tracker.makefile("r", encoding="utf-8")
            tracker.sendall(f"{GOAL}\nbad\n{NOBODY}\n{GOAL}\n".encode())
            told = [json.loads(answers.readline()) for _ in range(4)]
            assert [answer["status"] for answer in told] == ["accepted", "refused", "refused", "duplicate"]
            assert [answer["line"] for answer in told] == [1, 2, 3, 4]
            assert {answer["match_id"] for answer in told} == {"small"}
            spoken = json.loads(answers.readline())
            assert (spoken["line"], spoken["status"]) == (1, "spoken")
            assert "Hart" in spoken["record"]["text"]
        with socket.create_connection(("127.0.0.1", port), timeout=60) as tracker:  # it comes back
            answers = tracker.makefile("r", encoding="utf-8")
            tracker.sendall(f"{CARD}\n".encode())
            assert json.loads(answers.readline())["status"] == "accepted"
            live.wait(lambda: any(line["event_id"] == "c" for line in live.of("caption")))
            os.kill(live.rank_pid(0), signal.SIGTERM)
            assert live.exit_code() == 0, live.said
    assert "tracker-1, line 2" in live.said
    assert live.of("end")[0]["refused"] == 2
    check_files(out)


def test_a_listener_who_stops_reading_holds_nobody_up(teams: Path, tmp_path: Path) -> None:
    out, pcm, captions = tmp_path / "out", tmp_path / "pcm", tmp_path / "captions"
    os.mkfifo(pcm)
    os.mkfifo(captions)  # nobody ever reads this one
    reader = os.open(pcm, os.O_RDONLY | os.O_NONBLOCK)
    events = tmp_path / "events"
    os.mkfifo(events)
    command = serve_command(
        *("--match-info", teams, "--events", events, "--pcm", pcm, "--captions", captions, "--out", out), ranks=1
    )
    with start_live(command, tmp_path / "log") as live:
        live.wait(lambda: "ready:" in live.said)
        with events.open("w", encoding="utf-8") as feed:
            feed.write(GOAL + "\n")
            feed.flush()
            live.wait(lambda: '"g"' in (out / "commentary.jsonl").read_text(encoding="utf-8"))
            feed.write(CARD + "\n")
        assert live.exit_code() == 0, live.said
    os.close(reader)
    assert "s were not taken by a reader" in live.said
    assert "lines were not taken by a reader" in live.said
    assert all(records_in(out)[event_id].text for event_id in ("g", "c"))
    check_files(out)


def test_the_stadium_is_heard_live(teams: Path, tmp_path: Path) -> None:
    voice = PiperSynthesizer.load(models_dir() / TTS_MODEL, speech_text_of)
    spoken = np.concatenate([chunk.samples for chunk in voice.synthesize("The referee has stopped the game. ")])
    spoken = soxr.resample(spoken, voice.sample_rate_hz, 16_000)
    sound = np.tile(np.concatenate([spoken, np.zeros(8_000, np.float32)]), 40)[: 60 * 16_000]
    pipe, out = tmp_path / "stadium", tmp_path / "out"
    os.mkfifo(pipe)
    command = serve_command(*("--match-info", teams, "--audio", pipe, "--audio-rate", 16_000, "--out", out), ranks=1)
    with start_live(command, tmp_path / "log") as live:
        live.ready()
        feed = threading.Thread(target=lambda: _write(pipe, (sound * 32767).astype("<i2").tobytes()), daemon=True)
        feed.start()
        begin_s = live.of("ready")[0]["stream_s"]
        heard = ""
        for minute in range(1, 30):  # until the recogniser has had its first windows
            live.send(f'{{"event_id": "m{minute}", "type": "goal", "clock": "{minute}", "team": "h", "player": "h4"}}')
            live.wait(lambda minute=minute: any(c["record"]["event_id"] == f"m{minute}" for c in live.of("cue")))  # type: ignore[misc]
            record = live.of("cue")[-1]["record"]
            heard = record["heard"]
            if "referee" in heard.lower():
                break
        assert "stopped the game" in heard.lower(), live.lines
        assert record["stream_s"] > begin_s
        live.end_of_events()
        assert live.exit_code() == 0, live.said
    check_files(out)


def _write(path: Path, data: bytes) -> None:
    try:
        with path.open("wb") as pipe:
            pipe.write(data)
    except BrokenPipeError:
        pass  # the match was over first


def test_the_script_passes_a_stop_on(teams: Path, tmp_path: Path) -> None:
    out, speech = tmp_path / "out", tmp_path / "speech.pcm"
    command, environment = script("--match-info", teams, "--out", out, "--pcm", speech)
    with start_live(command, tmp_path / "log", **environment) as live:
        live.ready()
        live.send(GOAL)
        live.wait(lambda: bool(live.of("caption")))
        live.process.send_signal(signal.SIGINT)
        assert live.exit_code() == 0, live.said
    assert "Stopping" in live.said
    assert live.of("end")
    assert speech.stat().st_size > 0
    check_files(out)
