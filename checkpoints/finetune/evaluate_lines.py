"""How much of a match a model can speak: `python -m checkpoints.finetune.evaluate_lines MODEL_DIR [--cues N]`.

Every cue of the match goes through the engine's own prompt, line writer and fact gate, with Hugging Face's model in
place of the sharded one and without deadlines. Needs no shards, so an adapter can be judged before it is shipped. The
last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import torch

from commentary_llm.errors import CommentaryError
from commentary_llm.generation import FinishReason, GenerationRequest, SamplingParams, TokenChunk
from commentary_llm.generation.tokenizer import Tokenizer
from commentary_llm.match import Match
from commentary_llm.match.feeds import Recording, builtin_match_path, read_jsonl
from commentary_llm.pipeline.job import CueHandle, CueJob, Marks
from commentary_llm.pipeline.writer import LineWriter, TextBudget
from commentary_llm.script import (
    Cue,
    Director,
    FactGate,
    LineHistory,
    PromptBuilder,
    SpeechStatus,
    TemplateWriter,
    match_seconds,
    persona,
)

from .train import distinct_2

_NO_LIMIT_S = 3600.0


class _Lines:
    """A handle whose candidates are finished already: one chunk each."""

    def __init__(self, texts: Sequence[str], prompt_tokens: int) -> None:
        self._texts = texts
        self.prompt_tokens = prompt_tokens
        self.cached_tokens = 0

    def __iter__(self) -> Iterator[TokenChunk]:
        for number, text in enumerate(self._texts):
            yield TokenChunk(number, text, 0.0, len(text.split()), FinishReason.STOP)


class HfGenerator:
    """The part of `Generator` that `LineWriter` calls, on a Hugging Face directory."""

    def __init__(self, directory: Path, few_shot: bool) -> None:
        from transformers import LlamaForCausalLM

        self._model: Any = LlamaForCausalLM.from_pretrained(str(directory), dtype=torch.float32, local_files_only=True)
        self._model.eval()
        self._tokenizer = Tokenizer(directory)
        self._few_shot = few_shot

    def chat(self, system: str, turns: list[tuple[str, str]]) -> str:
        return self._tokenizer.chat(system, turns if self._few_shot else turns[-1:])

    @torch.no_grad()
    def submit(self, request: GenerationRequest) -> _Lines:
        sampling = request.sampling
        prompt = self._tokenizer.encode(request.prefix + request.text)
        ends = sorted(self._tokenizer.eos_token_ids)
        tokens = torch.tensor([prompt])
        out = self._model.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=sampling.max_new_tokens,
            do_sample=sampling.temperature > 0,
            temperature=sampling.temperature or 1.0,
            top_p=sampling.top_p,
            top_k=0,
            num_return_sequences=sampling.candidates,
            eos_token_id=ends,
            pad_token_id=ends[0],
        )
        texts = [self._tokenizer.decode(ids).split("\n")[0] for ids in out[:, len(prompt) :].tolist()]
        return _Lines(texts, len(prompt))

    def cancel(self, handle: _Lines) -> None:
        """Nothing runs on: `submit` returns finished lines."""


def cues_of(recording: Recording, count: int) -> list[Cue]:
    """The first `count` cues (0: all) of a director who never has to wait for running speech."""
    match, director, cues = Match(recording.info), Director(), []
    for event in recording.events:
        state = match.accept(event).state_after
        cue = director.decide(event, state, SpeechStatus(now_s=match_seconds(event))).cue
        if cue is not None:
            cues.append(cue)
    return cues[:count] if count else cues


def evaluate(
    generator: Any, recording: Recording, speaker_name: str, sampling: SamplingParams, cues: int
) -> dict[str, Any]:
    """Share of cues spoken by the model, clause refusals by cause, distinct-2 and repeats of its lines."""
    speaker, history = persona(speaker_name), LineHistory()
    writer = LineWriter(
        generator,
        PromptBuilder(generator.chat, recording.info, speaker),
        FactGate(),
        TemplateWriter(history, speaker, seed=7),
        history,
        sampling,
        TextBudget(_NO_LIMIT_S, _NO_LIMIT_S, _NO_LIMIT_S, _NO_LIMIT_S),
    )
    lines: list[str] = []
    refusals: Counter[str] = Counter()
    chosen = cues_of(recording, cues)
    for number, cue in enumerate(chosen, 1):
        job = CueJob(
            cue, number, match_seconds(cue.event), Marks(accepted=perf_counter_ns()), CueHandle(cue.event.event_id)
        )
        line = " ".join(writer.write(job, lambda: False))
        refusals.update(refusal.cause for refusal in job.refusals)
        if job.source == "model":
            lines.append(line)
        print(f"{number}/{len(chosen)} {job.source}: {line}", flush=True)
    return {
        "cues": len(chosen),
        "model_share": len(lines) / len(chosen) if chosen else 0.0,
        "refusals": dict(refusals.most_common()),
        "distinct_2": distinct_2(lines),
        "exact_repeats": len(lines) - len(set(lines)),
        "mean_words": sum(len(line.split()) for line in lines) / len(lines) if lines else 0.0,
    }


def main(arguments: list[str] | None = None) -> int:
    """Judges one model; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m checkpoints.finetune.evaluate_lines", description=__doc__)
    parser.add_argument("model", type=Path, help="Hugging Face model directory, such as an import")
    parser.add_argument("--match", type=Path, help="a match in our JSON lines; default the built-in one")
    parser.add_argument("--cues", type=int, default=0, help="only the first N cues (default all)")
    parser.add_argument("--persona", default="neutral")
    parser.add_argument("--candidates", type=int, default=3)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--few-shot", action="store_true", help="with the prompt's examples, for models not fine-tuned")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args(arguments)
    torch.manual_seed(args.seed)
    sampling = SamplingParams(
        max_new_tokens=48, temperature=args.temperature, top_p=0.9, seed=args.seed, candidates=args.candidates
    )
    try:
        recording = read_jsonl(args.match or builtin_match_path())
        report = evaluate(HfGenerator(args.model, args.few_shot), recording, args.persona, sampling, args.cues)
    except CommentaryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"model": args.model.name, "few_shot": args.few_shot, **report}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
