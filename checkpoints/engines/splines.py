"""Takes `NonZero` out of VITS' spline flows.

The duration predictor bends values inside [-B, B] by a rational-quadratic spline and leaves those outside alone
("linear tails"). The published graph picks the inside values by `NonZero` and `GatherND`, bends them and scatters
them back; their number is known only while the graph runs, which TensorRT-RTX rejects. Here every value is bent, those
outside after being clamped to the interval so that nothing overflows, and a `Where` chooses per value. The formulas,
their order and their constants are those of the published graph, so the numbers are the same.

Durkan et al., Neural Spline Flows (2019), equations 6-8 (inverse direction); VITS `transforms.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from checkpoints.engines.graph import GraphBuilder, constants, consumers, producers, prune, sorted_nodes
from commentary_llm.ground.errors import ArtifactError

_LEAST = 0.001  # of a bin's width, height and slope (VITS: DEFAULT_MIN_BIN_WIDTH, _HEIGHT, _DERIVATIVE)
_EDGE = 1e-6  # added to the last knot, so that the interval's end falls into the last bin


@dataclass(frozen=True)
class Spline:
    """Tensors of one spline: `value` (1, 1, T); `widths`, `heights` (1, 1, T, K); `slopes` (1, 1, T, K - 1)."""

    value: str
    widths: str
    heights: str
    slopes: str
    edge_slope: float  # of both ends, before softplus: there the tails go on as straight lines of slope 1
    bound: float
    bins: int
    length: int  # T
    result: str


def dense_splines(model: onnx.ModelProto) -> int:
    """Rewrites every spline of a folded text encoder in place; returns how many there were.

    Raises ArtifactError when the graph has `NonZero` nodes of another form.
    """
    found = find_splines(model)
    for number, spline in enumerate(found):
        builder = GraphBuilder(f"dense_spline_{number}")
        write_spline(builder, spline)
        for node in model.graph.node:
            node.output[:] = [f"{spline.result}/replaced" if value == spline.result else value for value in node.output]
        builder.insert(model, 0)
    sorted_nodes(model)
    prune(model)
    left = [node.name for node in model.graph.node if node.op_type == "NonZero"]
    if left:
        raise ArtifactError(f"text encoder: NonZero in {left[0]!r} is not part of a spline flow of VITS")
    return len(found)


def find_splines(model: onnx.ModelProto) -> list[Spline]:
    """The splines of a folded text encoder as it was published. Raises ArtifactError for one of another form."""
    return [_read(model, node) for node in model.graph.node if node.op_type == "NonZero" and _from_and(model, node)]


def _from_and(model: onnx.ModelProto, node: onnx.NodeProto) -> bool:
    """The inside mask is `And(x >= -B, x <= B)`; other NonZero nodes of the flow go with it."""
    made_by = producers(model)
    source = made_by.get(node.input[0])
    gathers = [c for t in consumers(model).get(node.output[0], []) for c in consumers(model).get(t.output[0], [])]
    return source is not None and source.op_type == "And" and sum(c.op_type == "GatherND" for c in gathers) == 4


def _read(model: onnx.ModelProto, nonzero: onnx.NodeProto) -> Spline:
    """The spline whose inside values `nonzero` picks."""
    made_by, readers, known = producers(model), consumers(model), constants(model)
    expected = "expected the spline flow of a Piper VITS export"
    transpose = readers[nonzero.output[0]][0]
    picked = [node.input[0] for node in readers[transpose.output[0]] if node.op_type == "GatherND"]
    parts: dict[int, str] = {}  # first channel -> tensor
    value = slopes = edge = None
    for tensor in picked:
        node = made_by[tensor]
        if node.op_type == "Div" and made_by[node.input[0]].op_type == "Slice":
            parts[int(known[made_by[node.input[0]].input[1]][0])] = tensor
        elif node.op_type == "ScatterND":
            while node.op_type == "ScatterND":
                edge = known.get(node.input[2])
                node = made_by[node.input[0]]
            slopes = node.input[0] if node.op_type == "Pad" else None
        else:
            value = tensor
    compare = made_by[made_by[nonzero.input[0]].input[0]]
    bound = known.get(compare.input[1])
    scatter = next(
        (node for node in readers[_transposed(readers, made_by, nonzero)] if node.op_type == "ScatterND"), None
    )
    if len(parts) != 2 or value is None or slopes is None or edge is None or bound is None or scatter is None:
        raise ArtifactError(f"text encoder: {nonzero.name!r} picks {picked}; {expected}")
    return Spline(
        value=value,
        widths=parts[0],
        heights=parts[max(parts)],
        slopes=slopes,
        edge_slope=float(edge.reshape(-1)[0]),
        bound=abs(float(bound.reshape(-1)[0])),
        bins=max(parts),
        length=edge.size,
        result=scatter.output[0],
    )


def _transposed(
    readers: dict[str, list[onnx.NodeProto]], made_by: dict[str, onnx.NodeProto], mask: onnx.NodeProto
) -> str:
    """Indices of the inside values where they are scattered back: NonZero of the same mask, expanded."""
    for node in readers[mask.input[0]]:
        if node.op_type == "Expand":
            nonzero = readers[node.output[0]][0]
            return str(readers[nonzero.output[0]][0].output[0])
    return str(readers[mask.output[0]][0].output[0])


def write_spline(builder: GraphBuilder, spline: Spline) -> None:
    """The inverse spline with linear tails, for all values at once, into `spline.result`."""
    op, number = builder.op, builder.constant
    inside = op(
        "And",
        [
            op("GreaterOrEqual", [spline.value, number(-spline.bound)]),
            op("LessOrEqual", [spline.value, number(spline.bound)]),
        ],
    )
    clamped = op("Clip", [spline.value, number(-spline.bound), number(spline.bound)])
    value = op("Unsqueeze", [clamped, number([3])])
    left_x, _, width = _knots(builder, spline.widths, spline)
    left_y, right_y, height = _knots(builder, spline.heights, spline)
    edge = number(np.full((1, 1, spline.length, 1), spline.edge_slope, np.float32))
    slopes = op("Softplus", [op("Concat", [edge, spline.slopes, edge], axis=3)])
    slopes = op("Add", [slopes, number(_LEAST)])
    tangents = op("Div", [height, width])

    # The bin that holds the value: the last whose left knot is not above it. The interval's end is in the last bin.
    knots = op("Concat", [left_y, op("Add", [_part(builder, right_y, spline.bins - 1), number(_EDGE)])], axis=3)
    reached = op("Cast", [op("GreaterOrEqual", [value, knots])], to=onnx.TensorProto.INT64)
    bin_number = op("Sub", [op("ReduceSum", [reached, number([3])], keepdims=1), number([1])])

    def of_bin(tensor: str) -> str:
        return op("GatherElements", [tensor, bin_number], axis=3)

    delta, bin_height, slope = of_bin(tangents), of_bin(height), of_bin(slopes)
    slope_right = of_bin(_part(builder, slopes, 1, spline.bins + 1))
    above = op("Sub", [value, of_bin(left_y)])
    curve = op("Mul", [above, op("Sub", [op("Add", [slope, slope_right]), op("Mul", [delta, number(2.0)])])])
    a = op("Add", [curve, op("Mul", [bin_height, op("Sub", [delta, slope])])])
    b = op("Sub", [op("Mul", [bin_height, slope]), curve])
    c = op("Mul", [op("Neg", [delta]), above])
    four_ac = op("Mul", [op("Mul", [a, number(4.0)]), c])
    discriminant = op("Sub", [op("Mul", [b, b]), four_ac])
    # Never below 0 but for rounding.
    root = op("Sqrt", [op("Max", [discriminant, number(0.0)])])
    place = op("Div", [op("Mul", [c, number(2.0)]), op("Sub", [op("Neg", [b]), root])])
    bent = op("Add", [op("Mul", [place, of_bin(width)]), of_bin(left_x)])
    op("Where", [inside, op("Squeeze", [bent, number([3])]), spline.value], spline.result)


def _knots(builder: GraphBuilder, raw: str, spline: Spline) -> tuple[str, str, str]:
    """Left knots, right knots and sizes of the bins, (1, 1, T, K) each, that the network's `raw` numbers stand for."""
    op, number = builder.op, builder.constant
    rest = float(np.float32(1.0) - np.float32(spline.bins) * np.float32(_LEAST))
    sizes = op("Add", [op("Mul", [op("Softmax", [raw], axis=3), number(rest)]), number(_LEAST)])
    sums = op("CumSum", [sizes, number(3)])
    inner = op("Mul", [_part(builder, sums, 0, spline.bins - 1), number(2 * spline.bound)])
    inner = op("Add", [inner, number(-spline.bound)])
    low, high = (
        number(np.full((1, 1, spline.length, 1), bound, np.float32)) for bound in (-spline.bound, spline.bound)
    )
    left, right = op("Concat", [low, inner], axis=3), op("Concat", [inner, high], axis=3)
    return left, right, op("Sub", [right, left])


def _part(builder: GraphBuilder, tensor: str, start: int, stop: int | None = None) -> str:
    """tensor[..., start:stop]; one column when `stop` is left out."""
    number = builder.constant
    return builder.op("Slice", [tensor, number([start]), number([stop or start + 1]), number([3])])
