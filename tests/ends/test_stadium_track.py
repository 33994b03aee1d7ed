"""The synthetic stadium track: what is announced, when, and that only a whole and true track is used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from asr_tts.audio.levels import rms_dbfs
from asr_tts.audio.reader import AudioReader
from asr_tts.interfaces import AudioChunk, SpeechStyle
from commentary_llm.ends.stadium_track import build_stadium_track, ensure_stadium_track
from commentary_llm.ground.errors import OutputError
from commentary_llm.language.en.announcer import announcer
from commentary_llm.match import CardType, EventType, MatchEvent, MatchInfo, ShotOutcome


class Tone:
    """Speaks in half a second of tone a word."""

    sample_rate_hz = 22_050

    def synthesize(self, text: str, style: SpeechStyle = SpeechStyle()) -> Iterator[AudioChunk]:  # noqa: B008
        times = np.arange(len(text.split()) * self.sample_rate_hz // 2) / self.sample_rate_hz
        yield AudioChunk((0.3 * np.sin(2 * np.pi * 1000 * times)).astype(np.float32), self.sample_rate_hz)


def event(number: int, kind: EventType, elapsed_s: float, **fields: object) -> MatchEvent:
    return MatchEvent.model_validate(
        {"event_id": f"e{number}", "type": kind, "period": 1, "elapsed_s": elapsed_s, **fields}
    )


EVENTS = [
    event(1, EventType.PERIOD_START, 0),
    event(2, EventType.SHOT, 10, team="h", player="h9", outcome=ShotOutcome.SAVED),
    event(3, EventType.GOAL, 30, team="h", player="h9"),
    event(4, EventType.SUBSTITUTION, 60, team="a", player="a9", player_on="a12"),
    event(5, EventType.CARD, 62, team="a", player="a5", card=CardType.YELLOW),
]


def at(happening: MatchEvent) -> float:
    return 5.0 + happening.elapsed_s


def test_track(small_match: MatchInfo, tmp_path: Path) -> None:
    shares: list[float] = []
    track = build_stadium_track(EVENTS, small_match, announcer(small_match), Tone(), tmp_path / "t", at, shares.append)
    assert [item.event_id for item in track.announcements] == ["e3", "e4", "e5"]
    goal, change, card = track.announcements
    assert 1.0 <= goal.time_s - 35.0 <= 1.5
    assert change.time_s + change.duration_s < card.time_s
    assert track.announced("e3") == "Goal for Northport, scored by number 9, Piet Lund."
    assert track.announced("e2") == ""
    reader = AudioReader(track.audio, 16_000)
    assert reader.duration_s == pytest.approx(5 + 62 + 20, abs=0.2)
    assert rms_dbfs(reader.read(goal.time_s, goal.duration_s)) > rms_dbfs(reader.read(20.0, 5.0)) + 15
    onset = reader.read(goal.time_s - 0.5, 1.0)
    assert rms_dbfs(onset[:6000]) + 6 < rms_dbfs(onset[9000:])
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    with av.open(str(track.audio)) as container:
        tags = {key.lower(): value for key, value in {**container.metadata, **container.streams[0].metadata}.items()}
    assert "Synthetic" in tags["comment"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t"]


def test_made_once_and_again_when_the_match_changes(small_match: MatchInfo, tmp_path: Path) -> None:
    made = []

    def voice() -> Tone:
        made.append(1)
        return Tone()

    def ensure(events: list[MatchEvent]) -> None:
        ensure_stadium_track(events, small_match, announcer(small_match), voice, at, tmp_path / "t")

    ensure(EVENTS)
    ensure(EVENTS)
    assert len(made) == 1
    ensure(EVENTS[:3])
    assert len(made) == 2
    audio = tmp_path / "t" / "stadium.opus"
    audio.write_bytes(audio.read_bytes()[:-100])
    ensure(EVENTS[:3])
    assert len(made) == 3
    (tmp_path / "t" / "stadium.json").write_text("{")
    ensure(EVENTS[:3])
    assert len(made) == 4


def test_interrupted_making_leaves_no_track(small_match: MatchInfo, tmp_path: Path) -> None:
    def interrupt(share: float) -> None:
        if share > 0.1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_stadium_track(EVENTS, small_match, announcer(small_match), Tone(), tmp_path / "t", at, interrupt)
    assert not (tmp_path / "t").exists()
    assert build_stadium_track(EVENTS, small_match, announcer(small_match), Tone(), tmp_path / "t", at).audio.is_file()


def test_a_place_that_cannot_be_written(small_match: MatchInfo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="stadium track"):
        build_stadium_track(EVENTS, small_match, announcer(small_match), Tone(), tmp_path / "file" / "t", at)
