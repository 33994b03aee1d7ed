"""One ONNX graph to one engine file, by `tensorrt` or `tensorrt_rtx`."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from asr_tts.runtime.engine_card import EngineCard
from asr_tts.runtime.profiles import METADATA_KEY, parse_profiles
from asr_tts.runtime.tensorrt_library import Library
from commentary_llm.ground.errors import ArtifactError, ConfigError

# What TensorRT-RTX 1.7 compiles for on a machine without a GPU; `tensorrt` builds for the GPU at hand.
COMPUTE_CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")


@dataclass(frozen=True)
class Engine:
    """A built engine: the serialised plan, its card, and how many layers the network had before TensorRT fused them."""

    plan: bytes
    card: EngineCard
    network_layers: int


def check_target(library: Library, compute_capability: str) -> None:
    """Raises ConfigError when the library cannot build for these GPUs on this machine."""
    if library.kind == "tensorrt_rtx":
        if compute_capability not in COMPUTE_CAPABILITIES:
            raise ConfigError(
                f"--compute-capability {compute_capability}: TensorRT-RTX {library.version} builds for "
                f"{', '.join(COMPUTE_CAPABILITIES)}"
            )
        return
    from asr_tts.runtime.cuda import Cuda

    present = Cuda().compute_capability
    if present != compute_capability:
        raise ConfigError(
            f"--compute-capability {compute_capability}: TensorRT builds for the GPU at hand, which has {present}; "
            "build on the machine that will run the engines, or use --runtime tensorrt_rtx"
        )


def build_engine(
    library: Library, model: onnx.ModelProto, source: Path, compute_capability: str, precision: str, command: str
) -> Engine:
    """Compiles `model`, made from the graph at `source`. Blocks for seconds to minutes.

    Raises ArtifactError with TensorRT's own words when it does not take the graph.
    """
    api, name = library.api, source.stem
    profiles = parse_profiles(next((p.value for p in model.metadata_props if p.key == METADATA_KEY), None))
    if not profiles:
        raise ArtifactError(f"network {name!r}: the graph names no input shapes; convert it before building")
    builder = api.Builder(library.logger)
    network = builder.create_network(1 << int(api.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = api.OnnxParser(network, library.logger)
    if not parser.parse(model.SerializeToString()):
        errors = "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors))
        raise ArtifactError(f"network {name!r}: {library.kind} {library.version} does not take the graph: {errors}")
    config = builder.create_builder_config()
    config.profiling_verbosity = api.ProfilingVerbosity.DETAILED
    if library.kind == "tensorrt_rtx":
        config.num_compute_capabilities = 1
        if not config.set_compute_capability(_compute_capability(api, compute_capability), 0):
            raise ArtifactError(f"network {name!r}: {library.kind} refuses compute capability {compute_capability}")
        # Without it the engine allocates memory of its own while it runs and cannot become part of a CUDA graph.
        config.set_flag(api.BuilderFlag.REQUIRE_USER_ALLOCATION)
    for profile in profiles:
        optimization = builder.create_optimization_profile()
        for tensor, shape in profile.items():
            optimization.set_shape(tensor, shape, shape, shape)
        if config.add_optimization_profile(optimization) < 0:
            raise ArtifactError(f"network {name!r}: {library.kind} refuses the shapes {profile}")
    layers = network.num_layers
    inputs = _tensors(api, [network.get_input(index) for index in range(network.num_inputs)])
    outputs = _tensors(api, [network.get_output(index) for index in range(network.num_outputs)])
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ArtifactError(f"network {name!r}: {library.kind} {library.version} failed: {library.last_errors()}")
    content = bytes(plan)
    card = EngineCard(
        library=library.kind,
        library_version=library.version,
        compute_capability=compute_capability,
        precision=precision,
        sha256=hashlib.sha256(content).hexdigest(),
        source=source.name,
        source_sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
        inputs=inputs,
        outputs=outputs,
        profiles=profiles,
        command=command,
    )
    return Engine(content, card, layers)


def _compute_capability(api: Any, text: str) -> Any:
    return getattr(api.ComputeCapability, f"SM{text.replace('.', '')}")


def _tensors(api: Any, tensors: list[Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {tensor.name: (np.dtype(api.nptype(tensor.dtype)).name, tuple(tensor.shape)) for tensor in tensors}


def node_types(model: onnx.ModelProto) -> dict[str, int]:
    """How many nodes of a graph compute in which type, those that only move or count aside: {"float16": 180, …}."""
    inferred = onnx.shape_inference.infer_shapes(model)
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in (*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input)
    }
    int8 = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    counts: Counter[str] = Counter()
    for node in model.graph.node:
        kind = types.get(node.output[0])
        if node.op_type in ("Cast", "QuantizeLinear", "DequantizeLinear"):
            continue
        if len(int8.intersection(node.input[:2])) == 2:
            counts["int8"] += 1
        elif kind == onnx.TensorProto.FLOAT16:
            counts["float16"] += 1
        elif kind == onnx.TensorProto.FLOAT:
            counts["float32"] += 1
    return dict(counts)
