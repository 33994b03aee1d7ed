"""The spline flow without NonZero: against equations 6-8 of Neural Spline Flows, and against the published graph."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from checkpoints.engines.graph import GraphBuilder, fold, prune, set_shapes
from checkpoints.engines.splines import Spline, dense_splines, find_splines, write_spline
from commentary_llm.ground.errors import ArtifactError
from commentary_llm.ground.home import TTS_MODEL, models_dir

LENGTH, BINS, BOUND = 24, 10, 5.0
EDGE = float(np.log(np.exp(1 - 0.001) - 1))


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def dense() -> onnxruntime.InferenceSession:
    builder = GraphBuilder("spline")
    write_spline(builder, Spline("value", "widths", "heights", "slopes", EDGE, BOUND, BINS, LENGTH, "result"))
    shapes = {"value": [LENGTH], "widths": [LENGTH, BINS], "heights": [LENGTH, BINS], "slopes": [LENGTH, BINS - 1]}
    graph = helper.make_graph(
        builder.nodes,
        "spline",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, *shape]) for name, shape in shapes.items()],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, 1, LENGTH])],
        builder.initializers,
    )
    return session(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8))


def reference(value: float, widths: np.ndarray, heights: np.ndarray, slopes: np.ndarray) -> float:
    """The inverse of a monotonic rational-quadratic spline with linear tails, float64, one value."""
    if not -BOUND <= value <= BOUND:
        return value

    def knots(raw: np.ndarray) -> np.ndarray:
        share = np.exp(raw - raw.max())
        sizes = 0.001 + (1 - 0.001 * BINS) * share / share.sum()
        return np.concatenate([[-BOUND], np.cumsum(sizes)[:-1] * 2 * BOUND - BOUND, [BOUND]])

    x, y = knots(widths), knots(heights)
    derivative = 0.001 + np.log1p(np.exp(np.concatenate([[EDGE], slopes, [EDGE]])))
    k = min(int(np.searchsorted(y, value, side="right")) - 1, BINS - 1)
    width, height = x[k + 1] - x[k], y[k + 1] - y[k]
    s = height / width
    bend = derivative[k + 1] + derivative[k] - 2 * s
    a = height * (s - derivative[k]) + (value - y[k]) * bend
    b = height * derivative[k] - (value - y[k]) * bend
    c = -s * (value - y[k])
    return float(x[k] + width * 2 * c / (-b - np.sqrt(b * b - 4 * a * c)))


def random_inputs(seed: int, spread: float) -> dict[str, np.ndarray]:
    """Values inside, outside and at the very ends of the interval."""
    rng = np.random.default_rng(seed)
    value = rng.uniform(-1.6 * BOUND, 1.6 * BOUND, LENGTH)
    value[:6] = [-BOUND, BOUND, np.nextafter(BOUND, 9), np.nextafter(-BOUND, -9), 0.0, 1e4]
    return {
        "value": value.astype(np.float32).reshape(1, 1, LENGTH),
        "widths": (spread * rng.standard_normal((1, 1, LENGTH, BINS))).astype(np.float32),
        "heights": (spread * rng.standard_normal((1, 1, LENGTH, BINS))).astype(np.float32),
        "slopes": (spread * rng.standard_normal((1, 1, LENGTH, BINS - 1))).astype(np.float32),
    }


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 3.0))
@example(0, 0.0)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equals_the_equations(dense: onnxruntime.InferenceSession, seed: int, spread: float) -> None:
    feeds = random_inputs(seed, spread)
    (found,) = dense.run(None, feeds)
    exact = [
        reference(*(feeds[name][0, 0, place].astype(np.float64) for name in ("value", "widths", "heights", "slopes")))
        for place in range(LENGTH)
    ]
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0, 0], exact, atol=3e-3 if spread > 1.5 else 2e-4)
    outside = np.abs(feeds["value"]) > BOUND
    np.testing.assert_array_equal(found[outside], feeds["value"][outside])


@pytest.fixture(scope="module")
def published() -> onnx.ModelProto:
    """The imported text encoder for LENGTH ids, folded, its splines as they came."""
    model = onnx.load(models_dir() / TTS_MODEL / "text_encoder.onnx")
    shapes = {
        "input": [1, LENGTH],
        "input_lengths": [1],
        "duration_noise": [1, 2, LENGTH],
        "latent_noise": [1, 192, 512],
    }
    set_shapes(model.graph.input, shapes)
    return fold(model, "text encoder")


def cut(model: onnx.ModelProto, spline: Spline) -> onnxruntime.InferenceSession:
    """The part of `model` between a spline's inputs and its result."""
    part = onnx.ModelProto()
    part.CopyFrom(model)
    shapes = {
        spline.value: [LENGTH],
        spline.widths: [LENGTH, BINS],
        spline.heights: [LENGTH, BINS],
        spline.slopes: [LENGTH, BINS - 1],
    }
    nodes = []
    for node in part.graph.node:
        node.output[:] = [f"{name}/unused" if name in shapes else name for name in node.output]
        nodes.append(node)
    del part.graph.input[:], part.graph.output[:], part.graph.value_info[:]
    part.graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, *shape]) for name, shape in shapes.items()
    )
    part.graph.output.append(helper.make_tensor_value_info(spline.result, TensorProto.FLOAT, [1, 1, LENGTH]))
    prune(part)
    return session(part)


@pytest.mark.models
def test_equals_the_published_graph(published: onnx.ModelProto) -> None:
    splines = find_splines(published)
    assert len(splines) == 3
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(published)
    assert dense_splines(rewritten) == 3
    assert not any(node.op_type in ("NonZero", "GatherND", "ScatterND") for node in rewritten.graph.node)
    for spline in splines:
        before, after = cut(published, spline), cut(rewritten, spline)
        for seed in range(40):
            feeds = random_inputs(seed, 0.1 + seed / 20)
            names = {"value": spline.value, "widths": spline.widths, "heights": spline.heights, "slopes": spline.slopes}
            values = {names[name]: value for name, value in feeds.items()}
            (expected,), (found,) = before.run(None, values), after.run(None, values)
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.models
def test_other_nonzero_nodes_are_refused(published: onnx.ModelProto) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(published)
    model.graph.node.append(helper.make_node("NonZero", ["latent"], ["stray"], name="stray"))
    model.graph.output.append(helper.make_tensor_value_info("stray", TensorProto.INT64, [3, "n"]))
    with pytest.raises(ArtifactError, match="NonZero in 'stray' is not part of a spline flow"):
        dense_splines(model)
