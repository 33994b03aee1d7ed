"""The public API under mpirun and in a single process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mpi_job import SUPPORT, run_ranks

from commentary_llm.match import EventType, MatchEvent, MatchInfo
from commentary_llm.match.feeds.jsonl import write_jsonl
from commentary_llm.match.feeds.recording import Recording

pytestmark = pytest.mark.models
TRACKER = SUPPORT / "tracker.py"


@pytest.fixture
def match_file(small_match: MatchInfo, tmp_path: Path) -> Path:
    kick_off = MatchEvent(event_id="start", type=EventType.PERIOD_START, period=1, elapsed_s=0)
    write_jsonl(Recording(small_match, (kick_off,)), tmp_path / "small.jsonl")
    return tmp_path / "small.jsonl"


def check(output: str) -> None:
    said = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    clauses = [entry for entry in said if "text" in entry]
    assert clauses
    assert all(entry["seconds"] > 0.3 for entry in clauses)
    (record,) = [entry for entry in said if "record" in entry]
    joined = " ".join(entry["text"] for entry in clauses)
    assert record["record"].rstrip(".,;") == joined.rstrip(".,;")  # a line that ends in a comma gets a full stop
    assert record["first_audible_ms"] > 0
    assert {"again": "duplicate"} in said
    # Ranks above 0 leave inside `start`: only rank 0 gets past the with statement.
    assert said.count({"left": True}) == 1


@pytest.mark.mpi
def test_a_tracker_on_two_ranks(match_file: Path) -> None:
    job = run_ranks(2, TRACKER, str(match_file))
    assert job.exit_code == 0, job.output
    check(job.output)


def test_a_tracker_in_one_process(match_file: Path) -> None:
    job = subprocess.run(
        [sys.executable, str(TRACKER), str(match_file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert job.returncode == 0, job.stderr
    check(job.stdout)
