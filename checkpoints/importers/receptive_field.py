"""How far a convolutional network looks to either side of each output sample."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import onnx
from onnx import helper

from commentary_llm.ground.errors import ArtifactError

# These map position t of their input to position t of their output.
_POINTWISE = {"Add", "Div", "Identity", "LeakyRelu", "Mul", "Relu", "Sub", "Tanh", "Unsqueeze"}


def receptive_field(model: onnx.ModelProto) -> tuple[int, int]:
    """Input frames before and after a frame that the output samples of that frame depend on.

    For one-dimensional convolutions and transposed convolutions with pointwise operations between them. Cutting the
    input with that many frames of context on each side gives the same output as the whole input, up to the order of
    floating-point sums. Raises ArtifactError for an operation whose reach is not known.
    """
    # Per tensor: samples a frame, and reach before and after in frames, exact.
    reach = {model.graph.input[0].name: (1, Fraction(0), Fraction(0))}
    for node in model.graph.node:
        known = [reach[name] for name in node.input if name in reach]
        if not known:
            continue  # works on weights alone
        rate = known[0][0]
        before, after = max(item[1] for item in known), max(item[2] for item in known)
        if node.op_type in ("Conv", "ConvTranspose"):
            attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
            stride = attributes.get("strides", [1])[0]
            dilation = attributes.get("dilations", [1])[0]
            pad = attributes.get("pads", [0, 0])[0]
            span = dilation * (attributes["kernel_shape"][0] - 1)
            if node.op_type == "Conv":
                # y[t] reads x[t - pad] … x[t - pad + span]
                if stride != 1:
                    raise ArtifactError(f"{node.name}: found a convolution of stride {stride}, expected 1 in a decoder")
                before, after = before + Fraction(pad, rate), after + Fraction(span - pad, rate)
            else:
                # y[t] reads x[(t + pad - span) / stride] … x[(t + pad) / stride]
                rate *= stride
                before, after = before + Fraction(span - pad, rate), after + Fraction(pad, rate)
        elif node.op_type not in _POINTWISE:
            raise ArtifactError(f"{node.name}: {node.op_type} in the decoder; expected convolutions and pointwise ops")
        reach[node.output[0]] = (rate, before, after)
    rate, before, after = reach[model.graph.output[0].name]
    # Sample t reads frames from t / rate - before to t / rate + after: a frame's first and last samples count.
    return floor(before), floor(after + Fraction(rate - 1, rate))
