"""Training pairs from synthetic matches: the prompt as the engine builds it, and a true line to answer with.

Most prompts end with an opener of the production `OpenerBook`; their target goes on after it, with a space first.

    python -m checkpoints.finetune.pairs --out DIR --count 36000 --seed 7

writes `train.jsonl`, `heldout.jsonl` (other names, other seeds) and `prefixes.json` to DIR. A line of either file:
{"persona", "prefix_id", "text", "target", "opener", "event_type", "split"}; `prefixes.json` maps prefix ids to the part
of the prompt that comes before `text` (`dataset.read_pairs` puts them together again).
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import count as counting
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from checkpoints.finetune import BASE_MODEL
from checkpoints.finetune.matches import SyntheticMatch, simulate
from commentary_llm.cue.cue import Cue
from commentary_llm.cue.director import Director, SpeechStatus
from commentary_llm.cue.facts import match_seconds
from commentary_llm.cue.history import LineHistory
from commentary_llm.generation.tokenizer import Tokenizer
from commentary_llm.ground.errors import ExitCode
from commentary_llm.ground.home import models_dir
from commentary_llm.language.en.describe import event_line
from commentary_llm.language.en.hints import hint_text, hints_of
from commentary_llm.language.en.names import NameBook, name_book
from commentary_llm.language.en.openers import OpenerBook
from commentary_llm.language.en.personas import Persona, persona_called
from commentary_llm.language.en.prompt import PromptBuilder
from commentary_llm.language.en.text_rules import ENGLISH_RULES
from commentary_llm.language.en.training.drawer import LineDrawer
from commentary_llm.language.en.training.heard import heard_text
from commentary_llm.language.en.training.visible import visible
from commentary_llm.match import MatchEvent, MatchState

_PERSONAS = {"neutral": 4, "excited": 3, "dry": 1.5, "blind_listener": 2}
# Share of each kind of event among the pairs, in per cent (made to sum up to 100 when used).
_SHARES = {
    "goal": 14, "shot": 14, "substitution": 8.5, "pass": 13, "card": 8, "foul": 6.5, "corner": 6, "penalty_awarded": 4,
    "offside": 4, "free_kick": 4, "own_goal": 3, "period_start": 3, "match_end": 3, "var_decision": 3, "clearance": 2.5,
    "injury": 2.5, "interception": 2.5, "period_end": 2.5, "stoppage_time": 2.5, "tackle": 2.5, "throw_in": 2.5,
    "carry": 3.5, "dribble": 2.5, "formation": 2, "goal_kick": 2, "save": 1.5, "var_review": 1.5,
}  # fmt: skip
_CUES_A_MATCH = 60.0
_RATE_MATCHES = 60
_OPENER_SHARE = 0.85
_HINT_SHARE = 0.9
_SAID_SHARE = 0.85
_HEARD_SHARE = 0.12
_STRIDE = 1_000_000  # held-out matches have seeds of their own


@dataclass(frozen=True)
class Pair:
    """One example. `prefix` + `text` is the prompt, `opener` included; `target` what follows."""

    persona: str
    prefix_id: str
    prefix: str
    text: str
    target: str
    opener: str
    event_type: str
    split: str


@dataclass(frozen=True)
class Recipe:
    """What the pairs depend on beside the code. `examples`: with the prompt's few examples. `hints`: with hints."""

    seed: int = 7
    model: str = BASE_MODEL
    examples: bool = False
    hints: bool = True


# Prompts


@lru_cache(maxsize=1)
def _tokenizer(model: str) -> Tokenizer:
    return Tokenizer(models_dir() / model)


def prompt_builder(tokenizer: Tokenizer, names: NameBook, speaker: Persona, examples: bool) -> PromptBuilder:
    """The engine's own builder. Without `examples` the few-shot turns are left out: a tuned model needs none."""

    def chat(system: str, turns: list[tuple[str, str]]) -> str:
        return tokenizer.chat(system, turns if examples else turns[-1:])

    return PromptBuilder(chat, names, speaker, count_tokens=lambda text: len(tokenizer.encode(text)))


# Pairs of one match


def cue_of(event: MatchEvent, state: MatchState) -> Cue | None:
    """The cue a silent director would order; None for what it never speaks of."""
    return Director().decide(event, state, SpeechStatus(now_s=match_seconds(event))).cue


@lru_cache(maxsize=4)
def event_rates(seed: int) -> dict[str, float]:
    """Pairs to make of each event by type, so that the types come in the wanted shares."""
    seen: Counter[str] = Counter()
    for number in range(_RATE_MATCHES):
        for event, state in simulate(f"rate-{seed}-{number}").steps:
            if cue_of(event, state) is not None:
                seen[event.type.value] += 1
    total = sum(_SHARES.values())
    return {
        kind: _CUES_A_MATCH * share / total / max(seen[kind] / _RATE_MATCHES, 1e-3) for kind, share in _SHARES.items()
    }


def pairs_of_match(number: int, recipe: Recipe, rates: dict[str, float], held_out: bool) -> list[Pair]:
    """All pairs of synthetic match `number`, spoken by one persona."""
    key = f"{recipe.seed}-{number}"
    rng = random.Random(f"pairs:{key}:{held_out}")
    match = simulate(key, held_out)
    speaker = persona_called(rng.choices(list(_PERSONAS), weights=list(_PERSONAS.values()))[0])
    maker = _Maker(match, speaker, recipe, rng)
    split = "heldout" if held_out else "train"
    found: dict[tuple[str, str], Pair] = {}
    for event, state in match.steps:
        rate = rates.get(event.type.value, 0.0)
        copies = math.floor(rate) + (rng.random() < rate % 1)
        if not copies or (cue := cue_of(event, state)) is None:
            continue
        line = ""
        for _ in range(copies):
            made = maker.make(cue)
            if made is None:
                continue
            text, target, opener = made
            line = opener + target
            pair = Pair(speaker.name, f"{split}-{number}", maker.prefix, text, target, opener, event.type.value, split)
            found[(text, target)] = pair
        if line:
            maker.said.add(line, match_seconds(event))
    return list(found.values())


