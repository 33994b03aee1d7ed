"""The folder with all speech engines of one GPU generation, library version and precision."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_tts.runtime.tensorrt_library import open_library
from checkpoints.engines.builder import build_engine, check_target, node_types
from checkpoints.engines.convert import ASR_FILES, TTS_FILES, Conversion, convert
from checkpoints.progress import Reporter
from checkpoints.recipes import SPEECH_ENGINES
from checkpoints.writer import tool_versions, write_artifact
from commentary_llm.artifacts.manifest import Upstream, load_manifest
from commentary_llm.artifacts.speech_engines import ENGINES_KIND
from commentary_llm.ground.home import models_dir


@dataclass(frozen=True)
class Target:
    """What the engines are for. `command` is the command line that builds them."""

    runtime: str
    compute_capability: str
    folder: Path
    command: str


def build_engines(target: Target, conversion: Conversion, reporter: Reporter) -> Path:
    """Converts and compiles all speech networks; the folder, which appears when everything is whole.

    Raises ConfigError when the library is missing or cannot build for these GPUs here, ArtifactError when a model is
    missing or TensorRT refuses a graph.
    """
    library = open_library(target.runtime)
    check_target(library, target.compute_capability)
    upstreams = {"asr": load_manifest(conversion.asr), "tts": load_manifest(conversion.tts)}
    with reporter.task(f"Converting to {conversion.precision}"):
        networks = convert(conversion, reporter.say)
    packages = ("tensorrt", "tensorrt-rtx", "onnx", "onnxruntime", "numpy")
    with write_artifact(
        target.folder,
        kind=ENGINES_KIND,
        name=target.folder.name,
        command=target.command,
        recipe=SPEECH_ENGINES,
        sources=tuple(source for manifest in upstreams.values() for source in manifest.sources),
        built_from=tuple(
            Upstream(kind=manifest.kind, name=manifest.name, digest=manifest.digest) for manifest in upstreams.values()
        ),
        tools=tool_versions(*packages),
        dtype=conversion.precision,
        gpu_compute_capability=target.compute_capability,
    ) as artifact:
        described: dict[str, Any] = {}
        for number, network in enumerate(networks, start=1):
            started = time.perf_counter()
            title = f"Building {network.name} for {target.compute_capability} ({number} of {len(networks)})"
            with reporter.task(title):
                engine = build_engine(
                    library,
                    network.model,
                    network.source,
                    target.compute_capability,
                    conversion.precision,
                    target.command,
                )
            path = artifact.directory / f"{network.name}.engine"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(engine.plan)
            engine.card.write(path)
            described[network.name] = {
                "bytes": len(engine.plan),
                "build_s": round(time.perf_counter() - started, 1),
                "source": network.source.name,
                "source_sha256": engine.card.source_sha256,
                "inputs": engine.card.inputs,
                "outputs": engine.card.outputs,
                "profiles": engine.card.profiles,
                "network_layers": engine.network_layers,
                "graph_nodes": node_types(network.model),
                "int8_layers": network.int8_layers,
                "layers_left_float16": network.float_layers,
            }
        for source, model, names in ((conversion.asr, "asr", ASR_FILES), (conversion.tts, "tts", TTS_FILES)):
            for name in names:
                shutil.copyfile(source / name, artifact.directory / model / name)
        artifact.extra.update(
            runtime=library.kind,
            runtime_version=library.version,
            window_s=conversion.window_s,
            text_ids=conversion.text_ids,
            networks=described,
        )
    return target.folder


def imported(name: str) -> Path:
    """An imported model's folder, by its name or path."""
    given = Path(name).expanduser()
    return given.absolute() if given.is_dir() else models_dir() / name
