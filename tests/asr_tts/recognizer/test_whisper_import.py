from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import onnx
import pytest

from asr_tts.recognizer.model_config import WhisperConfig
from asr_tts.runtime import open_runtime
from checkpoints.importers.ctranslate2_file import read_variables
from checkpoints.importers.whisper import import_whisper
from commentary_llm.ground.errors import ArtifactError, ConfigError, EngineError

TYPE_IDS = {"float32": 0, "int8": 1, "int16": 2, "float16": 4}


def model_bin(variables: dict[str, np.ndarray], specification: str = "WhisperSpec", version: int = 6) -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    out = struct.pack("<I", version) + text(specification) + struct.pack("<II", 3, len(variables))
    for name, value in variables.items():
        out += text(name) + struct.pack("<B", value.ndim) + struct.pack(f"<{value.ndim}I", *value.shape)
        out += struct.pack("<BI", TYPE_IDS[value.dtype.name], value.nbytes) + value.tobytes()
    return out + struct.pack("<I", 1) + text("decoder/projection/weight") + text("decoder/embeddings/weight")


def small_weights(hidden: int = 32, mels: int = 8, vocabulary: int = 60) -> dict[str, np.ndarray]:
    """A Whisper of one layer a side with 2 heads of 16."""
    generator = np.random.default_rng(1)

    def values(*shape: int) -> np.ndarray:
        return (generator.standard_normal(shape) * 0.2).astype(np.float16)

    weights = {
        "encoder/conv1/weight": values(hidden, mels, 3),
        "encoder/conv1/bias": values(hidden),
        "encoder/conv2/weight": values(hidden, hidden, 3),
        "encoder/conv2/bias": values(hidden),
        "encoder/position_encodings/encodings": values(20, hidden),
        "decoder/position_encodings/encodings": values(12, hidden),
        "decoder/embeddings/weight": values(vocabulary, hidden),
        "decoder/num_heads": np.array(2, np.int16),
        "decoder/activation": np.array(3, np.int8),
    }
    sizes = {"linear_0": (3 * hidden, hidden), "linear_1": (hidden, hidden)}
    cross = {"linear_0": (hidden, hidden), "linear_1": (2 * hidden, hidden), "linear_2": (hidden, hidden)}
    inner = {"linear_0": (4 * hidden, hidden), "linear_1": (hidden, 4 * hidden)}
    for side in ("encoder", "decoder"):
        parts = {"self_attention": sizes, "ffn": inner} | ({"attention": cross} if side == "decoder" else {})
        for prefix in (side, *(f"{side}/layer_0/{part}" for part in parts)):
            weights[f"{prefix}/layer_norm/gamma"] = values(hidden) + np.float16(1)
            weights[f"{prefix}/layer_norm/beta"] = values(hidden)
        for part, shapes in parts.items():
            for name, shape in shapes.items():
                weights[f"{side}/layer_0/{part}/{name}/weight"] = values(*shape)
                weights[f"{side}/layer_0/{part}/{name}/bias"] = values(shape[0])
    return weights


def write_source(folder: Path, data: bytes) -> Path:
    folder.mkdir()
    (folder / "model.bin").write_bytes(data)
    special = ("endoftext", "startoftranscript", "nocaptions", "notimestamps")
    tokens = [{"id": 50 + index, "content": f"<|{name}|>"} for index, name in enumerate(special)]
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
    (folder / "config.json").write_text(json.dumps({"suppress_ids": [1, 51], "suppress_ids_begin": [2]}))
    return folder


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    target = tmp_path / "target"
    target.mkdir()
    import_whisper(write_source(tmp_path / "source", model_bin(small_weights())), target)
    return target


def test_writes_graphs_and_config(imported: Path) -> None:
    assert sorted(path.name for path in imported.iterdir()) == [
        "config.json",
        "decoder.onnx",
        "encoder.onnx",
        "tokenizer.json",
    ]
    config = WhisperConfig.read(imported / "config.json")
    assert (config.mels, config.heads, config.head_size, config.vocabulary) == (8, 2, 16, 60)
    assert config.prompt_ids == (51, 53)
    assert (config.start_id, config.end_id, config.no_speech_id, config.max_frames) == (51, 50, 52, 40)
    for name in ("encoder.onnx", "decoder.onnx"):
        graph = onnx.load(imported / name)
        assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", 17)]


