"""Low-rank adapters (LoRA, arXiv:2106.09685) for a Hugging Face LLaMA: train, keep as safetensors, merge.

A linear layer W [out, in] becomes W + (alpha / rank) · B · A with A [rank, in] and B [out, rank]. Needs torch and
safetensors alone, so that training runs wherever those are.

PEFT (0.21.2 was tried) computes the same, but would save some twenty lines, `LoraLinear` above all, for three more
packages in training and tests (peft, accelerate, psutil). The file with its provenance and the merge would stay ours:
PEFT's file has none, and its merge into float16 weights rounds the change before adding it, where `merged` rounds
once. It also draws A otherwise, so that the seed in an adapter's recipe would start another training.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn import functional

from checkpoints.tensors import TensorWriter
from commentary_llm.artifacts.llama import PROJECTIONS
from commentary_llm.artifacts.tensors import TensorSpec
from commentary_llm.ground.errors import ArtifactError, ConfigError

MAX_ADAPTER_BYTES = 16_000_000  # it is kept in the repository
_KIND = "llama-lora"
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"  # the names that PEFT uses


@dataclass(frozen=True)
class AdapterInfo:
    """What an adapter file says of itself, in its safetensors metadata."""

    base_name: str  # name of the import it was trained on
    base_sha256: str  # of that import's model.safetensors
    rank: int
    alpha: float
    seed: int
    recipe: dict[str, Any]  # options of the training run and the SHA-256 of its data

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


@dataclass(frozen=True)
class Adapter:
    """Pairs (A float16 [rank, in], B float16 [out, rank]) by the name of the weight that they change."""

    info: AdapterInfo
    pairs: dict[str, tuple[torch.Tensor, torch.Tensor]]


class LoraLinear(nn.Module):
    """A frozen linear layer with a trainable low-rank addition in float32; B starts at zero, so it changes nothing."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        device = base.weight.device
        down = torch.empty(rank, base.in_features)
        nn.init.kaiming_uniform_(down, a=math.sqrt(5), generator=generator)
        self.down = nn.Parameter(down.to(device))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank, device=device))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [..., in] -> [..., out]."""
        added = functional.linear(functional.linear(x, self.down), self.up)
        return self.base(x) + self.scale * added


def add_lora(model: nn.Module, rank: int, alpha: float, seed: int) -> list[nn.Parameter]:
    """Freezes `model` and puts a `LoraLinear` in place of each of its projections; returns the trainable parameters.

    Raises ConfigError when `rank` < 1 or the model has no LLaMA projections.
    """
    if rank < 1 or alpha <= 0:
        raise ConfigError(f"rank {rank} and alpha {alpha}; expected a rank of 1 or more and a positive alpha")
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    found = [(name, module) for name, module in model.named_modules() if name.endswith(PROJECTIONS)]
    if not found:
        raise ConfigError(f"{type(model).__name__} has none of {', '.join(PROJECTIONS)}; expected a LLaMA model")
    for name, module in found:
        if not isinstance(module, nn.Linear):
            raise ConfigError(f"{name} is {type(module).__name__}, expected a plain linear layer")
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, LoraLinear(module, rank, alpha, generator))
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def lora_layers(model: nn.Module) -> Iterator[tuple[str, LoraLinear]]:
    """Every `LoraLinear` of `model` with its name."""
    for name, module in model.named_modules():
        if isinstance(module, LoraLinear):
            yield name, module


def round_as_saved(model: nn.Module) -> None:
    """Rounds the adapter's parameters to float16 in place: what is measured afterwards is what will be shipped."""
    with torch.no_grad():
        for _, layer in lora_layers(model):
            for parameter in (layer.down, layer.up):
                parameter.copy_(parameter.to(torch.float16))


def fold_in(model: nn.Module) -> None:
    """Puts plain linear layers back, with the adapter merged into their weights."""
    for name, layer in list(lora_layers(model)):
        with torch.no_grad():
            layer.base.weight.copy_(merged(layer.base.weight, layer.down, layer.up, layer.scale))
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, layer.base)


def merged(weight: torch.Tensor, down: torch.Tensor, up: torch.Tensor, scale: float) -> torch.Tensor:
    """weight [out, in] + scale · up [out, rank] · down [rank, in], computed in float32, in the dtype of `weight`."""
    with torch.autocast(weight.device.type, enabled=False):
        return (weight.float() + scale * (up.float() @ down.float())).to(weight.dtype)


def save_adapter(model: nn.Module, info: AdapterInfo, path: Path) -> None:
    """Writes the adapter of `model` as float16 safetensors.

    Raises ConfigError when it would not fit into the repository (16 MB).
    """
    tensors: dict[str, torch.Tensor] = {}
    for name, layer in lora_layers(model):
        tensors[name + _DOWN] = layer.down.detach().to("cpu", torch.float16)
        tensors[name + _UP] = layer.up.detach().to("cpu", torch.float16)
    specs = {name: TensorSpec(tuple(tensor.shape), "F16") for name, tensor in tensors.items()}
    size = sum(spec.size_bytes for spec in specs.values())
    if size > MAX_ADAPTER_BYTES:
        raise ConfigError(f"the adapter has {size} bytes, at most {MAX_ADAPTER_BYTES} are shipped; lower --rank")
    bad = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise ArtifactError(f"{bad[0]} (and {len(bad) - 1} more) is not finite in float16; train with a lower --lr")
    metadata = {"kind": _KIND, **{key: json.dumps(value, sort_keys=True) for key, value in asdict(info).items()}}
    path.parent.mkdir(parents=True, exist_ok=True)
    with TensorWriter(path, specs, metadata) as writer:
        for name, tensor in tensors.items():
            writer.write(name, tensor)


def load_adapter(path: Path) -> Adapter:
    """Reads an adapter file. Raises ArtifactError when it is missing, damaged or no adapter of ours."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (safe_open is no dict)
    except FileNotFoundError:
        raise ArtifactError(
            f"{path} does not exist; install the package again or train with `python -m checkpoints.finetune.train`"
        ) from None
    except SafetensorError as error:
        raise ArtifactError(f"{path} is not a whole safetensors file ({error}); install the package again") from None
    if metadata.get("kind") != _KIND:
        raise ArtifactError(f"{path} holds {metadata.get('kind', 'no kind')!r}, expected an adapter ({_KIND})")
    try:
        info = AdapterInfo(**{name: json.loads(metadata[name]) for name in AdapterInfo.__dataclass_fields__})
    except (KeyError, ValueError) as error:
        raise ArtifactError(f"{path}: its metadata is damaged ({error}); install the package again") from None
    pairs = {}
    for name in (name.removesuffix(_DOWN) for name in tensors if name.endswith(_DOWN)):
        down, up = tensors[name + _DOWN], tensors.get(name + _UP)
        if up is None or down.shape[0] != info.rank or up.shape[1] != info.rank:
            raise ArtifactError(f"{path}: {name} is not a pair of matrices of rank {info.rank}; train again")
        pairs[f"{name}.weight"] = (down, up)
    if 2 * len(pairs) != len(tensors):
        raise ArtifactError(f"{path} holds {len(tensors)} tensors, of which {2 * len(pairs)} are pairs; train again")
    return Adapter(info, pairs)
