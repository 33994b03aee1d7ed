"""Engines are really built here, by TensorRT-RTX, which needs no GPU for that; loading them does."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from small_network import small_model

from asr_tts.runtime import open_runtime
from asr_tts.runtime.engine_card import EngineCard
from checkpoints.__main__ import main
from checkpoints.engines import quantize
from checkpoints.engines.builder import build_engine, check_target
from checkpoints.engines.half import to_half
from commentary_llm.artifacts.manifest import load_manifest
from commentary_llm.artifacts.speech_engines import load_engines
from commentary_llm.ground.errors import ArtifactError, ConfigError
from commentary_llm.ground.home import ASR_MODEL, TTS_MODEL, models_dir
from commentary_llm.settings import EngineConfig
from commentary_llm.speech import load_recognizer, load_voice

rtx = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: `pip install 'commentary-llm[rtx]'`")

NAMES = ("asr/encoder", "asr/decoder", "tts/text_encoder", "tts/decoder")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All engines for compute capability 8.9 in float16, by the command."""
    folder = tmp_path_factory.mktemp("engines") / "sm89"
    command = ["engines", "build", "--runtime", "tensorrt_rtx", "--compute-capability", "8.9", "--out", str(folder)]
    assert main(command) == 0
    return folder


@pytest.mark.models
def test_all_engines_are_built(built: Path) -> None:
    manifest = load_manifest(built, kind="speech-engines", verify="sha256")
    assert (manifest.gpu_compute_capability, manifest.dtype) == ("8.9", "fp16")
    assert manifest.extra["runtime"] == "tensorrt_rtx"
    assert manifest.extra["runtime_version"] == rtx.__version__ == manifest.tools["tensorrt-rtx"]
    assert [upstream.name for upstream in manifest.built_from] == [ASR_MODEL, TTS_MODEL]
    assert "--compute-capability 8.9 --precision fp16" in manifest.command
    assert tuple(manifest.extra["networks"]) == NAMES
    for name, network in manifest.extra["networks"].items():
        card = EngineCard.read(built / f"{name}.engine")
        assert card.sha256 == manifest.files[f"{name}.engine"].sha256
        assert (card.library, card.library_version, card.compute_capability) == ("tensorrt_rtx", rtx.__version__, "8.9")
        model = models_dir() / (ASR_MODEL if name.startswith("asr") else TTS_MODEL)
        imported = load_manifest(model).files[network["source"]]
        assert network["source_sha256"] == imported.sha256 == card.source_sha256
        # A plan holds the weights: float16 ones at least, and not several times as many.
        assert 0.3 < network["bytes"] / imported.bytes < 4
        assert network["network_layers"] > 100
    tensors = {
        name: {**network["inputs"], **network["outputs"]} for name, network in manifest.extra["networks"].items()
    }
    assert tensors["asr/encoder"]["mel"] == ["float32", [1, 80, 1100]]
    assert tensors["asr/encoder"]["cross_key_3"] == ["float16", [1, 6, 64, 550]]
    assert (
        tensors["asr/decoder"]["past_cache"] == tensors["asr/decoder"]["present_cache"] == ["float16", [8, 6, 112, 64]]
    )
    assert tensors["asr/decoder"]["logits"] == ["float32", [1, 1, 51864]]
    assert tensors["tts/text_encoder"]["input"] == ["int64", [1, 128]]
    assert tensors["tts/text_encoder"]["latent"] == ["float32", [1, 192, 448]]
    assert tensors["tts/decoder"]["pcm"] == ["float32", [1, 1, 1, -1]]
    profiles = manifest.extra["networks"]["tts/decoder"]["profiles"]
    assert [profile["latent"][2] for profile in profiles] == [23, 46, 70, 118]


@pytest.mark.models
def test_loading_refuses_each_mismatch(built: Path, tmp_path: Path) -> None:
    command = re.escape("`python -m checkpoints engines build --runtime tensorrt_rtx --compute-capability 8.9")
    assert load_engines(built, "tensorrt_rtx").window_s == 10.0
    with pytest.raises(ArtifactError, match=f"runtime tensorrt_rtx, tensorrt was asked for.*{command}"):
        load_engines(built, "tensorrt")
    with pytest.raises(ArtifactError, match="does not exist; build it with `python -m checkpoints engines build`"):
        load_engines(tmp_path / "absent", "tensorrt_rtx")
    changed = tmp_path / "changed"
    shutil.copytree(built, changed)
    card = changed / "asr" / "encoder.engine.json"
    card.write_text(card.read_text().replace('"8.9"', '"8.6"'))
    with pytest.raises(ArtifactError, match=rf"asr/encoder\.engine\.json is corrupted .*{command}"):
        load_engines(changed, "tensorrt_rtx")
    (changed / "tts" / "decoder.engine").unlink()
    with pytest.raises(ArtifactError, match=rf"tts/decoder\.engine is missing.*{command}"):
        load_engines(changed, "tensorrt_rtx")
    manifest = json.loads((built / "manifest.json").read_text())
    manifest["built_from"][0]["digest"] = "0" * 64
    (changed / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=f"stale: made from whisper-onnx 000000000000.*{command}"):
        load_engines(changed, "tensorrt_rtx")


