"""The evaluate command on real ranks and a short match."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mpi_job import mpirun_command

from commentary_llm.match import CardType, EventType, MatchEvent, MatchInfo, ShotOutcome
from commentary_llm.match.feeds.jsonl import write_jsonl
from commentary_llm.match.feeds.recording import Recording
from commentary_llm.session.record import CueRecord

pytestmark = [pytest.mark.models, pytest.mark.mpi]
TIMEOUT_S = 180


def event(event_id: str, kind: EventType, elapsed_s: float, **fields: object) -> MatchEvent:
    return MatchEvent(event_id=event_id, type=kind, period=1, elapsed_s=elapsed_s, **fields)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def match_file(small_match: MatchInfo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    events = (
        event("start", EventType.PERIOD_START, 0),
        event("shot", EventType.SHOT, 30, team="a", player="a9", outcome=ShotOutcome.SAVED, goalkeeper="h1"),
        event("penalty", EventType.PENALTY_AWARDED, 60, team="h"),
        event("goal", EventType.GOAL, 120, team="h", player="h4", situation="penalty"),
        event("card", EventType.CARD, 150, team="a", player="a5", card=CardType.YELLOW),
        event("end", EventType.PERIOD_END, 180),
    )
    path = tmp_path_factory.mktemp("match") / "short.jsonl"
    write_jsonl(Recording(small_match, events), path)
    return path


def evaluate(*options: object, ranks: int) -> subprocess.CompletedProcess[str]:
    launcher = mpirun_command(ranks) if ranks > 1 else []
    command = [*launcher, sys.executable, "-m", "commentary_llm", "evaluate", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_match_is_replayed_and_scored(ranks: int, match_file: Path, tmp_path: Path) -> None:
    done = evaluate("--match", match_file, "--out", tmp_path, ranks=ranks)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures == json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    records = [
        CueRecord.model_validate_json(line)
        for line in (tmp_path / "commentary.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    for name in ("commentary.wav", "captions.vtt", "report.html"):
        assert (tmp_path / name).stat().st_size > 0
    assert figures["what"] == "evaluate"
    assert figures["ranks"] == ranks
    assert figures["cues"] == len(records)
    assert figures["spoken"] == sum(bool(record.text) for record in records)
    assert figures["wrong_facts"] == len(figures["wrong"])
    assert figures["wording_without_openers"]["exact_repeats"] == 0
    assert figures["percentiles_ms"]["first_audible"]["count"] == figures["spoken"]
    assert figures["branches"]["wrong_heard"] == 0
    assert figures["branches"]["build_ups"] >= 1
    assert "distinct-2" in done.stderr


def test_bad_input_is_named_and_nothing_is_scored(tmp_path: Path) -> None:
    done = evaluate("--match", tmp_path / "none.jsonl", "--out", tmp_path / "out", ranks=1)
    assert done.returncode == 2
    assert done.stderr.startswith("error:")
    assert not done.stdout
    assert not (tmp_path / "out").exists()
