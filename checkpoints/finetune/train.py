"""LoRA fine-tuning on commentary pairs: `python -m checkpoints.finetune.train --pairs DIR --base HF_DIR --out DIR`.

`--pairs` holds train.jsonl and heldout.jsonl (see `dataset.read_pairs`). `--out` receives commentator.safetensors,
generations.jsonl (lines for held-out prompts, to be judged by whoever has the match states) and report.json. Runs with
torch, transformers, tokenizers and safetensors alone. The last line printed is the report as JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from checkpoints.finetune.dataset import (
    Batch,
    Encoded,
    Encoder,
    Pair,
    collate,
    in_chunks,
    left_padded,
    make_batches,
    read_pairs,
)
from checkpoints.finetune.lora import AdapterInfo, add_lora, fold_in, round_as_saved, save_adapter
from commentary_llm.artifacts.hashing import sha256_file
from commentary_llm.ground.errors import CommentaryError, ConfigError, EngineError, ExitCode, exit_code_of

ADAPTER_NAME = "commentator.safetensors"
_WARM_UP = 0.05  # share of the steps
_FLOOR = 0.05  # the learning rate's lowest share, at the end of the cosine
_CLIP_NORM = 1.0
_NEW_TOKENS = 48  # the longest line a cue may take
_GENERATION_BATCH = 100
_LOG_INTERVAL_S = 5.0


@dataclass(frozen=True)
class Options:
    """Everything that decides what comes out, besides the data and the base; kept in the adapter's metadata."""

    epochs: int = 3
    batch: int = 128  # pairs a step, at most
    batch_tokens: int = 32768  # padded tokens a step, at most
    lr: float = 1e-3
    weight_decay: float = 0.0
    rank: int = 16
    alpha: float = 32.0
    seed: int = 7
    max_steps: int = 0  # 0: as many as the epochs have


@dataclass(frozen=True)
class Line:
    """A generated line; `ended` when the model ended its turn by itself."""

    text: str
    tokens: int
    ended: bool


def hidden_states(model: nn.Module, batch: Batch) -> torch.Tensor:
    """[N, hidden]: the last layer's output where a target token is predicted."""
    out: torch.Tensor = model.model(  # type: ignore[operator]
        input_ids=batch.tokens, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False
    ).last_hidden_state
    return out.flatten(0, 1)[batch.predictors]


