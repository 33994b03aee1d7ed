"""INT8 for TensorRT: explicit Q/DQ pairs around the layers that are to compute in INT8.

Symmetric in both operands, as TensorRT demands (zero points are 0): activations with one scale a tensor from what was
seen while real speech ran through the network, weights with one scale an output channel. Weights are stored as int8
with a DequantizeLinear behind them, so that the engine file shrinks, too. Biases are left alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper, version_converter

from asr_tts.interfaces import SpeechRuntime, Tensor, TensorSpec
from asr_tts.runtime import open_runtime
from asr_tts.runtime.profiles import Profile
from checkpoints.engines.graph import constants, prune
from commentary_llm.ground.errors import ArtifactError

OPSET = 19  # the first whose Q/DQ operators take float16
_BINS = 4096
# Of all values seen, this share lies within the scale; the rest saturates. Whisper's GELU outputs have rare outliers.
KEPT_SHARE = 0.9999
# The smallest normal float16: a scale below would lose its own precision.
_LEAST_SCALE = float(np.finfo(np.float16).tiny)
_KINDS = ("MatMul", "Gemm", "Conv")


def quantizable(model: onnx.ModelProto) -> list[str]:
    """First outputs of the MatMul, Gemm and Conv nodes whose second operand is a weight."""
    known = {tensor.name for tensor in model.graph.initializer}
    return [n.output[0] for n in model.graph.node if n.op_type in _KINDS and n.input[1] in known]


def _channel_axis(node: onnx.NodeProto) -> int:
    """The axis of a node's weight along which its output channels lie."""
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return 0 if node.op_type == "Conv" or transposed else 1


class RangeObserver:
    """A `SpeechRuntime` over a float32 graph that notes how large the inputs of some nodes become.

    Put in place of the network and run on real speech, it learns the scales that `insert_qdq` needs. Not thread-safe.
    """

    def __init__(self, model: onnx.ModelProto, nodes: Collection[str], name: str, threads: int) -> None:
        watched = {node.input[0] for node in model.graph.node if node.output[0] in nodes}
        self._histograms = {tensor: _Histogram() for tensor in sorted(watched)}
        seen = onnx.ModelProto()
        seen.CopyFrom(model)
        given = {value.name for value in model.graph.input}
        self._from_feeds = watched & given
        self._outputs_added = sorted(watched - given)
        inferred = {v.name: v for v in onnx.shape_inference.infer_shapes(model).graph.value_info}
        seen.graph.output.extend(inferred[tensor] for tensor in self._outputs_added)
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "observed.onnx"
            onnx.save(seen, path)
            self._network: SpeechRuntime = open_runtime(path, threads=threads, name=name)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._network.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return tuple(spec for spec in self._network.outputs if spec.name not in self._outputs_added)

    @property
    def profiles(self) -> tuple[Profile, ...]:
        return self._network.profiles

    @property
    def description(self) -> str:
        return f"{self._network.description}, observed"

    def run(self, feeds: Mapping[str, Tensor], keep: Collection[str] = ()) -> dict[str, Tensor]:
        """Runs the network and counts what the watched tensors held."""
        out = self._network.run(feeds)
        for tensor in self._outputs_added:
            self._histograms[tensor].add(np.asarray(out.pop(tensor)))
        for tensor in self._from_feeds:
            self._histograms[tensor].add(np.asarray(feeds[tensor]))
        return out

    def warm_up(self) -> None:
        """Nothing: zeros would count as seen."""

    def ranges(self) -> dict[str, float]:
        """Tensor -> the magnitude that INT8's 127 stands for. Raises ArtifactError when nothing was run."""
        silent = [tensor for tensor, histogram in self._histograms.items() if not histogram.most]
        if silent:
            raise ArtifactError(
                f"calibration: {silent[0]!r} held nothing but zeros; run speech through the network first"
            )
        return {tensor: histogram.quantile(KEPT_SHARE) for tensor, histogram in self._histograms.items()}


