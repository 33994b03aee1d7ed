"""A Piper voice with fixed shapes: what TensorRT compiles, numerically the imported voice.

    text_encoder   input (1, N) int64, input_lengths (1,), scales (3,), duration_noise (1, 2, N), latent_noise (1, C, R)
                   -> latent (1, C, F), durations (1, 1, N); ids from `input_lengths` on and frames from the sum of
                   the durations on are padding
    decoder        latent (1, C, W), mask (1, 1, W) -> pcm (1, 1, 1, W x hop); one profile for each window length W

Padding is inert: VITS masks ids and latent frames itself, and each convolution of the decoder gets its input times the
mask, upsampled to its rate, which is what the zeros beyond a shorter input are.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from asr_tts.runtime.profiles import write_profiles
from asr_tts.synthesizer.vits import VoiceDescription, decoder_windows
from checkpoints.engines.graph import GraphBuilder, consumers, fold, producers, prune, redirect, set_shapes
from checkpoints.engines.splines import dense_splines
from commentary_llm.ground.errors import ArtifactError

TEXT_IDS = 128
# The longest latent of a clause with so many ids: 2 to 3 frames an id, 3.1 at the slowest rate (measured on 7 lines). A
# clause that needs more is split again.
TEXT_FRAMES = 448
NOISE_FRAMES = 512


def fix_text_encoder(
    model: onnx.ModelProto, voice: VoiceDescription, ids: int = TEXT_IDS, frames: int = TEXT_FRAMES
) -> onnx.ModelProto:
    """The imported text encoder for exactly `ids` phoneme ids and `frames` latent frames, without NonZero.

    Raises ArtifactError when the graph is not a Piper VITS text encoder.
    """
    channels = voice.latent_channels
    shapes = {
        "input": [1, ids],
        "input_lengths": [1],
        "scales": [3],
        "duration_noise": [1, 2, ids],
        "latent_noise": [1, channels, NOISE_FRAMES],
    }
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    set_shapes(fixed.graph.input, shapes)
    fixed = fold(fixed, "VITS text encoder")
    dense_splines(fixed)
    # The longest clause of the batch decides how many frames there are; the mask of frames beyond is the graph's own.
    longest = [node.output[0] for node in fixed.graph.node if node.op_type == "ReduceMax"]
    if len(longest) != 1:
        raise ArtifactError(f"VITS text encoder: found {len(longest)} ReduceMax nodes; expected 1, of the frame counts")
    fixed.graph.initializer.append(numpy_helper.from_array(np.array(frames, np.int64), "fixed_frames"))
    redirect(fixed, longest[0], "fixed_frames")
    set_shapes(fixed.graph.output, {"latent": [1, channels, frames], "durations": [1, 1, ids]})
    prune(fixed)
    fixed = fold(fixed, "VITS text encoder")
    write_profiles(fixed, [shapes])
    return fixed


def fix_decoder(model: onnx.ModelProto, voice: VoiceDescription) -> onnx.ModelProto:
    """The imported decoder with a mask, for the window lengths that the synthesiser cuts its chunks to."""
    masked = onnx.ModelProto()
    masked.CopyFrom(model)
    masked.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, 1, "window"]))
    weights = {tensor.name: tensor for tensor in masked.graph.initializer}
    rate = {"latent": 1}  # samples a frame, by tensor
    builder = GraphBuilder("mask")
    masks: dict[int, str] = {1: "mask"}
    masked_inputs: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for node in masked.graph.node:
        known = [rate[value] for value in node.input if value in rate]
        if known and node.op_type in ("Conv", "ConvTranspose"):
            source = node.input[0]
            if source not in masked_inputs:
                mask = _mask_at(builder, masks, rate[source])
                masked_inputs[source] = f"{source}/masked"
                nodes.extend(builder.nodes)
                builder.nodes.clear()
                nodes.append(helper.make_node("Mul", [source, mask], [masked_inputs[source]], name=f"mask_{source}"))
            node.input[0] = masked_inputs[source]
            if node.input[1] not in weights:
                raise ArtifactError(
                    f"VITS decoder: {node.name!r} takes its weights from {node.input[1]!r}, not a constant"
                )
        nodes.append(node)
        if known:
            stride = next((a.ints[0] for a in node.attribute if a.name == "strides"), 1)
            rate[node.output[0]] = known[0] * (stride if node.op_type == "ConvTranspose" else 1)
    del masked.graph.node[:]
    masked.graph.node.extend(nodes)
    masked.graph.initializer.extend(builder.initializers)
    set_shapes(masked.graph.input, {"latent": [1, voice.latent_channels, "window"]})
    folded = fold(masked, "VITS decoder")
    windows = decoder_windows(voice)
    write_profiles(folded, [{"latent": [1, voice.latent_channels, size], "mask": [1, 1, size]} for size in windows])
    return folded


def _mask_at(builder: GraphBuilder, masks: dict[int, str], rate: int) -> str:
    """The mask with every frame repeated `rate` times."""
    if rate not in masks:
        column = builder.op("Unsqueeze", ["mask", builder.constant([3])])
        wide = builder.op("Expand", [column, builder.constant([1, 1, 1, rate])])
        masks[rate] = builder.op("Reshape", [wide, builder.constant([1, 1, -1])])
    return masks[rate]


def float_nodes(model: onnx.ModelProto) -> set[str]:
    """Nodes of a fixed text encoder (by their first output) that stay float32 in a float16 build.

    All that the durations depend on: a duration is rounded up to whole frames, and a difference of one in a thousand
    now and then makes a phoneme a frame longer. All that counts frames from them: a float16 is exact to 2,048 only.
    The flow behind them, half of the weights, is converted.
    """
    made_by, read_by = producers(model), consumers(model)
    kept: set[str] = set()
    pending = ["durations"]
    while pending:
        node = made_by.get(pending.pop())
        if node is not None and node.output[0] not in kept:
            kept.add(node.output[0])
            pending.extend(node.input)
    counting = _after({"durations"}, read_by)
    flow = {name for name in counting if made_by[name].op_type == "Conv"}
    return kept | (counting - flow - _after(flow, read_by))


def pcm_nodes(model: onnx.ModelProto) -> set[str]:
    """Nodes of a decoder (by their first output) that stay float32: the last convolution and what follows it.

    They make the samples, where float16 would leave 11 bits; with one output channel they cost next to nothing.
    """
    last = [node.output[0] for node in model.graph.node if node.op_type == "Conv"][-1]
    return {last} | _after({last}, consumers(model))


def _after(tensors: set[str], read_by: dict[str, list[onnx.NodeProto]]) -> set[str]:
    """First outputs of all nodes that depend on `tensors`."""
    found: set[str] = set()
    pending = list(tensors)
    while pending:
        for node in read_by.get(pending.pop(), []):
            if node.output[0] not in found:
                found.add(node.output[0])
                pending.extend(node.output)
    return found
