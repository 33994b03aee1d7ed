"""Judging a model's lines through the engine's own writer and gate, with scripted candidates."""

from __future__ import annotations

import pytest

from checkpoints.finetune.evaluate_lines import _Lines, evaluate
from commentary_llm.generation import GenerationRequest, SamplingParams
from commentary_llm.match.feeds import builtin_match_path, read_jsonl


class Scripted:
    """Answers every prompt with the same candidates."""

    def __init__(self, *candidates: str) -> None:
        self.candidates = candidates

    def chat(self, system: str, turns: list[tuple[str, str]]) -> str:
        return "\n".join([system, *(text for _, text in turns)])

    def submit(self, request: GenerationRequest) -> _Lines:
        return _Lines(self.candidates, 1)

    def cancel(self, handle: _Lines) -> None:
        pass


@pytest.mark.parametrize(
    ("candidates", "share"),
    [
        (("Ronaldo scores a wonderful hat-trick for Portugal!", "Zidane wins it for Italy!"), 0.0),
        (("Ronaldo scores a wonderful hat-trick for Portugal!", "It is goalless, Argentina 0, France 0."), 0.25),
    ],
)
def test_only_true_candidates_count(candidates: tuple[str, ...], share: float) -> None:
    recording = read_jsonl(builtin_match_path())
    report = evaluate(Scripted(*candidates), recording, "neutral", SamplingParams(candidates=2), 4)
    assert report["cues"] == 4
    assert report["model_share"] >= share
    assert (report["model_share"] > 0) == (share > 0)
    assert sum(report["refusals"].values()) >= 4
    assert report["exact_repeats"] <= report["cues"] * report["model_share"]
