"""An imported Whisper with fixed shapes: what TensorRT compiles, numerically the imported graphs.

    encoder   mel (1, mels, 100 x window) -> cross_key_i, cross_value_i
    decoder   tokens (1, 1), position (1,), past_cache (2 L, H, P, D), cross_* -> logits (1, 1, V),
              present_cache (2 L, H, P, D): the past with this token's keys and values at `position`

One token a call: the cache has P places from the start, places from `position` + 1 on are masked. It is one tensor
(layer 0's keys, its values, layer 1's keys …) because each tensor that stays on a GPU costs two copies a step.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from asr_tts.recognizer.features import HOP_SAMPLES, SAMPLE_RATE_HZ
from asr_tts.recognizer.model_config import WhisperConfig
from asr_tts.recognizer.whisper import TAIL_S, most_tokens
from asr_tts.runtime.profiles import write_profiles
from checkpoints.engines.graph import GraphBuilder, fold, prune, redirect, set_shapes, sorted_nodes
from commentary_llm.ground.errors import ArtifactError


def window_frames(window_s: float) -> int:
    """Mel frames of a window with the silence behind it."""
    return round((window_s + TAIL_S) * SAMPLE_RATE_HZ) // HOP_SAMPLES


def cache_places(config: WhisperConfig, window_s: float) -> int:
    """Places of the decoder's cache: the prompt and the most tokens of a window, rounded up to a multiple of 8."""
    return min(config.max_tokens, -(-(len(config.prompt_ids) + most_tokens(window_s)) // 8) * 8)


def fix_encoder(model: onnx.ModelProto, config: WhisperConfig, window_s: float) -> onnx.ModelProto:
    """The imported encoder for windows of exactly `window_s` (and the recogniser's silence behind them)."""
    frames = window_frames(window_s)
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    shapes = {"mel": [1, config.mels, frames]}
    set_shapes(fixed.graph.input, shapes)
    set_shapes(fixed.graph.output, _cross_shapes(config, frames))
    fixed = fold(fixed, "whisper encoder")
    write_profiles(fixed, [shapes])
    return fixed


def fix_decoder(model: onnx.ModelProto, config: WhisperConfig, window_s: float) -> onnx.ModelProto:
    """The imported decoder for one token a call and a cache of fixed size.

    Raises ArtifactError when the graph is not one that `importers.whisper_graph` writes.
    """
    places = cache_places(config, window_s)
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    nodes = {kind: [node for node in fixed.graph.node if node.op_type == kind] for kind in ("Slice", "Where", "Concat")}
    caches = [node for node in nodes["Concat"] if node.output[0].startswith("present_")]
    if len(nodes["Slice"]) != 1 or len(nodes["Where"]) != 1 or len(caches) != 2 * config.decoder_layers:
        raise ArtifactError(
            f"whisper decoder: found {len(nodes['Slice'])} Slice, {len(nodes['Where'])} Where and {len(caches)} cache "
            f"nodes; expected 1, 1 and {2 * config.decoder_layers}. Import the model again with "
            "`python -m checkpoints setup`"
        )
    fixed.graph.input.append(helper.make_tensor_value_info("position", TensorProto.INT64, [1]))
    builder = GraphBuilder("fixed")
    order = builder.constant(np.arange(places, dtype=np.int64))
    here = builder.op("Reshape", [builder.op("Equal", [order, "position"]), builder.constant([1, 1, places, 1])])
    seen = builder.op("LessOrEqual", [order, "position"])
    mask = builder.op("Where", [seen, builder.constant(0.0), builder.constant(float("-inf"))])
    place = builder.op("Gather", [nodes["Slice"][0].input[0], "position"], axis=0)
    redirect(fixed, nodes["Where"][0].output[0], mask)
    redirect(fixed, nodes["Slice"][0].output[0], place)
    layers = [f"{kind}_{layer}" for layer in range(config.decoder_layers) for kind in ("key", "value")]
    pasts = [f"past_{layer}" for layer in layers]
    builder.nodes.append(helper.make_node("Split", ["past_cache"], pasts, name="split_cache", axis=0))
    for node in caches:
        past, new = node.input
        builder.op("Where", [here, new, past], node.output[0])
        fixed.graph.node.remove(node)
    builder.op("Concat", [f"present_{layer}" for layer in layers], "present_cache", axis=0)
    builder.insert(fixed, 0)
    cache = [2 * config.decoder_layers, config.heads, places, config.head_size]
    for values, name in ((fixed.graph.input, "past_cache"), (fixed.graph.output, "present_cache")):
        for value in [value for value in values if value.name.startswith(("past_", "present_"))]:
            values.remove(value)
        values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, cache))
    sorted_nodes(fixed)
    prune(fixed)
    shapes = {"tokens": [1, 1], "position": [1], "past_cache": cache, **_cross_shapes(config, window_frames(window_s))}
    set_shapes(fixed.graph.input, shapes)
    set_shapes(fixed.graph.output, {"logits": [1, 1, config.vocabulary]})
    fixed = fold(fixed, "whisper decoder")
    write_profiles(fixed, [shapes])
    return fixed


def _cross_shapes(config: WhisperConfig, frames: int) -> dict[str, list[int]]:
    positions = -(-frames // 2)
    shapes: dict[str, list[int]] = {}
    for layer in range(config.decoder_layers):
        shapes[f"cross_key_{layer}"] = [1, config.heads, config.head_size, positions]
        shapes[f"cross_value_{layer}"] = [1, config.heads, positions, config.head_size]
    return shapes


def resident_tensors(model: onnx.ModelProto) -> set[str]:
    """Inputs and outputs that only pass from one network to the next: they may be float16 in a float16 engine."""
    names = {value.name for value in (*model.graph.input, *model.graph.output)}
    return {name for name in names if name.startswith(("past_", "present_", "cross_"))}
