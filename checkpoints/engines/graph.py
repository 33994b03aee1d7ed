"""Small tools for editing ONNX graphs."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from commentary_llm.ground.errors import ArtifactError


class GraphBuilder:
    """Collects new nodes and constants under one prefix, then puts them into a graph."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._count = 0

    def op(self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """Adds a node; returns the name of its output."""
        self._count += 1
        name = output or f"{self._prefix}/{kind}_{self._count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value: np.ndarray | float | Sequence[int]) -> str:
        """A constant: arrays as they are, a float as float32 scalar, whole numbers as int64."""
        if isinstance(value, float):
            array = np.array(value, np.float32)
        elif isinstance(value, np.ndarray):
            array = value
        else:
            array = np.array(value, np.int64)
        name = f"{self._prefix}/constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def insert(self, model: onnx.ModelProto, position: int) -> None:
        """Puts everything collected before the node at `position`."""
        nodes = list(model.graph.node)
        del model.graph.node[:]
        model.graph.node.extend([*nodes[:position], *self.nodes, *nodes[position:]])
        model.graph.initializer.extend(self.initializers)


def producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Tensor -> the node that makes it."""
    return {output: node for node in model.graph.node for output in node.output}


def consumers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """Tensor -> the nodes that read it."""
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for value in node.input:
            found.setdefault(value, []).append(node)
    return found


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The graph's weights by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def redirect(model: onnx.ModelProto, old: str, new: str) -> None:
    """Every node that read `old` reads `new`."""
    for node in model.graph.node:
        node.input[:] = [new if value == old else value for value in node.input]


def prune(model: onnx.ModelProto) -> None:
    """Takes out nodes and weights that no output depends on; graph inputs stay."""
    made_by = producers(model)
    wanted: set[str] = set()
    pending = [value.name for value in model.graph.output]
    while pending:
        value = pending.pop()
        if value and value not in wanted:
            wanted.add(value)
            if value in made_by:
                pending.extend(made_by[value].input)
    nodes = [node for node in model.graph.node if wanted.intersection(node.output)]
    weights = [tensor for tensor in model.graph.initializer if tensor.name in wanted]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(weights)


def set_shapes(
    values: Iterable[onnx.ValueInfoProto], shapes: Mapping[str, Sequence[int] | Sequence[int | str]]
) -> None:
    """Gives graph inputs or outputs the sizes in `shapes`; those not named stay."""
    for value in values:
        if value.name not in shapes:
            continue
        tensor = value.type.tensor_type
        tensor.shape.ClearField("dim")
        for size in shapes[value.name]:
            if isinstance(size, str):
                tensor.shape.dim.add().dim_param = size
            else:
                tensor.shape.dim.add().dim_value = size


def fold(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """`model` with everything computed that does not depend on its inputs: sizes, positions, masks.

    ONNX Runtime's basic optimisation does it; its result uses standard operators alone. Raises ArtifactError naming
    the network when ONNX Runtime does not accept the graph.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "in.onnx", Path(scratch) / "out.onnx"
        onnx.save(model, source)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 4
        try:
            onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no base below Exception
            raise ArtifactError(
                f"network {name!r}: the converted graph does not load in ONNX Runtime: {error}"
            ) from error
        folded = onnx.load(target)
    opsets = [entry for entry in folded.opset_import if entry.domain == ""]
    foreign = {node.domain for node in folded.graph.node} - {"", "ai.onnx"}
    if foreign:
        raise ArtifactError(f"network {name!r}: folding left operators of {sorted(foreign)}; expected standard ones")
    del folded.opset_import[:]
    folded.opset_import.extend(opsets)
    _drop_zero_sums(folded)
    prune(folded)
    return folded


def _drop_zero_sums(model: onnx.ModelProto) -> None:
    """Takes out sums with zeros, such as the condition of a voice with one speaker: 18 MB in a Piper voice."""
    zeros = {name for name, array in constants(model).items() if array.size > 1 and not array.any()}
    shapes = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    for node in list(model.graph.node):
        if node.op_type != "Add" or not zeros.intersection(node.input):
            continue
        other = node.input[1] if node.input[0] in zeros else node.input[0]
        if other in shapes and shapes[other] == shapes.get(node.output[0]):
            model.graph.node.remove(node)
            redirect(model, node.output[0], other)


def share_weights(model: onnx.ModelProto) -> None:
    """Keeps one of weights that are equal to the last bit, such as Whisper's embedding and its output projection."""
    kept: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    for tensor in list(model.graph.initializer):
        content = hashlib.sha256(numpy_helper.to_array(tensor).tobytes()).digest()
        same = kept.setdefault((tensor.data_type, tuple(tensor.dims), content), tensor.name)
        if same != tensor.name:
            redirect(model, tensor.name, same)
            model.graph.initializer.remove(tensor)


def sorted_nodes(model: onnx.ModelProto) -> None:
    """Puts the nodes in an order in which each comes after what it reads."""
    made = {value.name for value in model.graph.input} | {tensor.name for tensor in model.graph.initializer} | {""}
    by_output = producers(model)
    ordered: list[onnx.NodeProto] = []
    for wanted in list(model.graph.node):
        pending = [wanted]
        while pending:
            node = pending[-1]
            missing = [value for value in node.input if value not in made]
            if missing:
                pending.extend(by_output[value] for value in missing)
                continue
            pending.pop()
            if node.output[0] not in made:
                made.update(node.output)
                ordered.append(node)
    del model.graph.node[:]
    model.graph.node.extend(ordered)
