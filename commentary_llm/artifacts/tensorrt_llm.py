"""The engine folder of a model: what its manifest says, and whether it fits the machine that is to run it.

manifest.json  config.json (the library's)  rank0.engine … rank{N-1}.engine  tokenizer/ (Hugging Face files)
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from commentary_llm.artifacts.machine import Gpu
from commentary_llm.artifacts.manifest import Manifest, load_manifest, read_manifest
from commentary_llm.ground.errors import ArtifactError, ConfigError

ENGINE_KIND: Literal["tensorrt-llm-engines"] = "tensorrt-llm-engines"
TOKENIZER_FOLDER = "tokenizer"
Quantization = Literal["w8a16", "w8a8"]
QUANTIZATIONS: tuple[Quantization, ...] = ("w8a16", "w8a8")


@dataclass(frozen=True)
class EngineOptions:
    """What engines are built for. Small static limits keep latency low."""

    quantization: Quantization = "w8a16"  # weights only, or SmoothQuant weights and activations
    max_batch_size: int = 8  # sequences decoded together
    max_seq_len: int = 2048  # tokens of prompt and completion together
    max_num_tokens: int = 2048  # tokens in one step; longer prompts are computed in chunks

    def __post_init__(self) -> None:
        if self.quantization not in QUANTIZATIONS:
            raise ConfigError(f"quantization is {self.quantization!r}, expected one of {', '.join(QUANTIZATIONS)}")
        for name, least in (("max_batch_size", 1), ("max_seq_len", 2), ("max_num_tokens", self.max_batch_size)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected {least} or more")

    def command(self, model: str, ranks: int) -> str:
        """The command that builds engines with these options."""
        launcher = f"mpirun -n {ranks} --bind-to none " if ranks > 1 else ""
        text = f"{launcher}python -m checkpoints engines build-llm --model {shlex.quote(model)}"
        default = EngineOptions()
        for name, value in vars(self).items():
            if value != getattr(default, name):
                text += f" --{name.replace('_', '-')} {value}"
        return text


@dataclass(frozen=True)
class EngineFacts:
    """What the backend needs to know of engines that it is about to load."""

    manifest: Manifest
    options: EngineOptions
    tokens_per_block: int
    gpus_per_node: int

    @property
    def model(self) -> str:
        return self.manifest.name


def rank_file(rank: int) -> str:
    return f"rank{rank}.engine"


def engine_facts(directory: Path, ranks: int, model: str) -> EngineFacts:
    """Reads the manifest of engines for `ranks` ranks. Raises ArtifactError (missing, other kind, other rank count)."""
    manifest = read_manifest(directory, EngineOptions().command(model, ranks))
    if manifest.kind != ENGINE_KIND:
        raise ArtifactError(
            f"{directory} holds {manifest.kind}, expected {ENGINE_KIND}; build engines with "
            f"`{EngineOptions().command(model, ranks)}`"
        )
    extra: dict[str, Any] = manifest.extra
    try:
        options = EngineOptions(**extra["options"])
        facts = EngineFacts(manifest, options, int(extra["tokens_per_block"]), int(extra["gpus_per_node"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{directory}: the manifest lacks what engines need ({error!r}); rebuild with `{manifest.command}`"
        ) from None
    if manifest.ranks != ranks:
        raise ArtifactError(
            f"{directory} holds engines for {manifest.ranks} ranks, {ranks} are running; start {manifest.ranks} ranks "
            f"or rebuild with `{options.command(manifest.name, ranks)}`"
        )
    return facts


def misfits(facts: EngineFacts, gpu: Gpu, versions: dict[str, str]) -> list[str]:
    """How engines differ from the GPU and the libraries they are to run on, both sides named."""
    manifest = facts.manifest
    pairs = [
        ("GPU", manifest.extra.get("gpu_name"), gpu.name),
        ("compute capability", manifest.gpu_compute_capability, gpu.compute_capability),
        *((name, manifest.tools.get(name), found) for name, found in versions.items()),
    ]
    return [f"{what} {built} built them, {found} is here" for what, built, found in pairs if built != found]


def check_engines(directory: Path, facts: EngineFacts, rank: int, gpu: Gpu, versions: dict[str, str]) -> None:
    """Raises ArtifactError unless the engines fit this rank's machine and its own file is whole, to the last byte."""
    faults = misfits(facts, gpu, versions)
    if faults:
        raise ArtifactError(
            f"{directory}: the engines do not fit ({'; '.join(faults)}); an engine runs only on what it was built on. "
            f"Rebuild with `{facts.manifest.command}`"
        )
    needed = {rank_file(number) for number in range(facts.manifest.ranks or 0)} | {"config.json"}
    if missing := sorted(needed - facts.manifest.files.keys()):
        raise ArtifactError(
            f"{directory}: the manifest does not list {', '.join(missing)}; rebuild with `{facts.manifest.command}`"
        )
    small = [name for name in facts.manifest.files if not name.endswith(".engine")]
    load_manifest(directory, kind=ENGINE_KIND, hash_files=(rank_file(rank), *small))
