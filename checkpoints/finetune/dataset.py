"""Training pairs as tokens, packed so that pairs of one prefix share its computation.

A row is `prefix, text 1, line 1, text 2, line 2, …`: every pair sees the prefix and itself, none sees another, and each
counts its positions on from the prefix's end. That is exactly what a batch of whole prompts would compute, at about a
fifth of the tokens.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer as FastTokenizer

from commentary_llm.generation.tokenizer import Tokenizer
from commentary_llm.ground.errors import ArtifactError, InputError

PREFIXES_FILE = "prefixes.json"
_FIELDS = ("text", "target", "persona", "event_type")


@dataclass(frozen=True)
class Pair:
    """One prompt (`prefix` + `text`) and what should follow: a line, or, with a space first, the rest of one."""

    prefix: str
    text: str
    target: str
    persona: str
    event_type: str


@dataclass(frozen=True)
class Encoded:
    """A pair in tokens; the last one of `target` ends the turn."""

    prefix: tuple[int, ...]
    text: tuple[int, ...]
    target: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """Pairs of one prefix, packed behind it."""

    prefix: tuple[int, ...]
    pairs: tuple[Encoded, ...]

    @property
    def length(self) -> int:
        return len(self.prefix) + sum(len(p.text) + len(p.target) for p in self.pairs)


@dataclass(frozen=True)
class Batch:
    """Rows padded to one length T, on one device.

    tokens, positions: int64 [B, T]. mask: bool [B, 1, T, T], true where a token may look. predictors: int64 [N], places
    in the flattened B·T whose next token is one of `targets`, int64 [N].
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    predictors: torch.Tensor
    targets: torch.Tensor
    pairs: int


