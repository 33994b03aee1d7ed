"""What a precision costs: the converted networks against float32, on our own speech, in ONNX Runtime.

The graphs are those that the engines were compiled from, with every float16 result really rounded (`with_rounding`)
and INT8 layers on INT8 operands. A GPU's own order of sums is not part of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from asr_tts.recognizer.features import SAMPLE_RATE_HZ
from asr_tts.recognizer.whisper import WhisperRecognizer
from asr_tts.recognizer.word_error import word_errors
from asr_tts.synthesizer.piper import PiperSynthesizer
from checkpoints.engines import material
from checkpoints.engines.convert import Conversion, convert, open_model, recognizer_over, voice_over
from checkpoints.engines.half import with_rounding
from checkpoints.progress import Reporter
from commentary_llm.artifacts.manifest import Upstream, load_manifest
from commentary_llm.artifacts.speech_engines import ENGINES_KIND
from commentary_llm.ground.home import models_dir
from commentary_llm.language.en.training.speech_lines import speech_lines
from commentary_llm.speech import speech_text_of

REPORT_FILE = "report.json"
_FFT_SAMPLES = 1024
_HOP_SAMPLES = 256
_MELS = 80
_FLOOR_DB = -60.0  # below the loudest: what nobody hears beside the rest does not count
_VOICE_LINES = 12


def report_losses(folder: Path, threads: int, reporter: Reporter) -> dict[str, Any]:
    """Measures the engines in `folder` and writes `report.json` there. Raises ArtifactError."""
    manifest = load_manifest(folder, kind=ENGINES_KIND)
    by_kind: dict[str, Upstream] = {upstream.kind: upstream for upstream in manifest.built_from}
    places = {kind: models_dir() / upstream.name for kind, upstream in by_kind.items()}
    losses = measure(
        Conversion(
            places["whisper-onnx"],
            places["piper-onnx"],
            manifest.dtype,
            manifest.extra["window_s"],
            manifest.extra["text_ids"],
            threads,
        ),
        reporter,
    )
    (folder / REPORT_FILE).write_text(json.dumps(losses, indent=1) + "\n", encoding="utf-8")
    return losses


def measure(conversion: Conversion, reporter: Reporter) -> dict[str, Any]:
    """Word errors of the recogniser and distances of the voice at `conversion.precision`, beside float32's."""
    reference = PiperSynthesizer.load(conversion.tts, speech_text_of, threads=conversion.threads)
    with reporter.task("Speaking the test lines"):
        spoken = material.speak(speech_lines()[1], reference)
    exact = Conversion(
        conversion.asr, conversion.tts, "fp32", conversion.window_s, conversion.text_ids, conversion.threads
    )
    found: dict[str, Any] = {"precision": conversion.precision, "utterances": len(spoken)}
    voices: dict[str, PiperSynthesizer] = {}
    for label, wanted in (("fp32", exact), (conversion.precision, conversion)):
        if label in voices:
            continue
        with reporter.task(f"Converting to {label}"):
            networks = {network.name: _measured(network.model) for network in convert(wanted, reporter.say)}
        opened = {name: open_model(model, name, conversion.threads) for name, model in networks.items()}
        voices[label] = voice_over(conversion.tts, opened["tts/text_encoder"], opened["tts/decoder"])
        recognizer = recognizer_over(conversion.asr, opened["asr/encoder"], opened["asr/decoder"], conversion.window_s)
        with reporter.task(f"Recognising {2 * len(spoken)} windows at {label}"):
            found[f"word_errors_{label}"] = {
                "clean": _word_errors(recognizer, spoken, "clean"),
                "noisy": _word_errors(recognizer, spoken, "noisy"),
            }
    if conversion.precision != "fp32":
        clean, noisy = (
            100.0
            * (found[f"word_errors_{conversion.precision}"][kind]["rate"] - found["word_errors_fp32"][kind]["rate"])
            for kind in ("clean", "noisy")
        )
        found["word_error_loss_percent"] = {"clean": round(clean, 3), "noisy": round(noisy, 3)}
        with reporter.task(f"Comparing the voice at {conversion.precision}"):
            texts = speech_lines()[1][:_VOICE_LINES]
            found["voice"] = compare_voices(voices["fp32"], voices[conversion.precision], texts)
    return found


