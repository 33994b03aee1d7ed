"""All speech networks in the form that TensorRT compiles, at one precision."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx
from tokenizers import Tokenizer

from asr_tts.interfaces import SpeechRuntime
from asr_tts.recognizer.features import SAMPLE_RATE_HZ
from asr_tts.recognizer.model_config import WhisperConfig
from asr_tts.recognizer.whisper import WhisperRecognizer
from asr_tts.runtime import open_runtime
from asr_tts.synthesizer.piper import PiperSynthesizer
from asr_tts.synthesizer.vits import VitsVoice, VoiceDescription
from checkpoints.engines import material, voice, whisper
from checkpoints.engines.half import to_half
from checkpoints.engines.quantize import RangeObserver, insert_qdq, quantizable
from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.en.training.speech_lines import speech_lines
from commentary_llm.speech import speech_text_of

PRECISIONS = ("fp32", "fp16", "int8")
ASR_FILES = ("config.json", "tokenizer.json")
TTS_FILES = ("voice.json",)


@dataclass(frozen=True)
class Conversion:
    """What to convert and how."""

    asr: Path  # imported models
    tts: Path
    precision: str = "fp16"
    window_s: float = 10.0
    text_ids: int = voice.TEXT_IDS
    threads: int = 1

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision is {self.precision!r}; expected one of {', '.join(PRECISIONS)}")
        if not 16 <= self.text_ids <= 512:
            raise ConfigError(f"{self.text_ids} phoneme ids a clause; expected 16 to 512")


@dataclass(frozen=True)
class Converted:
    """One network as TensorRT compiles it."""

    name: str  # asr/encoder, asr/decoder, tts/text_encoder, tts/decoder
    source: Path
    model: onnx.ModelProto
    int8_layers: int = 0  # that compute in INT8
    float_layers: int = 0  # that could, but stay float16; see `int8_layers_of`


def fixed_networks(conversion: Conversion) -> dict[str, onnx.ModelProto]:
    """The four networks in float32 with fixed shapes, by name. Raises ArtifactError."""
    config = WhisperConfig.read(conversion.asr / "config.json")
    description = VoiceDescription.load(conversion.tts / "voice.json")
    frames = -(-conversion.text_ids * voice.TEXT_FRAMES // voice.TEXT_IDS)
    make: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
        "asr/encoder": lambda model: whisper.fix_encoder(model, config, conversion.window_s),
        "asr/decoder": lambda model: whisper.fix_decoder(model, config, conversion.window_s),
        "tts/text_encoder": lambda model: voice.fix_text_encoder(model, description, conversion.text_ids, frames),
        "tts/decoder": lambda model: voice.fix_decoder(model, description),
    }
    return {name: fix(onnx.load(source_of(conversion, name))) for name, fix in make.items()}


def source_of(conversion: Conversion, name: str) -> Path:
    """The imported graph of a network."""
    model, network = name.split("/")
    return (conversion.asr if model == "asr" else conversion.tts) / f"{network}.onnx"


def int8_layers_of(name: str, model: onnx.ModelProto) -> list[str]:
    """The layers of a network that an INT8 build computes in INT8 (first outputs of their nodes).

    Whisper: every product with a weight in both transformers. Its two convolutions at the front and the output
    projection, which decides between near words, stay float16, and so does all of the voice: with the decoder's
    residual convolutions in INT8 the sound is 13 dB above its difference and the log-mel distance 1.4 dB (7.5 dB at the
    99th percentile), with float16 63 dB and 0.007 dB.
    """
    if not name.startswith("asr/"):
        return []
    vocabulary = next((v.type.tensor_type.shape.dim[2].dim_value for v in model.graph.output if v.name == "logits"), 0)
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    layers = set(quantizable(model))
    return [
        node.output[0]
        for node in model.graph.node
        if node.output[0] in layers and node.op_type != "Conv" and vocabulary not in weights[node.input[1]]
    ]


def convert(conversion: Conversion, say: Callable[[str], None] = lambda _: None) -> list[Converted]:
    """All networks at the precision asked for; INT8 is calibrated on speech first. Raises ArtifactError."""
    fixed = fixed_networks(conversion)
    if conversion.precision == "fp32":
        return [Converted(name, source_of(conversion, name), model) for name, model in fixed.items()]
    layers: dict[str, list[str]] = {name: [] for name in fixed}
    ranges: dict[str, dict[str, float]] = {}
    if conversion.precision == "int8":
        layers = {name: int8_layers_of(name, model) for name, model in fixed.items()}
        ranges = calibrate(conversion, fixed, layers, say)
    converted = []
    for name, model in fixed.items():
        kept = voice.float_nodes(model) if name == "tts/text_encoder" else set()
        if name == "tts/decoder":
            kept = voice.pcm_nodes(model)
        resident = whisper.resident_tensors(model) if name.startswith("asr/") else set()
        if layers[name]:
            model = insert_qdq(model, layers[name], ranges[name])
        model = to_half(model, kept, resident)
        left = len(quantizable(fixed[name])) - len(layers[name]) if conversion.precision == "int8" else 0
        converted.append(Converted(name, source_of(conversion, name), model, len(layers[name]), left))
    return converted


def calibrate(
    conversion: Conversion,
    fixed: dict[str, onnx.ModelProto],
    layers: dict[str, list[str]],
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, dict[str, float]]:
    """The scales of each network's INT8 layers, from our own lines, each spoken clean and in a crowd's noise.

    Both matter: with each line in one of the two only, six more of 483 words were misheard in noise.
    """
    voice = PiperSynthesizer.load(conversion.tts, speech_text_of, threads=conversion.threads)
    spoken = material.speak(speech_lines()[0], voice)
    say(f"calibrating INT8 on {2 * len(spoken)} windows of speech")
    encoder, decoder = (
        RangeObserver(fixed[name], layers[name], name, conversion.threads) for name in ("asr/encoder", "asr/decoder")
    )
    recognizer = recognizer_over(conversion.asr, encoder, decoder, conversion.window_s)
    longest = round(conversion.window_s * SAMPLE_RATE_HZ)
    for number, utterance in enumerate(spoken):
        for samples in (utterance.clean, utterance.noisy):
            recognizer.decode(samples[:longest])
        if number % 24 == 23:
            say(f"calibrating INT8: {2 * (number + 1)} of {2 * len(spoken)} windows")
    return {"asr/encoder": encoder.ranges(), "asr/decoder": decoder.ranges()}


def recognizer_over(folder: Path, encoder: SpeechRuntime, decoder: SpeechRuntime, window_s: float) -> WhisperRecognizer:
    """The recogniser of an imported model's folder over other networks than the folder's own."""
    config = WhisperConfig.read(folder / "config.json")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return WhisperRecognizer(encoder, decoder, config, tokenizer, window_s=window_s)


def voice_over(folder: Path, encoder: SpeechRuntime, decoder: SpeechRuntime) -> PiperSynthesizer:
    """The synthesiser of an imported voice's folder over other networks than the folder's own."""
    description = VoiceDescription.load(folder / "voice.json")
    return PiperSynthesizer(VitsVoice(description, encoder, decoder), speech_text_of(description.espeak_voice))


def open_model(model: onnx.ModelProto, name: str, threads: int) -> SpeechRuntime:
    """A converted graph in ONNX Runtime, to measure it."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "network.onnx"
        onnx.save(model, path)
        return open_runtime(path, threads=threads, name=name)
