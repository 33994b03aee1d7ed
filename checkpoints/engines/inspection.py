"""What is in built engines: tensors and sizes from the cards, layers and memory from TensorRT where a GPU is there."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from asr_tts.runtime.cuda import Cuda
from asr_tts.runtime.engine_card import EngineCard
from asr_tts.runtime.tensorrt_library import open_library
from commentary_llm.artifacts.manifest import Manifest
from commentary_llm.ground.errors import CommentaryError

_FUSED_MARK = "[ONNX Layer: "


def inspect_engines(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """A report of every engine: tensors, bytes, graph types, and what `inspect_engine` finds or why it cannot."""
    report: dict[str, Any] = {
        "folder": str(folder),
        "runtime": f"{manifest.extra['runtime']} {manifest.extra['runtime_version']}",
        "compute_capability": manifest.gpu_compute_capability,
        "precision": manifest.dtype,
        "engines": {},
    }
    for name, described in manifest.extra["networks"].items():
        path = folder / f"{name}.engine"
        entry = dict(described)
        try:
            entry["inspector"] = inspect_engine(path, EngineCard.read(path))
        except CommentaryError as error:
            entry["inspector"] = None
            entry["inspector_missing"] = str(error)
        report["engines"][name] = entry
    return report


def inspect_engine(path: Path, card: EngineCard) -> dict[str, Any]:
    """Layers after fusion, their precisions and the engine's memory, from TensorRT's engine inspector.

    Engines are deserialised for that, which needs the library and a GPU they were built for. Raises ConfigError or
    EngineError where these are missing.
    """
    from asr_tts.runtime.tensorrt_runtime import load_engine

    library = open_library(card.library)
    cuda = Cuda()
    runtime, engine = load_engine(path.stem, path, card, library, cuda)
    inspector = engine.create_engine_inspector()
    information = json.loads(inspector.get_engine_information(library.api.LayerInformationFormat.JSON))
    summary = summarise_layers(information.get("Layers", []))
    summary["activation_bytes"] = int(engine.device_memory_size_v2)
    del inspector, engine, runtime
    return summary


def summarise_layers(layers: list[Any]) -> dict[str, Any]:
    """How many layers there are, how many ONNX nodes each one took in, and what they put out.

    `layers`: the inspector's, dictionaries with `Metadata` that names the ONNX nodes, or bare names when the engine
    was built without details.
    """
    if not all(isinstance(layer, dict) for layer in layers):
        return {"layers": len(layers), "fused_layers": None, "fused_nodes": None, "precisions": None}
    nodes = [str(layer.get("Metadata", "")).count(_FUSED_MARK) for layer in layers]
    precisions: Counter[str] = Counter()
    for layer in layers:
        outputs = layer.get("Outputs") or [{}]
        precisions[str(outputs[0].get("Format/Datatype", outputs[0].get("Datatype", "unknown")))] += 1
    return {
        "layers": len(layers),
        "fused_layers": sum(count > 1 for count in nodes),
        "fused_nodes": sum(count for count in nodes if count > 1),
        "precisions": dict(precisions),
    }