def loss_of(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Mean cross-entropy of the target tokens, in nats a token. The head runs on those places alone."""
    with torch.autocast(batch.tokens.device.type, torch.bfloat16, enabled=batch.tokens.is_cuda):
        logits = model.lm_head(hidden_states(model, batch))  # type: ignore[operator]
    return functional.cross_entropy(logits.float(), batch.targets)


@torch.no_grad()
def held_out_loss(
    model: nn.Module, pairs: Sequence[Encoded], options: Options, pad_id: int, device: torch.device
) -> float:
    """Mean cross-entropy over all target tokens of `pairs`, nats a token."""
    total, count = 0.0, 0
    for rows in make_batches(pairs, random.Random(0), batch=options.batch, max_tokens=options.batch_tokens):
        batch = collate(rows, pad_id, device)
        total += loss_of(model, batch).item() * len(batch.targets)
        count += len(batch.targets)
    return total / count


def schedule(step: int, steps: int) -> float:
    """Share of the learning rate: linear warm-up, then a cosine down to 5 %."""
    warm_up = max(1, round(steps * _WARM_UP))
    if step < warm_up:
        return (step + 1) / warm_up
    progress = (step - warm_up) / max(1, steps - warm_up)
    return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def train(
    model: nn.Module, pairs: Sequence[Encoded], options: Options, pad_id: int, device: torch.device
) -> dict[str, float]:
    """Trains a fresh adapter inside `model`, in place. Raises EngineError when the loss is no longer finite."""
    parameters = add_lora(model, options.rank, options.alpha, options.seed)
    optimiser = torch.optim.AdamW(parameters, lr=options.lr, weight_decay=options.weight_decay, betas=(0.9, 0.98))
    rng = random.Random(options.seed)
    kinds = {"batch": options.batch, "max_tokens": options.batch_tokens}
    batches = [rows for _ in range(options.epochs) for rows in make_batches(pairs, rng, **kinds)]
    steps = min(len(batches), options.max_steps or len(batches))
    model.train()
    started = told_at = time.perf_counter()
    seen = tokens = 0
    recent: list[torch.Tensor] = []
    first = last = math.nan
    for step, rows in enumerate(batches[:steps]):
        for group in optimiser.param_groups:
            group["lr"] = options.lr * schedule(step, steps)
        batch = collate(rows, pad_id, device)
        loss = loss_of(model, batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, _CLIP_NORM)
        optimiser.step()
        recent.append(loss.detach())
        seen, tokens = seen + batch.pairs, tokens + batch.tokens.numel()
        now = time.perf_counter()
        if step == 0 or step == steps - 1 or now - told_at >= _LOG_INTERVAL_S:
            last = torch.stack(recent).mean().item()  # waits for the GPU, so only now and then
            if not math.isfinite(last):
                raise EngineError(f"the loss is {last} at step {step + 1} of {steps}; train with a lower --lr")
            first = last if step == 0 else first
            recent.clear()
            told_at, spent_s = now, time.perf_counter() - started
            say(f"step {step + 1}/{steps} loss {last:.4f} {seen / spent_s:.0f} pairs/s {tokens / spent_s:.0f} tokens/s")
    model.eval()
    return {
        "steps": steps,
        "pairs_seen": seen,
        "train_s": round(time.perf_counter() - started, 1),
        "loss_first": first,
        "loss_last": last,
    }


@torch.no_grad()
def generate(
    model: nn.Module, prompts: Sequence[Sequence[int]], encoder: Encoder, temperature: float, device: torch.device
) -> list[Line]:
    """One line a prompt; greedy where `temperature` is 0, else drawn with top-p 0.95."""
    drawing: dict[str, Any] = {"do_sample": False}
    if temperature > 0:
        drawing = {"do_sample": True, "temperature": temperature, "top_p": 0.95, "top_k": 0}
    lines = []
    for chunk in in_chunks(prompts, _GENERATION_BATCH):
        tokens, mask = left_padded(chunk, encoder.end_id, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            out = model.generate(  # type: ignore[operator]
                input_ids=tokens,
                attention_mask=mask,
                max_new_tokens=_NEW_TOKENS,
                eos_token_id=encoder.end_id,
                pad_token_id=encoder.end_id,
                **drawing,
            )
        for ids in out[:, tokens.shape[1] :].tolist():
            ended = encoder.end_id in ids
            ids = ids[: ids.index(encoder.end_id)] if ended else ids
            lines.append(Line(encoder.decode(ids), len(ids) + ended, ended))
    return lines


def figures_of(lines: Sequence[Line], targets: Sequence[str]) -> dict[str, float]:
    texts = [line.text for line in lines]
    return {
        "ended": sum(line.ended for line in lines) / len(lines),
        "empty": sum(not text for text in texts) / len(lines),
        "mean_words": sum(len(text.split()) for text in texts) / len(lines),
        "mean_tokens": sum(line.tokens for line in lines) / len(lines),
        "different": len(set(texts)) / len(lines),
        "same_as_target": sum(a == b.strip() for a, b in zip(texts, targets, strict=True)) / len(lines),
    }


def say(text: str) -> None:
    print(text, flush=True)


def run(pairs_dir: Path, base: Path, out: Path, options: Options, prompts: int, device: torch.device) -> dict[str, Any]:
    """The whole run; writes into `out` and returns the report. Raises InputError, ConfigError, ArtifactError."""
    from transformers import LlamaForCausalLM

    if not (base / "model.safetensors").is_file():
        raise ConfigError(f"--base {base} has no model.safetensors; give an import, as models/… of COMMENTARY_HOME")
    torch.manual_seed(options.seed)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    started = time.perf_counter()
    encoder = Encoder(base)
    held_pairs = read_pairs(pairs_dir, "heldout.jsonl")
    training = [encoder.encode(pair) for pair in read_pairs(pairs_dir, "train.jsonl")]
    held_out = [encoder.encode(pair) for pair in held_pairs]
    lengths = sorted(len(p.prefix) + len(p.text) + len(p.target) for p in training)
    say(
        f"{len(training)} pairs, {len({p.prefix for p in training})} prefixes, {len(held_out)} held out; tokens "
        f"a pair: median {lengths[len(lengths) // 2]}, at most {lengths[-1]}; read in "
        f"{time.perf_counter() - started:.1f} s"
    )
    model: nn.Module = LlamaForCausalLM.from_pretrained(
        str(base), dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
    )
    model.to(device)
    model.eval()
    before = held_out_loss(model, held_out, options, encoder.end_id, device)
    say(f"held-out loss of the base: {before:.4f}")
    trained = train(model, training, options, encoder.end_id, device)
    round_as_saved(model)
    after = held_out_loss(model, held_out, options, encoder.end_id, device)
    say(f"held-out loss with the adapter: {after:.4f}")
    recipe = asdict(options) | {
        "steps": trained["steps"],
        "pairs": len(training),
        "train_sha256": sha256_file(pairs_dir / "train.jsonl"),
        "heldout_sha256": sha256_file(pairs_dir / "heldout.jsonl"),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }
    info = AdapterInfo(
        base_name=_base_name(base),
        base_sha256=sha256_file(base / "model.safetensors"),
        rank=options.rank,
        alpha=options.alpha,
        seed=options.seed,
        recipe=recipe,
    )
    out.mkdir(parents=True, exist_ok=True)
    save_adapter(model, info, out / ADAPTER_NAME)
    say(f"wrote {out / ADAPTER_NAME}")
    fold_in(model)
    report: dict[str, Any] = {
        "adapter": str(out / ADAPTER_NAME),
        "adapter_sha256": sha256_file(out / ADAPTER_NAME),
        "adapter_bytes": (out / ADAPTER_NAME).stat().st_size,
        "base_sha256": info.base_sha256,
        "held_out_loss_base": before,
        "held_out_loss": after,
        **trained,
        "recipe": recipe,
    }
    if prompts:
        report |= _generations(model, held_pairs, encoder, prompts, options.seed, device, out / "generations.jsonl")
    report["total_s"] = round(time.perf_counter() - started, 1)
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def _base_name(base: Path) -> str:
    manifest = base / "manifest.json"
    return json.loads(manifest.read_text(encoding="utf-8"))["name"] if manifest.is_file() else base.resolve().name


def _generations(
    model: nn.Module, pairs: Sequence[Pair], encoder: Encoder, count: int, seed: int, device: torch.device, path: Path
) -> dict[str, Any]:
    chosen = random.Random(seed).sample(list(pairs), min(count, len(pairs)))
    chosen.sort(key=lambda pair: len(pair.prefix) + len(pair.text))  # less padding
    prompts, targets = [encoder.prompt(pair) for pair in chosen], [pair.target for pair in chosen]
    greedy = generate(model, prompts, encoder, 0.0, device)
    sampled = generate(model, prompts, encoder, 0.8, device)
    with path.open("w", encoding="utf-8") as file:
        for pair, best, drawn in zip(chosen, greedy, sampled, strict=True):
            record = {**asdict(pair), "greedy": best.text, "sampled": drawn.text}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    for pair, best in list(zip(chosen, greedy, strict=True))[:: max(1, len(chosen) // 8)]:
        say(f"  {pair.event_type}, {pair.persona}: {best.text}")
    return {
        "prompts": len(chosen),
        "greedy": figures_of(greedy, targets),
        "sampled": figures_of(sampled, targets),
    }


def _parser() -> argparse.ArgumentParser:
    default = Options()
    parser = argparse.ArgumentParser(prog="python -m checkpoints.finetune.train", description=__doc__)
    parser.add_argument("--pairs", type=Path, required=True, metavar="DIR", help="holds train.jsonl, heldout.jsonl")
    parser.add_argument("--base", type=Path, required=True, metavar="DIR", help="imported model to start from")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--prompts", type=int, default=400, help="held-out prompts to write lines for (default 400)")
    for name, value in asdict(default).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help=f"default {value}")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs the training; returns the exit code."""
    args = _parser().parse_args(arguments)
    try:
        options = Options(**{name: getattr(args, name) for name in asdict(Options())})
        if min(options.epochs, options.batch, options.batch_tokens) < 1 or options.lr <= 0:
            raise ConfigError("--epochs, --batch and --batch-tokens are 1 or more, --lr is above 0")
        report = run(args.pairs, args.base, args.out, options, args.prompts, torch.device(args.device))
    except CommentaryError as error:
        print(f"error: {error}", file=sys.stderr)
        return exit_code_of(error)
    print(json.dumps(report))
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
