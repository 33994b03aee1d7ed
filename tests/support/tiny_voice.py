"""A voice with the structure of a Piper VITS export and a handful of weights, made on the spot."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS, HOP = 6, 8
PHONEMES = ["_", "^", "$", " ", *"!,.:;?'", *"abdefhijklmnopstuvwzæðŋɐɑɔəɚɛɜɡɪɹɾʃʊʌʒθᵻˈˌː"]


def tiny_model(speakers: int = 1) -> onnx.ModelProto:
    """phonemes -> two latent frames each -> HiFi-GAN in small: hop of 8 samples."""
    rng = np.random.default_rng(5)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(rng.normal(0, 0.15, shape).astype(np.float32), name)

    def ints(name: str, *values: int) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, dtype=np.int64), name)

    weights = [
        weight("emb", 256, CHANNELS),
        weight("dec.pre", 10, CHANNELS, 7),
        weight("dec.up0", 10, 8, 8),
        weight("dec.res", 8, 8, 5),
        weight("dec.up1", 8, 6, 4),
        weight("dec.post", 1, 6, 7),
        *(ints(f"i{value}", value) for value in (0, 1, 2)),
        *(numpy_helper.from_array(np.array(value, dtype=np.int64), f"s{value}") for value in (0, 1, 2)),
    ]
    node = helper.make_node
    nodes = [
        node("Gather", ["scales", "s0"], ["noise_scale"]),
        node("Gather", ["scales", "s1"], ["length_scale"]),
        node("Gather", ["scales", "s2"], ["noise_w"]),
        node("Gather", ["emb", "input"], ["embedded"], axis=0),
        node("Transpose", ["embedded"], ["h"], perm=[0, 2, 1]),
        node("Slice", ["h", "i0", "i2", "i1"], ["h2"]),
        node("RandomNormalLike", ["h2"], ["dn"], dtype=1),
        node("Mul", ["dn", "noise_w"], ["dns"]),
        node("Add", ["h2", "dns"], ["logw"]),
        node("ReduceMean", ["logw"], ["logw1"], axes=[1], keepdims=1),
        node("Exp", ["logw1"], ["w"]),
        node("Mul", ["w", "length_scale"], ["ws"]),
        node("Ceil", ["ws"], ["w_ceil"]),
        node("Concat", ["h", "h"], ["m"], axis=2),
        node("RandomNormalLike", ["m"], ["zn"], dtype=1),
        node("Mul", ["zn", "noise_scale"], ["zns"]),
        node("Add", ["m", "zns"], ["z"]),
        node("Conv", ["z", "dec.pre"], ["p"], kernel_shape=[7], pads=[3, 3]),
    ]
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, ["batch", "phonemes"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    pre = "p"
    if speakers > 1:
        inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, ["batch"]))
        weights += [weight("emb_g", speakers, 4), weight("dec.cond", 10, 4, 1)]
        nodes += [
            node("Gather", ["emb_g", "sid"], ["g0"], axis=0),
            node("Unsqueeze", ["g0", "i2"], ["g"]),
            node("Conv", ["g", "dec.cond"], ["gc"], kernel_shape=[1]),
            node("Add", ["p", "gc"], ["pg"]),
        ]
        pre = "pg"
    nodes += [
        node("LeakyRelu", [pre], ["a0"], alpha=0.1),
        node("ConvTranspose", ["a0", "dec.up0"], ["u0"], kernel_shape=[8], strides=[4], pads=[2, 2]),
        node("LeakyRelu", ["u0"], ["a1"], alpha=0.1),
        node("Conv", ["a1", "dec.res"], ["r"], kernel_shape=[5], dilations=[3], pads=[6, 6]),
        node("Add", ["r", "u0"], ["r1"]),
        node("ConvTranspose", ["r1", "dec.up1"], ["u1"], kernel_shape=[4], strides=[2], pads=[1, 1]),
        node("Conv", ["u1", "dec.post"], ["c"], kernel_shape=[7], pads=[3, 3]),
        node("Tanh", ["c"], ["t"]),
        node("Unsqueeze", ["t", "i1"], ["output"]),
    ]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 1, 1, "time"])
    graph = helper.make_graph(nodes, "vits", inputs, [output], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def tiny_config(speakers: int = 1) -> dict[str, object]:
    return {
        "audio": {"sample_rate": 8000, "quality": "tiny"},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.6, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "num_speakers": speakers,
        "speaker_id_map": {f"speaker{index}": index for index in range(speakers)} if speakers > 1 else {},
        "phoneme_id_map": {phoneme: [index] for index, phoneme in enumerate(PHONEMES)},
    }


def write_wheel(path: Path, model: onnx.ModelProto | bytes, config: dict[str, object] | None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("voice/tiny.onnx", model if isinstance(model, bytes) else model.SerializeToString())
        if config is not None:
            archive.writestr("voice/tiny.onnx.json", json.dumps(config))
    return path