class _Maker:
    """Prompts of one match with the line that should follow."""

    def __init__(self, match: SyntheticMatch, speaker: Persona, recipe: Recipe, rng: random.Random) -> None:
        self.said = LineHistory(ENGLISH_RULES)
        self._recipe = recipe
        self._rng = rng
        self._names = name_book(match.info)
        self._builder = prompt_builder(_tokenizer(recipe.model), self._names, speaker, recipe.examples)
        self._drawer = LineDrawer(self._names, speaker, rng)
        self._openers = OpenerBook(self._names)

    @property
    def prefix(self) -> str:
        return self._builder.prefix

    def make(self, cue: Cue) -> tuple[str, str, str] | None:
        """Text of the prompt, target and opener; None where the grammar has no line."""
        rng = self._rng
        hints = hints_of(cue.facts, self._names) if self._recipe.hints and rng.random() < _HINT_SHARE else ()
        opener = self._openers.choose(cue) if rng.random() < _OPENER_SHARE else ""
        said = self.said.last(1) if rng.random() < _SAID_SHARE else []
        heard = heard_text(self._names.info, rng) if rng.random() < _HEARD_SHARE else ""
        text = self._builder.text(cue, said, heard, hints, opener)
        # What found no room in the prompt is not known to the model.
        seen = tuple(hint for hint in hints if hint.text in text.partition("Also: ")[2])
        shown = event_line(cue.facts, self._names) + hint_text(seen)
        line = self._drawer.draw(cue, visible(cue.facts, self._names, seen, shown), shown, self.said, opener)
        if line is None:
            return None
        return text, f" {line}" if opener else line, opener


# The whole set


def generate(recipe: Recipe, count: int, held_out: bool, processes: int = 1) -> Iterator[list[Pair]]:
    """Pairs match by match, in the same order whatever `processes` is, until there are `count` of them."""
    rates = event_rates(recipe.seed)
    job = partial(pairs_of_match, recipe=recipe, rates=rates, held_out=held_out)
    numbers = counting(_STRIDE if held_out else 0)
    done = 0
    if processes == 1:
        for number in numbers:
            pairs = job(number)[: count - done]
            done += len(pairs)
            yield pairs
            if done >= count:
                return
    # Matches are asked for in blocks: an endless iterator would be drained into the pool's queue.
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        while done < count:
            block = [next(numbers) for _ in range(processes * 8)]
            for pairs in pool.imap(job, block, chunksize=2):
                pairs = pairs[: count - done]
                done += len(pairs)
                if pairs:
                    yield pairs


def write_pairs(out: Path, recipe: Recipe, count: int, held_out_count: int, processes: int = 1) -> dict[str, object]:
    """Writes the three files to `out` (made if absent); returns counts and lengths in tokens."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(recipe.model)
    prefixes: dict[str, str] = {}
    summary: dict[str, object] = {}
    for name, held_out, wanted in (("train", False, count), ("heldout", True, held_out_count)):
        kinds: Counter[str] = Counter()
        targets: set[str] = set()
        lengths: list[tuple[int, int]] = []
        with (out / f"{name}.jsonl").open("w", encoding="utf-8") as file, _progress() as bar:
            task = bar.add_task(f"{name} pairs", total=wanted)
            for pairs in generate(recipe, wanted, held_out, processes):
                for pair in pairs:
                    prefixes[pair.prefix_id] = pair.prefix
                    row = asdict(pair)
                    del row["prefix"]
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    kinds[pair.event_type] += 1
                    targets.add(pair.target)
                    if len(lengths) < 4000:
                        lengths.append((len(tokenizer.encode(pair.text)), len(tokenizer.encode(pair.target))))
                bar.update(task, advance=len(pairs))
        summary[name] = {
            "pairs": sum(kinds.values()),
            "distinct_targets": len(targets),
            "event_types": dict(kinds.most_common()),
            "text_tokens": _percentiles([text for text, _ in lengths]),
            "target_tokens": _percentiles([target for _, target in lengths]),
        }
    summary["prefix_tokens"] = _percentiles([len(tokenizer.encode(text)) for text in list(prefixes.values())[:300]])
    (out / "prefixes.json").write_text(json.dumps(prefixes, ensure_ascii=False), encoding="utf-8")
    return summary


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


def _percentiles(values: list[int]) -> dict[str, int]:
    ordered = sorted(values)
    return {f"p{p}": ordered[min(len(ordered) - 1, len(ordered) * p // 100)] for p in (50, 90, 99)}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m checkpoints.finetune.pairs", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--count", type=int, default=36_000, help="training pairs (default %(default)s)")
    parser.add_argument("--heldout", type=int, default=1_500, help="held-out pairs (default %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="default %(default)s")
    parser.add_argument("--examples", action="store_true", help="keep the prompt's few-shot examples")
    parser.add_argument("--no-hints", action="store_true", help="event lines without the words of `visible`")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: all cores")
    options = parser.parse_args(argv)
    recipe = Recipe(seed=options.seed, examples=options.examples, hints=not options.no_hints)
    summary = write_pairs(options.out, recipe, options.count, options.heldout, options.processes)
    print(json.dumps(summary))
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
