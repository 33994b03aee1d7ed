"""An ONNX network with the kinds of nodes that precision conversion treats differently."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from asr_tts.runtime.profiles import write_profiles

HIDDEN = 16


def small_model() -> onnx.ModelProto:
    """x -> a product, a softmax, a layer norm, a product back, and a tensor that another network would take."""
    rng = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32) * 0.3, name)

    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w1"], ["a"]),
            helper.make_node("Softmax", ["a"], ["p"], axis=-1),
            helper.make_node("Add", ["a", "p"], ["b"]),
            helper.make_node("LayerNormalization", ["b", "gamma", "beta"], ["n"], axis=-1),
            helper.make_node("MatMul", ["n", "w2"], ["cross_0"]),
            helper.make_node("Mul", ["cross_0", "big"], ["scaled"]),
            helper.make_node("Tanh", ["scaled"], ["y"]),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, HIDDEN])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, HIDDEN]),
            helper.make_tensor_value_info("cross_0", TensorProto.FLOAT, [1, 4, HIDDEN]),
        ],
        [
            weight("w1", HIDDEN, HIDDEN),
            weight("w2", HIDDEN, HIDDEN),
            weight("gamma", HIDDEN),
            weight("beta", HIDDEN),
            numpy_helper.from_array(np.array(1e6, np.float32), "big"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    write_profiles(model, [{"x": [1, 4, HIDDEN]}])
    return model


def inputs(seed: int = 1) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(seed).standard_normal((1, 4, HIDDEN)).astype(np.float32)}
