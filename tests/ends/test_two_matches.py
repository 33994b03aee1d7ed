"""Two matches at once on one loop: nothing of one is heard in the other, and one that ends leaves the other whole."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted_engine import scripted_station
from session_fakes import RATE, WORD_S
from soundfile import SoundFile

from commentary_llm.ends.contract import Closing, Ending, Opening
from commentary_llm.ends.desk import Answers, EventDesk
from commentary_llm.ends.loop import EndsLoop
from commentary_llm.ends.match_ends import MatchEnds
from commentary_llm.ends.outputs import MatchFiles
from commentary_llm.ends.registry import SinkSetting, open_sink
from commentary_llm.ends.sources.tcp_entry import TrackerPort
from commentary_llm.ground.clock import StreamClock
from commentary_llm.match import MatchInfo, Player, Team
from commentary_llm.settings import MatchConfig
from commentary_llm.station import Station

OTHER_NAMES = (
    "Arno Bask,Cato Dunn,Egil Foss,Gero Hahn,Iver Jold,Karl Lomm,Mats Norr,Odin Prag,Quim Rask,Sten Tovik,Ulf Vang,"
    "Wim Xander,Yves Zorn,Abel Crus"
)


def other_match() -> MatchInfo:
    """Shares no name with the small match."""
    names = OTHER_NAMES.split(",")

    def team(code: str, name: str, nickname: str, players: list[str]) -> Team:
        squad = tuple(
            Player(id=f"{code}{number}", name=player, shirt=number, starter=number <= 11)
            for number, player in enumerate(players, start=1)
        )
        return Team(id=code, name=name, nicknames=(nickname,), players=squad)

    away = [" ".join(part[::-1].capitalize() for part in name.lower().split()) for name in names]
    return MatchInfo(
        id="other", home=team("p", "Kestrel", "the Birds", names), away=team("q", "Umbria", "the Hills", away)
    )


def words_of(info: MatchInfo) -> set[str]:
    """What only this match can say."""
    said = {word for team in (info.home, info.away) for word in team.name.split()}
    return said | {word for team in (info.home, info.away) for player in team.players for word in player.name.split()}


class Running:
    """A match on the air: a tracker's port in; speech, captions and files out."""

    def __init__(self, station: Station, loop: EndsLoop, info: MatchInfo, folder: Path) -> None:
        folder.mkdir()
        os.mkfifo(folder / "pcm")
        self.speech = bytearray()
        self._listener = threading.Thread(target=self._listen, args=(folder / "pcm",), daemon=True)
        self._listener.start()
        self.loop, self.info, self.folder = loop, info, folder
        clock = StreamClock()
        config = MatchConfig(info=info, candidates=2)
        self.clock, self.session = clock, station.open(config, clock=clock, wait_for_openers=True)
        setting = SinkSetting(info.id)
        self.files = MatchFiles(folder / "out", setting)
        answers = Answers(info.id)
        live = [open_sink(f"{name}:{folder / name}", setting) for name in ("pcm", "captions")]
        self.complaints: list[str] = []
        self.ends = MatchEnds(loop, [*live, *self.files.sinks, answers], self.complaints.append)
        opening = Opening(info.id, f"{info.home.name} v {info.away.name}", RATE, clock.now_s())
        self.ends.start(self.session.events, opening, clock, live=True)
        self.port = TrackerPort("127.0.0.1", 0)
        loop.run(self.port.start(EventDesk(self.session, info, answers, clock.now_s, self.complaints.append)))
        self.tracker = socket.create_connection(("127.0.0.1", self.port.port), timeout=30)
        self.answers = self.tracker.makefile("r", encoding="utf-8")
        self.answered: list[dict[str, object]] = []

    def _listen(self, path: Path) -> None:
        with path.open("rb", buffering=0) as fifo:
            while piece := fifo.read(65_536):
                self.speech += piece

    def goal(self, minute: int, player: str) -> None:
        event = {"event_id": f"g{minute}", "type": "goal", "clock": str(minute), "team": player[0], "player": player}
        self.tracker.sendall((json.dumps(event) + "\n").encode())

    def answer(self, status: str) -> dict[str, object]:
        """The next answer of that status, those before it noted."""
        while True:
            self.answered.append(json.loads(self.answers.readline()))
            if self.answered[-1]["status"] == status:
                return self.answered[-1]

    def end(self, *, early: bool = False) -> None:
        self.loop.run(self.port.stop())
        if not early:
            assert self.session.wait_idle(30)
            assert self.ends.play_out(30)
        self.ends.stop_player()
        self.session.close(drain_s=0.0 if early else 30.0)
        self.ends.close(Closing())
        self.loop.run(self.port.close())
        self.ends.finish(Ending(self.info.id, self.clock.now_s()))
        self._listener.join(20)
        self.tracker.close()

    def captions(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "captions").read_text(encoding="utf-8").splitlines()]

    def everything(self) -> str:
        out = self.folder / "out"
        texts = [(out / name).read_text(encoding="utf-8") for name in ("commentary.jsonl", "captions.vtt")]
        return "\n".join([*texts, json.dumps(self.captions()), json.dumps(self.answered)])