class _Histogram:
    """Magnitudes in bins from 0 to a limit that doubles as needed."""

    def __init__(self) -> None:
        self.most = 0.0
        self._limit = 0.0
        self._counts = np.zeros(_BINS, np.int64)

    def add(self, values: np.ndarray) -> None:
        magnitudes = np.abs(values).reshape(-1)
        most = float(magnitudes.max(initial=0.0))
        if not most:
            self._counts[0] += magnitudes.size
            return
        self.most = max(self.most, most)
        self._limit = self._limit or most
        while self._limit < most:
            self._limit *= 2
            pairs = self._counts.reshape(-1, 2).sum(axis=1)
            self._counts = np.concatenate([pairs, np.zeros(_BINS // 2, np.int64)])
        # In float64: the factor of the smallest magnitudes is beyond float32's range.
        places = np.minimum((magnitudes.astype(np.float64) * (_BINS / self._limit)).astype(np.int32), _BINS - 1)
        self._counts += np.bincount(places, minlength=_BINS)

    def quantile(self, share: float) -> float:
        """The magnitude that `share` of the values do not exceed, to a bin's width."""
        reached = int(np.searchsorted(np.cumsum(self._counts), share * self._counts.sum()))
        return min(self.most, (reached + 1) * self._limit / _BINS)


def insert_qdq(model: onnx.ModelProto, nodes: Collection[str], ranges: Mapping[str, float]) -> onnx.ModelProto:
    """A copy of `model` in which `nodes` (by their first output) compute on INT8 operands.

    `ranges`: as `RangeObserver.ranges` gives them, for the nodes' first inputs. The copy has the opset `OPSET`.
    """
    quantized = version_converter.convert_version(model, OPSET)
    quantized.ir_version = max(model.ir_version, 9)  # the one that belongs to opset 19
    del quantized.metadata_props[:]
    quantized.metadata_props.extend(model.metadata_props)
    weights = constants(quantized)
    made: dict[str, str] = {}  # tensor -> its dequantised form
    rebuilt: list[onnx.NodeProto] = []
    new_weights: list[onnx.TensorProto] = []

    def constant(name: str, value: np.ndarray) -> str:
        new_weights.append(numpy_helper.from_array(value, name))
        return name

    for node in quantized.graph.node:
        if node.output[0] in nodes:
            data, weight = node.input[0], node.input[1]
            if data not in made:
                scale = constant(f"{data}/scale", np.array(max(ranges[data] / 127.0, _LEAST_SCALE), np.float32))
                zero = constant(f"{data}/zero", np.array(0, np.int8))
                rebuilt.append(helper.make_node("QuantizeLinear", [data, scale, zero], [f"{data}/int8"]))
                made[data] = f"{data}/dequantized"
                rebuilt.append(helper.make_node("DequantizeLinear", [f"{data}/int8", scale, zero], [made[data]]))
            if weight not in made:
                axis = _channel_axis(node)
                integers, scales = quantize_weight(weights[weight], axis)
                made[weight] = f"{weight}/dequantized"
                parts = [
                    constant(f"{weight}/int8", integers),
                    constant(f"{weight}/scale", scales),
                    constant(f"{weight}/zero", np.zeros(len(scales), np.int8)),
                ]
                rebuilt.append(helper.make_node("DequantizeLinear", parts, [made[weight]], axis=axis))
            node.input[0], node.input[1] = made[data], made[weight]
        rebuilt.append(node)
    del quantized.graph.node[:]
    quantized.graph.node.extend(rebuilt)
    quantized.graph.initializer.extend(new_weights)
    prune(quantized)
    onnx.checker.check_model(quantized, full_check=True)
    return quantized


def quantize_weight(weight: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """(int8 weight, float32 scales of its channels along `axis`); symmetric, the largest magnitude becomes 127."""
    others = tuple(index for index in range(weight.ndim) if index != axis)
    scales = np.maximum(np.abs(weight).max(axis=others) / 127.0, _LEAST_SCALE).astype(np.float32)
    spread = scales.reshape([-1 if index == axis else 1 for index in range(weight.ndim)])
    return np.clip(np.rint(weight / spread), -127, 127).astype(np.int8), scales