@pytest.mark.models
def test_the_engine_opens_them_or_says_why_not(built: Path) -> None:
    with pytest.raises(ConfigError, match=r"tensorrt_rtx needs built engines; name their folder as speech_engines"):
        load_voice(EngineConfig(speech_runtime="tensorrt_rtx").station)
    config = EngineConfig(speech_runtime="tensorrt_rtx", speech_engines=str(built)).station
    if shutil.which("nvidia-smi"):
        pytest.skip("there is a GPU here; tests/gpu runs the engines")
    for load in (load_voice, load_recognizer):
        with pytest.raises(ConfigError, match=r"no NVIDIA GPU can be used here|cuda-python cannot be imported"):
            load(config)


@pytest.mark.models
def test_inspect_says_what_is_known_without_a_gpu(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engines", "inspect", str(built)]) == 0
    out = capsys.readouterr().out
    report = json.loads(out.splitlines()[-1])
    assert tuple(report["engines"]) == NAMES
    assert "input mel: float32 (1, 80, 1100)" in out
    for engine in report["engines"].values():
        assert engine["graph_nodes"]["float16"] > 50
        if engine["inspector"] is None:
            assert "layers after fusion and memory are not known here: " + engine["inspector_missing"] in out


@pytest.mark.parametrize("compute_capability", ["8.6", "12.0"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_small_engines_for_other_gpus(tmp_path: Path, compute_capability: str, precision: str) -> None:
    from asr_tts.runtime.tensorrt_library import open_library

    model = small_model()
    source = tmp_path / "small.onnx"
    onnx.save(model, source)
    if precision == "int8":
        layers = quantize.quantizable(model)
        observer = quantize.RangeObserver(model, layers, "small", 1)
        observer.run({"x": np.ones((1, 4, 16), np.float32)})
        model = quantize.insert_qdq(model, layers, observer.ranges())
    if precision != "fp32":
        model = to_half(model, half_tensors={"cross_0"})
    engine = build_engine(open_library("tensorrt_rtx"), model, source, compute_capability, precision, "rebuild")
    assert len(engine.plan) > 1000
    assert engine.card.inputs == {"x": ("float32", (1, 4, 16))}
    assert engine.card.outputs["cross_0"] == ("float32" if precision == "fp32" else "float16", (1, 4, 16))
    path = tmp_path / "small.engine"
    path.write_bytes(engine.plan)
    engine.card.write(path)
    assert EngineCard.read(path) == engine.card
    replace(engine.card, library="tensorrt").write(path)
    with pytest.raises(
        ArtifactError, match=r"built by tensorrt \S+, this run uses tensorrt_rtx\. Rebuild with `rebuild`"
    ):
        open_runtime(path, "tensorrt_rtx")


def test_what_cannot_be_built_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from asr_tts.runtime.tensorrt_library import open_library

    library = open_library("tensorrt_rtx")
    with pytest.raises(ConfigError, match=r"--compute-capability 9\.0: TensorRT-RTX \S+ builds for 7\.5, .* 12\.1"):
        check_target(library, "9.0")
    model = small_model()
    source = tmp_path / "small.onnx"
    onnx.save(model, source)
    del model.metadata_props[:]
    with pytest.raises(ArtifactError, match="'small': the graph names no input shapes"):
        build_engine(library, model, source, "8.9", "fp32", "rebuild")
    broken = small_model()
    broken.graph.node[0].op_type = "Unheard"
    with pytest.raises(ArtifactError, match=r"'small': tensorrt_rtx .* does not take the graph: .*Unheard"):
        build_engine(library, broken, source, "8.9", "fp32", "rebuild")
    with pytest.raises(SystemExit):
        main(["engines", "build", "--runtime", "tensorrt_rtx", "--compute-capability", "89"])
    assert "'89' is not a compute capability" in capsys.readouterr().err


def test_supported_gpus_are_those_of_the_library() -> None:
    from checkpoints.engines.builder import COMPUTE_CAPABILITIES

    known = {name for name in dir(rtx.ComputeCapability) if re.fullmatch(r"SM\d+", name)}
    assert {f"SM{text.replace('.', '')}" for text in COMPUTE_CAPABILITIES} == known