def wait_for(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.02)


@pytest.fixture
def station() -> Iterator[Station]:
    with scripted_station() as running:
        yield running


def test_two_matches_share_the_loop_and_nothing_else(
    station: Station, loop: EndsLoop, small_match: MatchInfo, tmp_path: Path
) -> None:
    infos = (small_match, other_match())
    assert not words_of(infos[0]) & words_of(infos[1])
    first, second = (Running(station, loop, info, tmp_path / info.id) for info in infos)
    assert [thread.name for thread in threading.enumerate()].count("ends") == 1

    for match, player in ((first, "h4"), (second, "p4")):
        match.goal(10, player)
        assert match.answer("accepted")["match_id"] == match.info.id
    for match in (first, second):
        assert match.answer("spoken")["event_id"] == "g10"
    first.goal(20, "a5")
    second.goal(20, "q5")
    wait_for(lambda: any(line.get("event_id") == "g20" for line in first.captions()))
    first.end(early=True)  # in the middle of its second line

    heard = len(second.speech)
    second.goal(30, "p7")
    for event_id in ("g20", "g30"):
        assert second.answer("spoken")["event_id"] == event_id
    wait_for(lambda: len(second.speech) > heard)
    second.end()

    for match, other in ((first, second), (second, first)):
        assert not match.complaints
        assert not words_of(other.info) & set(re.findall(r"\w+", match.everything()))
        assert {line["match_id"] for line in [*match.captions(), *match.answered]} == {match.info.id}
        assert {record.match_id for record in match.files.records} == {match.info.id}
        out = match.folder / "out"
        assert f"(match {match.info.id})" in (out / "captions.vtt").read_text(encoding="utf-8").splitlines()[2]
        assert SoundFile(out / "commentary.wav").title.endswith(f"(match {match.info.id})")
        assert [line["type"] for line in match.captions()][-1] == "end"
        assert np.abs(np.frombuffer(bytes(match.speech), "<i2").astype(int)).max() > 1000
    assert [record.event_id for record in first.files.records] == ["g10", "g20"]
    records = second.files.records
    assert [record.event_id for record in records] == ["g10", "g20", "g30"]
    assert all(record.text and record.dropped is None and not record.cut_off for record in records)
    assert words_of(second.info) & set(records[2].text.replace("!", " ").replace(".", " ").split())
    # Every word of the match that went on is in its stream, whole and at its time.
    ready, *told = second.captions()
    samples = np.frombuffer(bytes(second.speech), "<i2")
    begun, over = ([line for line in told if line["type"] == kind] for kind in ("caption", "caption_end"))
    assert len(begun) == len(over) >= 6
    assert told[-1]["pcm_dropped_s"] == 0
    assert np.count_nonzero(samples) == sum(len(str(line["text"]).split()) for line in begun) * round(WORD_S * RATE)
    quiet = np.ones(len(samples), bool)
    for start, end in zip(begun, over, strict=True):
        low, high = (round((at_s - ready["stream_s"]) * RATE) for at_s in (start["start_s"], end["end_s"]))
        quiet[max(0, low - RATE // 2) : high + RATE // 2] = False
    assert not samples[quiet].any()
