"""`python -m commentary_llm evaluate`: replays a whole match, then says how good the commentary was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Console

from commentary_llm.commands.replay import replay_match
from commentary_llm.evaluation.audit import MatchAuditor
from commentary_llm.evaluation.figures import Evaluation, evaluate_records
from commentary_llm.evaluation.table import print_evaluation
from commentary_llm.ground.errors import ExitCode
from commentary_llm.ground.files import write_text_atomically
from commentary_llm.language.registry import language
from commentary_llm.session.record import ReplaySummary
from commentary_llm.settings import Settings

if TYPE_CHECKING:
    from mpi4py import MPI

EVALUATION = "evaluation.json"


def run_evaluate(settings: Settings, comm: MPI.Comm | None) -> int:
    """Runs the `evaluate` command on every rank.

    Rank 0 prints a table to standard error and one line of JSON to standard output. Bad scores are results, not
    failures: the exit code tells only whether the match was replayed. Raises CommentaryError on rank 0.
    """
    result = replay_match(settings, comm)
    if result is None:
        return ExitCode.OK
    evaluation = evaluate_records(
        result.records, MatchAuditor(result.recording).audit, language(settings.match.language).rules.words
    )
    document = as_json(evaluation, result.summary)
    write_text_atomically(settings.replay.out / EVALUATION, json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    print_evaluation(evaluation, result.summary, Console(stderr=True, soft_wrap=True, highlight=False))
    print(json.dumps(document), flush=True)
    return result.exit_code


def as_json(evaluation: Evaluation, summary: ReplaySummary) -> dict[str, Any]:
    """What `evaluation.json` and the last line of the output hold: the figures, after what they were taken from."""
    keys = ("match_id", "title", "source", "backend", "synthesizer", "recognizer", "ranks", "speed", "started_at")
    about = {key: getattr(summary, key) for key in (*keys, "events", "wall_s", "audio_s", "versions")}
    branches = summary.branches.model_dump(mode="json") if summary.branches is not None else None
    return {"what": "evaluate", **about, **evaluation.model_dump(mode="json"), "branches": branches}