def test_tokens_may_come_together_or_one_by_one(imported: Path) -> None:
    encoder, decoder = (open_runtime(imported / f"{name}.onnx") for name in ("encoder", "decoder"))
    mel = np.random.default_rng(2).standard_normal((2, 8, 31)).astype(np.float32)
    cross = encoder.run({"mel": mel})
    assert cross["cross_key_0"].shape == (2, 2, 16, 16)
    tokens = np.array([[51, 53, 4, 9, 30], [51, 53, 7, 7, 1]])
    empty = np.zeros((2, 2, 0, 16), np.float32)

    def steps(*sizes: int) -> np.ndarray:
        cache, place, logits = {"past_key_0": empty, "past_value_0": empty}, 0, []
        for size in sizes:
            out = decoder.run({"tokens": tokens[:, place : place + size], **cache, **cross})
            logits.append(out["logits"])
            cache = {f"past_{kind}_0": out[f"present_{kind}_0"] for kind in ("key", "value")}
            place += size
        return np.concatenate(logits, axis=1)

    together = steps(5)
    np.testing.assert_allclose(steps(1, 1, 1, 1, 1), together, atol=2e-5)
    np.testing.assert_allclose(steps(2, 3), together, atol=2e-5)
    with pytest.raises(EngineError, match=r"'decoder': input 'tokens' is int32 \(2, 1\); expected int64 \(any, any\)"):
        decoder.run({"tokens": tokens[:, :1].astype(np.int32), **cross, "past_key_0": empty, "past_value_0": empty})
    with pytest.raises(EngineError, match=r"input 'mel' is float32 \(1, 9, 30\); expected float32 \(any, 8, any\)"):
        encoder.run({"mel": np.zeros((1, 9, 30), np.float32)})
    with pytest.raises(EngineError, match="'mel' is missing"):
        encoder.run({})
    with pytest.raises(EngineError, match=r"no input \['sound'\]"):
        encoder.run({"mel": mel, "sound": mel})


def test_runtime_refuses_what_it_cannot_load(tmp_path: Path, imported: Path) -> None:
    with pytest.raises(ConfigError, match="'openvino' is not known"):
        open_runtime(imported / "encoder.onnx", "openvino")
    with pytest.raises(ConfigError, match="threads is 0"):
        open_runtime(imported / "encoder.onnx", threads=0)
    with pytest.raises(ArtifactError, match="no file"):
        open_runtime(tmp_path / "absent.onnx")
    data = (imported / "encoder.onnx").read_bytes()
    (tmp_path / "half.onnx").write_bytes(data[: len(data) // 2])
    with pytest.raises(ArtifactError, match=r"half\.onnx does not load"):
        open_runtime(tmp_path / "half.onnx")


def test_reads_back_what_was_written() -> None:
    weights = small_weights()
    found = read_variables(model_bin(weights), "WhisperSpec", "model.bin")
    for name, value in weights.items():
        np.testing.assert_array_equal(found[name], value)
    np.testing.assert_array_equal(found["decoder/projection/weight"], weights["decoder/embeddings/weight"])


def test_refuses_other_files(tmp_path: Path) -> None:
    good = model_bin(small_weights())
    wrong_shape = {**small_weights(), "encoder/conv2/bias": np.zeros(31, np.float16)}
    quantised = {**small_weights(), "encoder/layer_0/ffn/linear_0/weight": np.zeros((128, 32), np.int8)}
    relu = {**small_weights(), "decoder/activation": np.array(0, np.int8)}
    cases = [
        (good[: len(good) // 2], "truncated"),
        (good + b"x", "1 bytes are left over"),
        (model_bin(small_weights(), version=5), "binary version 5; expected 6"),
        (
            model_bin(small_weights(), specification="TransformerSpec"),
            "'TransformerSpec' model; expected 'WhisperSpec'",
        ),
        (model_bin(wrong_shape), r"'encoder/conv2/bias' is float16 \(31,\)"),
        (model_bin(quantised), "'encoder/layer_0/ffn/linear_0/weight' is int8"),
        (model_bin(relu), "activation 0"),
    ]
    for number, (data, message) in enumerate(cases):
        target = tmp_path / f"target{number}"
        target.mkdir()
        with pytest.raises(ArtifactError, match=message):
            import_whisper(write_source(tmp_path / f"source{number}", data), target)
    (tmp_path / "empty.whl").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"empty\.whl: cannot be read as a package"):
        import_whisper(tmp_path / "empty.whl", tmp_path)
