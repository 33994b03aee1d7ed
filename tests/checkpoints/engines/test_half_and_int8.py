from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto, helper, numpy_helper
from small_network import HIDDEN, inputs, small_model

from checkpoints.engines import voice, whisper
from checkpoints.engines.builder import node_types
from checkpoints.engines.convert import Conversion, int8_layers_of, open_model
from checkpoints.engines.half import to_half, with_rounding
from checkpoints.engines.quantize import RangeObserver, _Histogram, insert_qdq, quantizable, quantize_weight
from commentary_llm.ground.errors import ArtifactError, ConfigError


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    return {
        value.name: value.type.tensor_type.elem_type for value in (*inferred.graph.value_info, *inferred.graph.output)
    }


def test_half_keeps_what_must_stay_float() -> None:
    half = to_half(small_model(), keep_nodes={"y"}, half_tensors={"cross_0"})
    types = types_of(half)
    assert {name: types[name] for name in ("a", "p", "b", "n", "y", "cross_0")} == {
        "a": TensorProto.FLOAT16,
        "p": TensorProto.FLOAT,
        "b": TensorProto.FLOAT16,
        "n": TensorProto.FLOAT,
        "y": TensorProto.FLOAT,
        "cross_0": TensorProto.FLOAT16,
    }
    assert [spec.type.tensor_type.elem_type for spec in half.graph.input] == [TensorProto.FLOAT]
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in half.graph.initializer}
    assert all(np.isfinite(weight).all() for weight in weights.values())
    assert half.metadata_props == small_model().metadata_props
    assert node_types(half) == {"float16": 4, "float32": 3}


def test_half_is_close_and_its_rounding_is_real() -> None:
    model = small_model()
    exact = open_model(model, "exact", 1).run(inputs())
    half = to_half(model, keep_nodes={"y", "scaled"})
    rounded = open_model(with_rounding(half), "rounded", 1).run(inputs())
    cross = np.asarray(rounded["cross_0"])
    np.testing.assert_allclose(cross, np.asarray(exact["cross_0"]), atol=5e-3)
    # Rounded for good: every value is a float16. Without `with_rounding` ONNX Runtime's CPU kernels keep more.
    np.testing.assert_array_equal(cross, cross.astype(np.float16).astype(np.float32))
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}

    def half_of(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float16).astype(np.float32)

    a = half_of(half_of(inputs()["x"]) @ half_of(weights["w1"]))
    chain = onnx.helper.make_graph(
        [helper.make_node("MatMul", ["x", "w1"], ["a"])],
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, HIDDEN])],
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 4, HIDDEN])],
        [tensor for tensor in model.graph.initializer if tensor.name == "w1"],
    )
    single = helper.make_model(chain, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    found = open_model(with_rounding(to_half(single)), "chain", 1).run(inputs())["a"]
    np.testing.assert_allclose(np.asarray(found), a, atol=2e-3)


@given(
    arrays.arrays(np.float32, (4, 6), elements=st.floats(-8, 8, width=32)),
    st.sampled_from([0, 1]),
)
def test_weights_quantise_symmetrically(weight: np.ndarray, axis: int) -> None:
    integers, scales = quantize_weight(weight, axis)
    assert integers.dtype == np.int8
    assert np.abs(integers.astype(int)).max(initial=0) <= 127
    spread = scales.reshape(-1, 1) if axis == 0 else scales
    assert (np.abs(integers * spread - weight) <= spread * 0.5001).all()
    np.testing.assert_array_equal(quantize_weight(-weight, axis)[0], -integers)


@given(st.lists(arrays.arrays(np.float32, 50, elements=st.floats(-1e3, 1e3, width=32)), min_size=1, max_size=6))
@example([np.full(50, 2.0**-126, np.float32)])  # once fell into a negative bin
def test_the_histogram_knows_its_quantiles(batches: list[np.ndarray]) -> None:
    histogram = _Histogram()
    for batch in batches:
        histogram.add(batch)
    every = np.abs(np.concatenate(batches))
    assert histogram.most == every.max()
    if histogram.most:
        assert histogram.quantile(1.0) == pytest.approx(every.max(), rel=2e-3)
        half = histogram.quantile(0.5)
        assert np.mean(every <= half) >= 0.5
        assert np.mean(every < half - 2 * 2 * every.max() / 4096) <= 0.5 + 1e-9


def test_int8_is_close_and_stays_int8_in_a_float16_graph() -> None:
    model = small_model()
    layers = quantizable(model)
    assert layers == ["a", "cross_0"]
    observer = RangeObserver(model, layers, "small", 1)
    with pytest.raises(ArtifactError, match="held nothing but zeros; run speech through"):
        observer.ranges()
    exact = [observer.run(inputs(seed)) for seed in range(20)]
    assert {spec.name for spec in observer.outputs} == {"y", "cross_0"} == exact[0].keys()
    quantized = insert_qdq(model, layers, observer.ranges())
    integers = [t for t in quantized.graph.initializer if t.data_type == TensorProto.INT8 and len(t.dims) == 2]
    assert len(integers) == 2
    half = to_half(quantized, keep_nodes={"y", "scaled"})
    assert node_types(half)["int8"] == 2
    scales = {tensor.name: tensor.data_type for tensor in half.graph.initializer if "scale" in tensor.name}
    assert set(scales.values()) == {TensorProto.FLOAT16}
    zeros = [numpy_helper.to_array(t) for t in half.graph.initializer if "zero" in t.name]
    assert zeros
    assert not any(zero.any() for zero in zeros)
    found = open_model(with_rounding(half), "int8", 1).run(inputs(3))["cross_0"]
    wanted = np.asarray(exact[3]["cross_0"])
    error = np.linalg.norm(np.asarray(found) - wanted) / np.linalg.norm(wanted)
    assert 1e-4 < error < 0.03


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="precision is 'int4'; expected one of fp32, fp16, int8"):
        Conversion(tmp_path, tmp_path, "int4")
    with pytest.raises(ConfigError, match="8 phoneme ids a clause; expected 16 to 512"):
        Conversion(tmp_path, tmp_path, text_ids=8)


@pytest.mark.models
def test_which_parts_are_converted(fixed_networks: dict[str, onnx.ModelProto]) -> None:
    text = fixed_networks["tts/text_encoder"]
    types = types_of(to_half(text, voice.float_nodes(text)))
    made_by = {output: node for node in text.graph.node for output in node.output}
    assert types["durations"] == TensorProto.FLOAT
    pending, seen = ["durations"], set()
    while pending:
        name = pending.pop()
        if name in made_by and name not in seen:
            seen.add(name)
            pending.extend(made_by[name].input)
    assert all(types.get(name, TensorProto.FLOAT) != TensorProto.FLOAT16 for name in seen)
    flow = [
        name for name in types if name.startswith("/flow/") and made_by.get(name, text.graph.node[0]).op_type == "Conv"
    ]
    assert len(flow) > 30
    assert {types[name] for name in flow} == {TensorProto.FLOAT16}
    decoder = fixed_networks["tts/decoder"]
    assert types_of(to_half(decoder, voice.pcm_nodes(decoder)))["pcm"] == TensorProto.FLOAT
    for name in ("asr/encoder", "asr/decoder"):
        model = fixed_networks[name]
        resident = whisper.resident_tensors(model)
        assert {spec.name for spec in model.graph.output} - resident == ({"logits"} if "decoder" in name else set())
        # 6 products a decoder layer, 4 an encoder layer, and the cross-attention's two for each decoder layer.
        assert len(int8_layers_of(name, model)) == 24
    assert int8_layers_of("tts/decoder", decoder) == []
