"""What a station loads: the configured voice and recogniser, and what the language model's backends need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from commentary_llm.artifacts.manifest import load_manifest
from commentary_llm.config import StationConfig, artifact_path
from commentary_llm.generation.tensorrt_llm.config import TensorRTLLMConfig
from commentary_llm.ground.device_turn import DeviceTurn
from commentary_llm.ground.errors import ConfigError
from commentary_llm.ground.home import llm_engines_dir, models_dir, shards_dir, speech_graphs_dir

if TYPE_CHECKING:
    from asr_tts.interfaces import Recognizer, Synthesizer
    from commentary_llm.artifacts.speech_engines import SpeechEngines
    from commentary_llm.generation.torch.backend import TorchBackendConfig


def torch_config(config: StationConfig, ranks: int) -> TorchBackendConfig:
    """For the torch backend."""
    from commentary_llm.generation.torch.backend import TorchBackendConfig

    return TorchBackendConfig(
        shards=shards_dir(config.llm, ranks),
        compute_dtype=config.compute_dtype,
        device=config.device,
        threads=config.llm_threads,
        max_batch=config.max_batch,
        sizes=config.llm_sizes,
    )


def tensorrt_llm_config(config: StationConfig, ranks: int) -> TensorRTLLMConfig:
    """For TensorRT-LLM."""
    given = config.llm_engines
    folder = Path(given).expanduser().absolute() if given is not None else llm_engines_dir(config.llm, ranks)
    return TensorRTLLMConfig(engine_dir=folder, model=config.llm)


def load_voice(config: StationConfig, turn: DeviceTurn | None = None) -> Synthesizer:
    """The configured voice; on a GPU it takes its `turn` there. Raises ArtifactError, ConfigError."""
    from asr_tts.synthesizer import PiperSynthesizer

    built = _built_for_gpu(config, "tts")
    if built is None:
        folder = artifact_path(config.tts, models_dir())
        load_manifest(folder, kind="piper-onnx", verify="sha256")
    # The voice's own noise follows from the words alone: openers made once serve every seed of the engine.
    return PiperSynthesizer.load(
        folder if built is None else built.folder / "tts",
        runtime=config.speech_runtime,
        device=config.speech_device,
        threads=config.speech_threads,
        turn=turn if built is not None else None,
    )


def load_recognizer(config: StationConfig) -> Recognizer:
    """The configured speech recogniser. Raises ArtifactError, ConfigError."""
    from asr_tts.recognizer import open_recognizer

    built = _built_for_gpu(config, "asr")
    if built is not None:
        return open_recognizer(
            built.folder / "asr",
            runtime=config.speech_runtime,
            device=config.speech_device,
            window_s=built.window_s,
        )
    folder = artifact_path(config.asr, models_dir())
    load_manifest(folder, kind="whisper-onnx", verify="sha256")
    return open_recognizer(folder, threads=config.speech_threads)


def _built_for_gpu(config: StationConfig, stage: str) -> SpeechEngines | None:
    """What was built from recogniser and voice for the configured runtime, `stage`'s part checked; None for the CPU."""
    if config.speech_runtime == "onnxruntime" and config.speech_device == "cpu":
        return None
    given = config.speech_engines
    # Imported here: it brings onnx, which takes long to load and is of no use without a GPU.
    if config.speech_runtime == "onnxruntime":
        from asr_tts.runtime.onnxruntime_cuda import check_library
        from commentary_llm.artifacts.speech_engines import load_graphs

        check_library()
        folder = speech_graphs_dir(config.asr, config.tts) if given is None else Path(given).expanduser().absolute()
        return load_graphs(folder, stage)
    if given is None:
        raise ConfigError(
            f"speech runtime {config.speech_runtime} needs built engines; name their folder as speech_engines. "
            f"`python -m checkpoints engines build --runtime {config.speech_runtime} --compute-capability X.Y` "
            "builds them"
        )
    from commentary_llm.artifacts.speech_engines import load_engines

    return load_engines(Path(given).expanduser().absolute(), config.speech_runtime)
