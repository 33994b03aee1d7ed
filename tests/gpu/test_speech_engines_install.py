"""Recogniser and voice on a real TensorRT install: built for the GPU at hand, then compared with ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soxr

from asr_tts.recognizer import open_recognizer, word_error_rate
from asr_tts.runtime.cuda import Cuda
from asr_tts.runtime.tensorrt_library import open_library
from asr_tts.synthesizer import PiperSynthesizer
from checkpoints.engines.artifact import Target, build_engines
from checkpoints.engines.builder import COMPUTE_CAPABILITIES
from checkpoints.engines.convert import Conversion
from checkpoints.engines.inspection import inspect_engines
from checkpoints.engines.losses import compare_voices
from checkpoints.progress import Reporter
from commentary_llm.artifacts.speech_engines import load_engines
from commentary_llm.ground.errors import CommentaryError
from commentary_llm.ground.home import ASR_MODEL, TTS_MODEL, models_dir
from commentary_llm.speech import speech_text_of

pytestmark = [pytest.mark.gpu, pytest.mark.models]
LINES = ["Goal!", "Messi scores from the penalty spot.", "The corner is cleared at the near post."]


@pytest.fixture(scope="module", params=["tensorrt_rtx", "tensorrt"])
def runtime(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    try:
        open_library(kind)
        present = Cuda().compute_capability
    except CommentaryError as error:
        pytest.skip(str(error))
    if kind == "tensorrt_rtx" and present not in COMPUTE_CAPABILITIES:
        pytest.skip(f"TensorRT-RTX does not run on compute capability {present}")
    return kind


@pytest.fixture(scope="module", params=["fp32", "fp16", "int8"])
def engines(request: pytest.FixtureRequest, runtime: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engines") / f"{runtime}-{request.param}"
    conversion = Conversion(models_dir() / ASR_MODEL, models_dir() / TTS_MODEL, request.param, threads=4)
    return build_engines(Target(runtime, Cuda().compute_capability, folder, "build"), conversion, Reporter())


def test_speaks_and_hears_like_onnx_runtime(runtime: str, engines: Path) -> None:
    loaded = load_engines(engines, runtime)
    exact = PiperSynthesizer.load(models_dir() / TTS_MODEL, speech_text_of)
    voice = PiperSynthesizer.load(engines / "tts", speech_text_of, runtime=runtime)
    voice.warm_up()
    distance = compare_voices(exact, voice, LINES)
    assert distance["lines_of_unequal_length"] == 0
    assert distance["log_mel_distance_db"] < 0.1
    recognizer = open_recognizer(engines / "asr", runtime=runtime, window_s=loaded.window_s)
    recognizer.warm_up()
    free = open_recognizer(models_dir() / ASR_MODEL)
    for line in LINES[1:]:
        samples = np.concatenate([chunk.samples for chunk in exact.synthesize(line)])
        heard = soxr.resample(samples, exact.sample_rate_hz, 16_000)
        assert word_error_rate(free.transcribe(heard).text, recognizer.transcribe(heard).text) <= 0.15


def test_the_inspector_knows_layers_and_memory(runtime: str, engines: Path) -> None:
    report = inspect_engines(engines, load_engines(engines, runtime).manifest)
    for engine in report["engines"].values():
        assert engine["inspector"] is not None, engine["inspector_missing"]
        assert 0 < engine["inspector"]["layers"] < engine["network_layers"]
        assert engine["inspector"]["activation_bytes"] > 0
