"""How much INT8 costs: perplexity of the import and of its INT8 form on the same text, through the same model code."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open

from checkpoints.quantize import WEIGHTS_FILE, dequantize_rows
from commentary_llm.artifacts.manifest import load_manifest, quantized_dir
from commentary_llm.ground.errors import InputError
from commentary_llm.ground.home import models_dir

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM

_MIN_TOKENS = 32


@dataclass(frozen=True)
class PerplexityReport:
    """Perplexities per token of one model on one text; `loss_percent` above 0 is worse than the import."""

    model: str
    tokens: int
    imported: float
    int8: float

    @property
    def loss_percent(self) -> float:
        return 100.0 * (self.int8 / self.imported - 1.0)


def compare(
    model: str, texts: list[str], context_tokens: int = 512, advance: Callable[[int], None] | None = None
) -> PerplexityReport:
    """Perplexity of the imported `model` and of its INT8 weights over `texts`, in fp32 on the CPU.

    Texts are scored apart, in pieces of `context_tokens`; the first token of a piece is not scored. `advance` is told
    the tokens done (each twice). Raises ArtifactError when weights are missing or damaged, InputError for too little
    text.
    """
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    directory, int8_directory = models_dir() / model, quantized_dir(model)
    load_manifest(directory, kind="llama-hf")
    load_manifest(int8_directory, kind="llama-int8", command=f"python -m checkpoints quantize --model {model}")
    tokenizer = AutoTokenizer.from_pretrained(directory)
    pieces: list[torch.Tensor] = []
    for text in texts:
        ids = torch.tensor(tokenizer(text, verbose=False).input_ids)
        pieces += [piece for piece in ids.split(context_tokens) if len(piece) > 1]
    scored = sum(len(piece) - 1 for piece in pieces)
    if scored < _MIN_TOKENS:
        raise InputError(f"the text has {scored} tokens to score; a perplexity needs at least {_MIN_TOKENS}, give more")
    network = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    imported = _perplexity(network, pieces, scored, advance)
    _load_int8(network, int8_directory / WEIGHTS_FILE)
    return PerplexityReport(model, scored, imported, _perplexity(network, pieces, scored, advance))


def _perplexity(
    network: LlamaForCausalLM, pieces: list[torch.Tensor], scored: int, advance: Callable[[int], None] | None
) -> float:
    import torch
    from torch.nn.functional import cross_entropy

    total = 0.0
    with torch.inference_mode():
        for piece in pieces:
            logits = network(piece[None]).logits[0, :-1].float()
            total += float(cross_entropy(logits, piece[1:], reduction="sum"))
            if advance:
                advance(len(piece))
    return math.exp(total / scored)


def _load_int8(network: LlamaForCausalLM, path: Path) -> None:
    """Replaces the network's weights by the dequantised ones, in place."""
    import torch

    parameters = dict(network.named_parameters())
    with safe_open(path, framework="pt") as weights, torch.no_grad():
        names = set(weights.keys())
        for name in sorted(name for name in names if not name.endswith("_scale")):
            value = weights.get_tensor(name)
            if f"{name}_scale" in names:
                value = dequantize_rows(value, weights.get_tensor(f"{name}_scale"))
            parameters[name].copy_(value)
