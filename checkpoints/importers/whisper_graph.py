"""Whisper's two ONNX graphs, written node by node from its weights.

B is the batch, F the mel frames (2 to 3,000; 100 to a second), S = ceil(F / 2) the encoder positions, T the tokens of
this call, P the tokens of earlier calls (0 at first), L the decoder layers, H the heads, D the head size, V the
vocabulary. All floating-point tensors are float32. `i` runs over 0 … L-1.

`encoder.onnx`
    in   mel            (B, mels, F)
    out  cross_key_i    (B, H, D, S)   cross-attention keys of decoder layer i, transposed for its matrix product
         cross_value_i  (B, H, S, D)
`decoder.onnx`
    in   tokens         (B, T) int64
         past_key_i, past_value_i        (B, H, P, D)   self-attention cache
         cross_key_i, cross_value_i      as the encoder gives them
    out  logits         (B, T, V)
         present_key_i, present_value_i  (B, H, P + T, D)

The encoder ends in the decoder's cross-attention keys and values, so that they are computed once per window. The
decoder takes any number of tokens a call (the whole prompt first, then one at a time) and masks what lies ahead.

Opset 17 is the first with LayerNormalization; GELU is spelt with Erf, which ONNX Runtime fuses and TensorRT knows.
Weights are stored as float16, as published, each with a Cast to float32 that ONNX Runtime folds when it loads the
graph: half the file, no loss, and a runtime with float16 kernels may use them as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8  # the one that belongs to opset 17
LAYER_NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class WhisperShape:
    """Sizes of a Whisper model."""

    mels: int
    hidden: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    vocabulary: int
    max_frames: int  # of mel, twice the encoder's positions
    max_tokens: int  # of the decoder, prompt included

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads


class _Graph:
    """Collects nodes and weights; every method adds nodes and returns the name of their result."""

    def __init__(self, weights: Mapping[str, np.ndarray], shape: WhisperShape) -> None:
        self.weights = weights
        self.shape = shape
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self._casts: dict[str, str] = {}

    def op(self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=f"{kind}_{name}", **attributes))
        return name

    def split(self, value: str, parts: int, axis: int) -> list[str]:
        names = [f"split_{len(self.nodes)}_{part}" for part in range(parts)]
        self.nodes.append(helper.make_node("Split", [value], names, axis=axis))
        return names

    def constant(self, name: str, value: np.ndarray) -> str:
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def integers(self, *values: int) -> str:
        return self.constant("int_" + "_".join(map(str, values)), np.array(values, np.int64))

    def scalar(self, value: float) -> str:
        return self.constant(f"float_{value:.9g}", np.array(value, np.float32))

    def half(self, name: str, value: np.ndarray) -> str:
        """A weight kept as float16, cast to float32 on use."""
        if name not in self._casts:
            self.constant(name, value.astype(np.float16))
            self._casts[name] = self.op("Cast", [name], to=TensorProto.FLOAT)
        return self._casts[name]

    def weight(self, name: str) -> str:
        return self.half(name, self.weights[name])

    def dense(self, value: str, prefix: str, rows: slice | None = None, scale: float = 1.0) -> str:
        """`value` @ weight[rows].T + bias[rows], both times `scale` (a power of two: float16 keeps it exact)."""
        rows = rows or slice(None)
        suffix = "" if rows == slice(None) else f"[{rows.start}:{rows.stop}]"
        weight = self.half(f"{prefix}/weight{suffix}", self.weights[f"{prefix}/weight"][rows].T * np.float16(scale))
        bias = self.half(f"{prefix}/bias{suffix}", self.weights[f"{prefix}/bias"][rows] * np.float16(scale))
        return self.op("Add", [self.op("MatMul", [value, weight]), bias])

    def layer_norm(self, value: str, prefix: str) -> str:
        inputs = [value, self.weight(f"{prefix}/gamma"), self.weight(f"{prefix}/beta")]
        return self.op("LayerNormalization", inputs, axis=-1, epsilon=LAYER_NORM_EPSILON)

    def gelu(self, value: str) -> str:
        """0.5 x (1 + erf(x / sqrt 2)), in the order ONNX Runtime's fusion looks for."""
        erf = self.op("Erf", [self.op("Div", [value, self.scalar(float(np.sqrt(2.0)))])])
        return self.op("Mul", [self.op("Mul", [value, self.op("Add", [erf, self.scalar(1.0)])]), self.scalar(0.5)])

    def heads(self, value: str, *, transpose: bool = False, output: str | None = None) -> str:
        """(B, N, H*D) to (B, H, N, D), or with `transpose` to (B, H, D, N)."""
        shape = self.integers(0, 0, self.shape.heads, self.shape.head_size)
        split = self.op("Reshape", [value, shape])
        return self.op("Transpose", [split], output, perm=[0, 2, 3, 1] if transpose else [0, 2, 1, 3])

    def attend(self, query: str, key_transposed: str, value: str, mask: str | None = None) -> str:
        """softmax(query key + mask) value, heads joined again: (B, N, H*D). The query is already scaled."""
        scores = self.op("MatMul", [query, key_transposed])
        if mask is not None:
            scores = self.op("Add", [scores, mask])
        mixed = self.op("MatMul", [self.op("Softmax", [scores], axis=-1), value])
        return self.op("Reshape", [self.op("Transpose", [mixed], perm=[0, 2, 1, 3]), self.integers(0, 0, -1)])

    def query_key_value(self, value: str, prefix: str) -> list[str]:
        """The fused projection's three parts, (B, N, H*D) each, the query scaled by D**-0.5."""
        hidden = self.shape.hidden
        scaled = self.weights[f"{prefix}/weight"].astype(np.float32).copy()
        bias = self.weights[f"{prefix}/bias"].astype(np.float32).copy()
        scaled[:hidden] *= self.shape.head_size**-0.5
        bias[:hidden] *= self.shape.head_size**-0.5
        product = self.op("MatMul", [value, self.half(f"{prefix}/weight", scaled.T)])
        return self.split(self.op("Add", [product, self.half(f"{prefix}/bias", bias)]), 3, axis=2)

    def feed_forward(self, value: str, prefix: str) -> str:
        inner = self.gelu(self.dense(self.layer_norm(value, f"{prefix}/layer_norm"), f"{prefix}/linear_0"))
        return self.op("Add", [value, self.dense(inner, f"{prefix}/linear_1")])

    def size(self, value: str, axis: int) -> str:
        """One axis' size, as (1,) int64."""
        return self.op("Shape", [value], start=axis, end=axis + 1)

    def model(
        self, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, name, inputs, outputs, list(self.initializers.values()))
        model = helper.make_model(
            graph,
            producer_name="commentary-llm",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def _floats(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def _cross(shape: WhisperShape) -> list[onnx.ValueInfoProto]:
    """The tensors that the encoder hands to the decoder."""
    heads, size = shape.heads, shape.head_size
    return [
        value
        for layer in range(shape.decoder_layers)
        for value in (
            _floats(f"cross_key_{layer}", "batch", heads, size, "positions"),
            _floats(f"cross_value_{layer}", "batch", heads, "positions", size),
        )
    ]


def build_encoder(weights: Mapping[str, np.ndarray], shape: WhisperShape) -> onnx.ModelProto:
    """`encoder.onnx` (see the module). `weights` are CTranslate2's by name."""
    graph = _Graph(weights, shape)
    value = "mel"
    for name, stride in (("conv1", 1), ("conv2", 2)):
        kernel, bias = (graph.weight(f"encoder/{name}/{part}") for part in ("weight", "bias"))
        convolved = graph.op("Conv", [value, kernel, bias], kernel_shape=[3], pads=[1, 1], strides=[stride])
        value = graph.gelu(convolved)
    value = graph.op("Transpose", [value], perm=[0, 2, 1])
    positions = graph.weight("encoder/position_encodings/encodings")
    sliced = graph.op("Slice", [positions, graph.integers(0), graph.size(value, 1), graph.integers(0)])
    value = graph.op("Add", [value, sliced])
    for layer in range(shape.encoder_layers):
        prefix = f"encoder/layer_{layer}"
        attention = f"{prefix}/self_attention"
        normed = graph.layer_norm(value, f"{attention}/layer_norm")
        query, key, content = graph.query_key_value(normed, f"{attention}/linear_0")
        mixed = graph.attend(graph.heads(query), graph.heads(key, transpose=True), graph.heads(content))
        value = graph.op("Add", [value, graph.dense(mixed, f"{attention}/linear_1")])
        value = graph.feed_forward(value, f"{prefix}/ffn")
    value = graph.layer_norm(value, "encoder/layer_norm")
    hidden = shape.hidden
    for layer in range(shape.decoder_layers):
        projection = f"decoder/layer_{layer}/attention/linear_1"
        graph.heads(graph.dense(value, projection, slice(0, hidden)), transpose=True, output=f"cross_key_{layer}")
        graph.heads(graph.dense(value, projection, slice(hidden, 2 * hidden)), output=f"cross_value_{layer}")
    return graph.model("whisper_encoder", [_floats("mel", "batch", shape.mels, "frames")], _cross(shape))


def build_decoder(weights: Mapping[str, np.ndarray], shape: WhisperShape) -> onnx.ModelProto:
    """`decoder.onnx` (see the module). `weights` are CTranslate2's by name."""
    graph = _Graph(weights, shape)
    past = graph.size("past_key_0", 2)
    total = graph.op("Add", [past, graph.size("tokens", 1)])
    mask = _causal_mask(graph, past, total)
    graph.constant("decoder/embeddings/weight", weights["decoder/embeddings/weight"].astype(np.float16))
    # The rows are cast after they are gathered, so that only the output projection needs the table as float32.
    embedded = graph.op(
        "Cast", [graph.op("Gather", ["decoder/embeddings/weight", "tokens"], axis=0)], to=TensorProto.FLOAT
    )
    positions = graph.weight("decoder/position_encodings/encodings")
    value = graph.op("Add", [embedded, graph.op("Slice", [positions, past, total, graph.integers(0)])])
    for layer in range(shape.decoder_layers):
        prefix = f"decoder/layer_{layer}"
        attention = f"{prefix}/self_attention"
        normed = graph.layer_norm(value, f"{attention}/layer_norm")
        query, key, content = graph.query_key_value(normed, f"{attention}/linear_0")
        keys = graph.op("Concat", [f"past_key_{layer}", graph.heads(key)], f"present_key_{layer}", axis=2)
        values = graph.op("Concat", [f"past_value_{layer}", graph.heads(content)], f"present_value_{layer}", axis=2)
        mixed = graph.attend(graph.heads(query), graph.op("Transpose", [keys], perm=[0, 1, 3, 2]), values, mask)
        value = graph.op("Add", [value, graph.dense(mixed, f"{attention}/linear_1")])

        attention = f"{prefix}/attention"
        normed = graph.layer_norm(value, f"{attention}/layer_norm")
        query = graph.heads(graph.dense(normed, f"{attention}/linear_0", scale=shape.head_size**-0.5))
        mixed = graph.attend(query, f"cross_key_{layer}", f"cross_value_{layer}")
        value = graph.op("Add", [value, graph.dense(mixed, f"{attention}/linear_2")])
        value = graph.feed_forward(value, f"{prefix}/ffn")
    value = graph.layer_norm(value, "decoder/layer_norm")
    # Gemm takes the table as it lies: transposing it first would hold a second 80 MB copy while the graph loads.
    rows = graph.op("Reshape", [value, graph.integers(-1, shape.hidden)])
    scores = graph.op("Gemm", [rows, graph.weight("decoder/embeddings/weight")], transB=1)
    sizes = graph.op("Concat", [graph.op("Shape", ["tokens"]), graph.integers(-1)], axis=0)
    graph.op("Reshape", [scores, sizes], "logits")

    tokens = helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", "tokens"])
    outputs = [_floats("logits", "batch", "tokens", shape.vocabulary)]
    inputs = [tokens]
    for layer in range(shape.decoder_layers):
        for kind in ("key", "value"):
            inputs.append(_floats(f"past_{kind}_{layer}", "batch", shape.heads, "past", shape.head_size))
            outputs.append(_floats(f"present_{kind}_{layer}", "batch", shape.heads, "total", shape.head_size))
    return graph.model("whisper_decoder", inputs + _cross(shape), outputs)


def _causal_mask(graph: _Graph, past: str, total: str) -> str:
    """(T, P + T): 0 where the key is at or before the query's place, -inf where it lies ahead."""
    zero, one = (graph.constant(f"int_scalar_{number}", np.array(number, np.int64)) for number in (0, 1))
    first, end = graph.op("Squeeze", [past]), graph.op("Squeeze", [total])
    queries = graph.op("Unsqueeze", [graph.op("Range", [first, end, one]), graph.integers(1)])
    ahead = graph.op("Greater", [graph.op("Range", [zero, end, one]), queries])
    return graph.op("Where", [ahead, graph.scalar(float("-inf")), graph.scalar(0.0)])
