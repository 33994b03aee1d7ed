"""What an engine is started with. Each default exists here and nowhere else; the command line reads them."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from commentary_llm.ground.errors import ConfigError
from commentary_llm.ground.home import ASR_MODEL, LLM_MODEL, TTS_MODEL
from commentary_llm.language.registry import DEFAULT_LANGUAGE, language, languages
from commentary_llm.match import MatchInfo


class EngineConfig(BaseModel):
    """Configuration of one engine, the same on every rank. Frozen; unknown keys are errors.

    `match` is needed on rank 0 only. Model names are folders below the cache (`commentary_llm.ground.home`), or paths.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: MatchInfo | None = None

    backend: Literal["auto", "torch", "tensorrt_llm"] = "auto"
    llm: str = LLM_MODEL
    llm_engines: str | None = Field(
        default=None, description="folder of TensorRT-LLM engines; by default that of `llm` in the cache"
    )
    asr: str = ASR_MODEL
    tts: str = TTS_MODEL
    compute_dtype: Literal["auto", "int8", "float32"] = Field(
        default="auto",
        description="how matrices are multiplied: INT8 digits, or dequantised (four bytes a weight); "
        "auto takes what the processor is quick at",
    )
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="where the torch backend computes")
    llm_threads: int = Field(default=1, ge=1, le=64, description="CPU threads of the language model on each rank")
    speech_threads: int = Field(default=1, ge=1, le=64, description="CPU threads of each speech network on rank 0")
    speech_runtime: Literal["onnxruntime", "tensorrt", "tensorrt_rtx"] = Field(
        default="onnxruntime", description="what runs recogniser and voice"
    )
    speech_device: Literal["cpu", "cuda"] = Field(
        default="cpu", description="where ONNX Runtime computes them on rank 0; TensorRT takes a GPU in any case"
    )
    speech_engines: str | None = Field(
        default=None,
        description="folder of what was built from them for a GPU: TensorRT engines, or graphs for ONNX Runtime (by "
        "default those of `asr` and `tts` in the cache)",
    )
    listen: bool = Field(default=False, description="load the recogniser; needed for stadium audio")

    language: str = Field(default=DEFAULT_LANGUAGE, description="what it speaks: a folder of `commentary_llm.language`")
    persona: str = Field(default="excited", description="how it talks, one of the language's personas")
    few_shot: bool | None = Field(
        default=None, description="show the model examples first; by default unless it was trained on these prompts"
    )
    candidates: int = Field(default=5, ge=1, le=8, description="completions decoded at once for each cue")
    temperature: float = Field(default=0.9, ge=0.0, le=2.0)
    top_p: float = Field(default=0.95, gt=0.0, le=1.0)
    repetition_penalty: float = Field(default=1.05, ge=1.0, le=2.0)
    max_new_tokens: int = Field(default=40, ge=4, le=256)
    seed: int = Field(default=0, ge=0)

    prepare: bool = Field(
        default=True, description="have the sound of openers ready, and lines for what is likely to happen next"
    )
    llm_sizes: str | None = Field(
        default=None,
        description="for timing: compute at the sizes of this model (llama-7b), the weights padded with zeros",
    )
    queue_capacity: int = Field(default=8, ge=1, le=256, description="cues waiting for words")
    startup_timeout_s: float = Field(default=120.0, gt=0, description="for the warm-up of each stage")

    @field_validator("language")
    @classmethod
    def _known_language(cls, code: str) -> str:
        if code not in languages():
            raise ValueError(f"expected one of {', '.join(languages())}")
        return code

    @field_validator("persona")
    @classmethod
    def _known_persona(cls, name: str, info: ValidationInfo) -> str:
        if "language" in info.data and name not in (known := language(info.data["language"]).personas):
            raise ValueError(f"expected one of {', '.join(known)}")
        return name

    @property
    def max_batch(self) -> int:
        """Sequences that the torch backend decodes at once: four or more, so that a cue's prompt need not wait for the
        slots of the one before."""
        return max(4, self.candidates)

    @classmethod
    def build(cls, **options: object) -> EngineConfig:
        """Like the constructor, but raises ConfigError naming every wrong option."""
        try:
            return cls(**options)  # type: ignore[arg-type]
        except ValidationError as error:
            lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r})" for e in error.errors()]
            raise ConfigError("wrong engine configuration:\n" + "\n".join(lines)) from error


def engine_options(args: Namespace) -> dict[str, object]:
    """The fields of EngineConfig among the options of a command line."""
    return {name: value for name, value in vars(args).items() if name in EngineConfig.model_fields and name != "match"}


def artifact_path(name: str, default_parent: Path) -> Path:
    """`name` as a folder below `default_parent`, unless it is itself an existing path."""
    given = Path(name).expanduser()
    return given.absolute() if given.is_dir() else default_parent / name