def read_pairs(directory: Path, name: str) -> list[Pair]:
    """Pairs of `directory/name`, one JSON object a line.

    Each has text, target, persona, event_type, and either `prefix` or `prefix_id`, a key of `prefixes.json` beside it.
    Raises InputError with file and line.
    """
    path, table = directory / name, directory / PREFIXES_FILE
    try:
        prefixes = json.loads(table.read_text(encoding="utf-8")) if table.exists() else {}
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{directory}: the pairs cannot be read ({error}); expected {name}, JSON lines") from None
    pairs = [_pair(line, prefixes, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not pairs:
        raise InputError(f"{path} holds no pairs; make them again")
    return pairs


def _pair(line: str, prefixes: dict[str, str], where: str) -> Pair:
    try:
        record: dict[str, Any] = json.loads(line)
        prefix = record["prefix"] if "prefix" in record else prefixes[str(record["prefix_id"])]
        fields = [record[field] for field in _FIELDS]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{where}: {type(error).__name__} {error}; expected an object with {', '.join(_FIELDS)} and prefix, or a "
            f"prefix_id of {PREFIXES_FILE}"
        ) from None
    if not all(isinstance(value, str) and value.strip() for value in (prefix, *fields)):
        raise InputError(f"{where}: every field has to be text that is not empty")
    return Pair(prefix, *fields)


class Encoder:
    """Tokens exactly as the engine makes them: one pass over the prompt, then the line token by token.

    An opener ends the prompt on a whole word, and what follows begins with a space: no tokenizer of the LLaMA family
    joins the two, so they may be encoded apart.
    """

    def __init__(self, model_directory: Path) -> None:
        self._engine = Tokenizer(model_directory)
        self._fast = FastTokenizer.from_file(str(model_directory / "tokenizer.json"))
        config = json.loads((model_directory / "config.json").read_text(encoding="utf-8"))
        end = config.get("eos_token_id")
        self.end_id: int = end[0] if isinstance(end, list) else end
        if not isinstance(self.end_id, int):
            raise ArtifactError(f"{model_directory}/config.json: eos_token_id is {end!r}, expected a token id")
        self._prefixes: dict[str, tuple[int, ...]] = {}

    def encode(self, pair: Pair) -> Encoded:
        """Raises InputError when a token would span the seam between prefix and text."""
        text = tuple(self._fast.encode(pair.text, add_special_tokens=False).ids)
        target = tuple(self._fast.encode(pair.target, add_special_tokens=False).ids)
        prefix = self._prefixes.get(pair.prefix)
        if prefix is None:
            prefix = tuple(self._engine.encode(pair.prefix))
            if (*prefix, *text) != tuple(self._engine.encode(pair.prefix + pair.text)):
                raise InputError(
                    f"a token spans the seam between prefix and text {pair.text[:40]!r}; the prefix has to end at a "
                    "token's end, as PromptBuilder renders it"
                )
            self._prefixes[pair.prefix] = prefix
        return Encoded(prefix, text, (*target, self.end_id))

    def prompt(self, pair: Pair) -> list[int]:
        return self._engine.encode(pair.prefix + pair.text)

    def decode(self, token_ids: Sequence[int]) -> str:
        return self._engine.decode(token_ids).strip()


def make_rows(pairs: Sequence[Encoded], per_row: int, rng: random.Random) -> list[Row]:
    """Shuffles the pairs of each prefix and packs at most `per_row` of them behind it."""
    by_prefix: dict[tuple[int, ...], list[Encoded]] = defaultdict(list)
    for pair in pairs:
        by_prefix[pair.prefix].append(pair)
    rows = []
    for prefix, mine in by_prefix.items():
        rng.shuffle(mine)
        rows += [Row(prefix, tuple(mine[i : i + per_row])) for i in range(0, len(mine), per_row)]
    return rows


def make_batches(
    pairs: Sequence[Encoded], rng: random.Random, *, batch: int, max_tokens: int, per_row: int = 16
) -> list[list[Row]]:
    """Rows of similar length together, at most `batch` pairs and `max_tokens` padded tokens each, in random order.

    A row longer than `max_tokens` becomes a batch of its own.
    """
    rows = make_rows(pairs, min(per_row, batch), rng)
    rng.shuffle(rows)
    rows.sort(key=lambda row: row.length // 16)  # stable: rows of about one length stay shuffled
    batches: list[list[Row]] = []
    current: list[Row] = []
    for row in rows:
        width = max([row.length, *(r.length for r in current)])
        count = len(row.pairs) + sum(len(r.pairs) for r in current)
        if current and (count > batch or width * (len(current) + 1) > max_tokens):
            batches.append(current)
            current = []
        current.append(row)
    batches.append(current)
    rng.shuffle(batches)
    return batches


def collate(rows: Sequence[Row], pad_id: int, device: torch.device) -> Batch:
    """Pads the rows to one length and builds the mask on `device`."""
    width = -(-max(row.length for row in rows) // 8) * 8  # the attention kernels want multiples of 8
    tokens = torch.full((len(rows), width), pad_id)
    positions = torch.zeros((len(rows), width), dtype=torch.int64)
    owner = torch.full((len(rows), width), -1)  # -1 padding, 0 prefix, k the k-th pair
    predictors: list[int] = []
    targets: list[int] = []
    for b, row in enumerate(rows):
        start = len(row.prefix)
        tokens[b, :start] = torch.tensor(row.prefix)
        positions[b, :start] = torch.arange(start)
        owner[b, :start] = 0
        for k, pair in enumerate(row.pairs, 1):
            ids = (*pair.text, *pair.target)
            end = start + len(ids)
            tokens[b, start:end] = torch.tensor(ids)
            positions[b, start:end] = torch.arange(len(row.prefix), len(row.prefix) + len(ids))
            owner[b, start:end] = k
            first = b * width + start + len(pair.text) - 1
            predictors += range(first, first + len(pair.target))
            targets += pair.target
            start = end
    owner = owner.to(device)
    same = owner[:, :, None] == owner[:, None, :]
    prefix = (owner == 0)[:, None, :]
    causal = torch.ones(width, width, dtype=torch.bool, device=device).tril()
    return Batch(
        tokens=tokens.to(device),
        positions=positions.to(device),
        mask=((same | prefix) & causal)[:, None],
        predictors=torch.tensor(predictors, device=device),
        targets=torch.tensor(targets, device=device),
        pairs=sum(len(row.pairs) for row in rows),
    )


def left_padded(
    prompts: Sequence[Sequence[int]], pad_id: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts right-aligned for generation: tokens and attention mask, int64 [B, T]."""
    width = max(map(len, prompts))
    tokens = torch.full((len(prompts), width), pad_id)
    mask = torch.zeros((len(prompts), width), dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        tokens[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return tokens.to(device), mask.to(device)


def in_chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