def _measured(model: onnx.ModelProto) -> onnx.ModelProto:
    halves = any(t.data_type == onnx.TensorProto.FLOAT16 for t in model.graph.initializer)
    return with_rounding(model) if halves else model


def _word_errors(recognizer: WhisperRecognizer, spoken: Sequence[material.Utterance], kind: str) -> dict[str, Any]:
    longest = round(recognizer.window_s * SAMPLE_RATE_HZ)
    errors = words = 0
    for utterance in spoken:
        samples = utterance.clean if kind == "clean" else utterance.noisy
        wrong, said = word_errors(utterance.text, recognizer.transcribe(samples[:longest]).text)
        errors, words = errors + wrong, words + said
    return {"errors": errors, "words": words, "rate": round(errors / words, 5)}


def compare_voices(exact: PiperSynthesizer, other: PiperSynthesizer, texts: Sequence[str]) -> dict[str, Any]:
    """Mean and 99th percentile of the log-mel distance in dB, spectral convergence, signal over difference in dB.

    Both speak the same lines with the same noise; durations stay float32, so that the frames lie on each other. Lines
    of unequal length are counted and left out.
    """
    distances, convergences, ratios = [], [], []
    unequal = 0
    for text in texts:
        first, second = (np.concatenate([chunk.samples for chunk in v.synthesize(text)]) for v in (exact, other))
        if len(first) != len(second):
            unequal += 1
            continue
        mel_first, mel_second = (log_mel_db(samples, exact.sample_rate_hz) for samples in (first, second))
        heard = mel_first > mel_first.max() + _FLOOR_DB
        distances.append(np.abs(mel_first - mel_second)[heard])
        convergences.append(_convergence(first, second))
        ratios.append(10.0 * np.log10(np.sum(first**2.0) / max(np.sum((first - second) ** 2.0), 1e-20)))
    every = np.concatenate(distances) if distances else np.zeros(1)
    return {
        "lines": len(texts),
        "lines_of_unequal_length": unequal,
        "log_mel_distance_db": round(float(every.mean()), 4),
        "log_mel_distance_p99_db": round(float(np.percentile(every, 99)), 4),
        "spectral_convergence": round(float(np.mean(convergences or [0.0])), 5),
        "signal_to_difference_db": round(float(np.mean(ratios or [0.0])), 2),
    }


def _spectrum(samples: np.ndarray) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, _FFT_SAMPLES // 2), _FFT_SAMPLES)[::_HOP_SAMPLES]
    magnitudes: np.ndarray = np.abs(np.fft.rfft(frames * np.hanning(_FFT_SAMPLES), axis=1))
    return magnitudes


def _convergence(first: np.ndarray, second: np.ndarray) -> float:
    """|| |X| - |Y| || / || |X| ||, Frobenius (Arik et al., 2018)."""
    exact = _spectrum(first)
    return float(np.linalg.norm(exact - _spectrum(second)) / np.linalg.norm(exact))


def log_mel_db(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """(frames, 80) mel power in dB; triangular filters on the HTK mel scale up to half the sample rate."""
    edges_hz = 700.0 * (
        10.0 ** (np.linspace(0.0, 2595.0 * np.log10(1 + sample_rate_hz / 1400.0), _MELS + 2) / 2595.0) - 1
    )
    bins_hz = np.fft.rfftfreq(_FFT_SAMPLES, 1.0 / sample_rate_hz)
    low, centre, high = (edges_hz[offset : offset + _MELS, None] for offset in range(3))
    filters = np.maximum(0.0, np.minimum((bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)))
    power: np.ndarray = 10.0 * np.log10(np.maximum(_spectrum(samples) ** 2 @ filters.T, 1e-12))
    return power
