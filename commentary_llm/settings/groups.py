"""The settings of the engine. Each default, description, range and flag stands here and nowhere else."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from asr_tts.runtime.registry import DEVICES, RUNTIMES
from commentary_llm.generation.registry import AUTO, backend_choices
from commentary_llm.ground.home import ASR_MODEL, LLM_MODEL, TTS_MODEL
from commentary_llm.language.registry import DEFAULT_LANGUAGE, languages
from commentary_llm.settings.languages import persona_choices
from commentary_llm.settings.option import Flag, Group


def _devices() -> tuple[str, ...]:
    return DEVICES


class LlmSettings(Group):
    """The language model, on all ranks."""

    title: ClassVar[str] = "language model"

    backend: Annotated[str, Flag("--backend", choices=backend_choices), Field(description="what generates")] = AUTO
    model: Annotated[str, Flag("--llm", "NAME"), Field(description="language model, by its name in the cache")] = (
        LLM_MODEL
    )
    engines: Annotated[
        str | None,
        Flag("--llm-engines", "DIR"),
        Field(description="TensorRT-LLM engines, in place of those of --llm in the cache"),
    ] = None
    device: Annotated[
        str | None,
        Flag("--llm-device", choices=_devices),
        Field(description="where the torch backend computes, if not on --device"),
    ] = None
    compute_dtype: Annotated[
        Literal["auto", "int8", "float32"],
        Flag("--compute-dtype"),
        Field(
            description="how matrices are multiplied: INT8 digits, or dequantised (four bytes a weight); auto takes "
            "what the processor is quick at"
        ),
    ] = "auto"
    threads: Annotated[
        int,
        Flag("--llm-threads", "N"),
        Field(ge=1, le=64, description="CPU threads of the language model on each rank"),
    ] = 1
    max_batch: Annotated[
        int,
        Flag("--max-batch", "N"),
        Field(ge=1, le=64, description="sequences decoded at once, of all matches; on a GPU 8 at most"),
    ] = 8
    batch_window_ms: Annotated[
        float,
        Flag("--batch-window-ms", "MS"),
        Field(ge=0, le=10, description="how long a batch waits for another line to join"),
    ] = 0.0
    kv_slots: Annotated[
        int | None,
        Flag("--kv-slots", "N"),
        Field(ge=1, le=1024, description="sequences whose keys and values are kept; by memory where not given"),
    ] = None
    sizes: Annotated[
        str | None,
        Flag("--llm-sizes", "SIZES"),
        Field(description="for timing: compute at the sizes of this model (llama-7b), the weights padded with zeros"),
    ] = None


class SpeechStage(Group):
    """What voice and recogniser are run by; --speech-X is for both, and what is given for one of them alone wins."""

    title: ClassVar[str] = "voice and recogniser"

    runtime: Annotated[
        str, Flag("--speech-runtime", choices=RUNTIMES.names), Field(description="what runs the networks")
    ] = "onnxruntime"
    device: Annotated[
        str | None,
        Flag("--speech-device", choices=_devices),
        Field(
            description="where ONNX Runtime computes on rank 0, if not on --device; TensorRT takes a GPU in any case"
        ),
    ] = None
    engines: Annotated[
        str | None,
        Flag("--speech-engines", "DIR"),
        Field(
            description="what was built for a GPU: engines for a TensorRT runtime, or graphs for ONNX Runtime, these "
            "in place of those in the cache"
        ),
    ] = None
    threads: Annotated[
        int, Flag("--speech-threads", "N"), Field(ge=1, le=64, description="CPU threads of each network on rank 0")
    ] = 1


class VoiceSettings(SpeechStage):
    """The voice, on rank 0."""

    title: ClassVar[str] = SpeechStage.title

    model: Annotated[str, Flag("--tts", "NAME"), Field(description="voice, by its name in the cache or folder")] = (
        TTS_MODEL
    )


class RecognizerSettings(SpeechStage):
    """The recogniser of the stadium's sound, on rank 0."""

    title: ClassVar[str] = SpeechStage.title

    model: Annotated[
        str, Flag("--asr", "NAME"), Field(description="speech recogniser, by its name in the cache or folder")
    ] = ASR_MODEL


class StationSettings(Group):
    """The process group: what all of its models and matches share."""

    title: ClassVar[str] = "station"

    device: Annotated[
        str,
        Flag("--device", choices=_devices),
        Field(description="where all stages compute; --llm-device, --speech-device and the like override it"),
    ] = "cpu"
    writers: Annotated[
        int,
        Flag("--writers", "N"),
        Field(ge=1, le=64, description="lines written at once, of different matches"),
    ] = 4
    speakers: Annotated[
        int,
        Flag("--speakers", "N"),
        Field(ge=1, le=64, description="clauses spoken at once, of different matches"),
    ] = 2
    queue_capacity: Annotated[
        int, Flag("--queue-capacity", "N"), Field(ge=1, le=256, description="cues waiting for words, for each match")
    ] = 8
    startup_timeout_s: Annotated[
        float, Flag("--startup-timeout-s", "S"), Field(gt=0, description="for the warm-up of each stage")
    ] = 120.0


class MatchSettings(Group):
    """How a match is told. Each match of a station may have its own."""

    title: ClassVar[str] = "commentary"

    language: Annotated[str, Flag("--language", choices=languages), Field(description="in which it is told")] = (
        DEFAULT_LANGUAGE
    )
    persona: Annotated[
        str, Flag("--persona", choices=persona_choices), Field(description="how the commentator talks")
    ] = "excited"
    seed: Annotated[
        int, Flag("--seed", "N"), Field(ge=0, description="of the model's draws, of openers and templates")
    ] = 0
    candidates: Annotated[
        int, Flag("--candidates", "N"), Field(ge=1, le=8, description="completions decoded at once for each cue")
    ] = 5
    temperature: Annotated[
        float, Flag("--temperature", "T"), Field(ge=0, le=2, description="how freely tokens are drawn; 0 is greedy")
    ] = 0.9
    top_p: Annotated[
        float, Flag("--top-p", "P"), Field(gt=0, le=1, description="draw from the likeliest tokens up to this much")
    ] = 0.95
    repetition_penalty: Annotated[
        float, Flag("--repetition-penalty", "X"), Field(ge=1, le=2, description="on tokens that were there before")
    ] = 1.05
    max_new_tokens: Annotated[int, Flag("--max-new-tokens", "N"), Field(ge=4, le=256, description="of one line")] = 40
    few_shot: Annotated[
        bool | None,
        Flag("--few-shot"),
        Field(description="show the model examples first; where not given, unless it was trained on these prompts"),
    ] = None
    prepare: Annotated[
        bool,
        Flag("--prepare"),
        Field(description="have the sound of openers ready, and lines for what is likely to happen next"),
    ] = True

    @model_validator(mode="after")
    def _persona_of_the_language(self) -> MatchSettings:
        known = persona_choices(self.language)
        if self.persona not in known:
            raise PydanticCustomError(
                "persona",
                "{persona} does not speak {language}; expected one of {choices}",
                {"persona": self.persona, "language": self.language, "choices": ", ".join(known)},
            )
        return self
