"""float32 graph to float16, node by node.

TensorRT 11 takes precisions from the graph alone (strongly typed networks), so float16 has to be written into it: a
node works in float16 unless it is kept, and a Cast stands wherever the two meet. Kept in float32 are operators whose
sums or exponents leave float16 (normalisations, softmax, exponents), and what the caller names.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from checkpoints.engines.graph import prune, share_weights

KEPT_KINDS = frozenset(
    {
        "LayerNormalization",
        "ReduceMean",  # of squares, in normalisations spelt out
        "Pow",
        "Sqrt",
        "Softmax",
        "Softplus",
        "Exp",
        "CumSum",
        "Range",
        "Resize",
    }
)
_MOST = float(np.finfo(np.float16).max)


def to_half(
    model: onnx.ModelProto, keep_nodes: Collection[str] = (), half_tensors: Collection[str] = ()
) -> onnx.ModelProto:
    """A copy of `model` in mixed precision.

    `keep_nodes`: nodes (by the name of their first output) that stay float32. `half_tensors`: graph inputs and outputs
    that become float16 themselves; the others keep their type.
    """
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    floats = {
        value.name
        for value in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    weights = {t.name: t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT}
    graph = onnx.ModelProto()
    graph.CopyFrom(model)
    del graph.graph.node[:]
    typed: dict[tuple[str, int], str] = {}  # (tensor, type) -> the name it has in that type
    for value in model.graph.input:
        if value.name in floats:
            typed[value.name, TensorProto.FLOAT16 if value.name in half_tensors else TensorProto.FLOAT] = value.name
    for name in weights:
        typed[name, TensorProto.FLOAT] = name

    # The graph's outputs keep their names for the type they are given out in.
    given_out = {
        value.name: TensorProto.FLOAT16 if value.name in half_tensors else TensorProto.FLOAT
        for value in model.graph.output
        if value.name in floats
    }

    def in_type(name: str, wanted: int) -> str:
        """`name` in the type `wanted`, with a Cast or another copy of the weight where there is none yet."""
        if (name, wanted) not in typed:
            cast_name = f"{name}/{'half' if wanted == TensorProto.FLOAT16 else 'float'}"
            cast_name = name if given_out.get(name) == wanted else cast_name
            if name in weights:
                array = np.clip(numpy_helper.to_array(weights[name]), -_MOST, _MOST)
                graph.graph.initializer.append(numpy_helper.from_array(array.astype(np.float16), cast_name))
            else:
                (other,) = (typed[key] for key in typed if key[0] == name)
                graph.graph.node.append(
                    helper.make_node("Cast", [other], [cast_name], name=f"cast_{cast_name}", to=wanted)
                )
            typed[name, wanted] = cast_name
        return typed[name, wanted]

    for node in model.graph.node:
        touches = [name for name in (*node.input, *node.output) if name in floats or name in weights]
        kept = node.op_type in KEPT_KINDS or node.output[0] in keep_nodes
        wanted = TensorProto.FLOAT if kept else TensorProto.FLOAT16
        new = onnx.NodeProto()
        new.CopyFrom(node)
        if touches:
            new.input[:] = [in_type(n, wanted) if n in floats or n in weights else n for n in node.input]
            for position, name in enumerate(node.output):
                if name in floats:
                    new.output[position] = name if given_out.get(name, wanted) == wanted else f"{name}/inner"
                    typed[name, wanted] = new.output[position]
            if node.op_type == "Cast" and wanted == TensorProto.FLOAT16:
                for attribute in new.attribute:
                    if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                        attribute.i = TensorProto.FLOAT16
            for attribute in new.attribute:
                if attribute.name == "value" and attribute.t.data_type == TensorProto.FLOAT and not kept:
                    array = numpy_helper.to_array(attribute.t)
                    attribute.t.CopyFrom(numpy_helper.from_array(array.astype(np.float16)))
        graph.graph.node.append(new)
    for name, kind in given_out.items():
        in_type(name, kind)
    for value in (*graph.graph.input, *graph.graph.output):
        if value.name in half_tensors:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
    del graph.graph.value_info[:]
    prune(graph)
    share_weights(graph)
    onnx.checker.check_model(graph, full_check=True)
    return graph


def with_rounding(model: onnx.ModelProto) -> onnx.ModelProto:
    """A mixed-precision graph for measuring on a CPU: every float16 result is really rounded to float16.

    ONNX Runtime's CPU kernels compute in float32 and its optimiser drops the casts between them, so that the graph as
    it is would look better than a GPU makes it. A `Max` of one operand, which it runs in float16, keeps each rounding.
    """
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    halves = {v.name for v in inferred.graph.value_info if v.type.tensor_type.elem_type == TensorProto.FLOAT16}
    rounded = onnx.ModelProto()
    rounded.CopyFrom(model)
    del rounded.graph.node[:]
    for node in model.graph.node:
        new = onnx.NodeProto()
        new.CopyFrom(node)
        made = [name for name in node.output if name in halves]
        new.output[:] = [f"{name}/unrounded" if name in halves else name for name in node.output]
        rounded.graph.node.append(new)
        rounded.graph.node.extend(helper.make_node("Max", [f"{name}/unrounded"], [name]) for name in made)
    return rounded
