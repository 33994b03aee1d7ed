from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from asr_tts.synthesizer import PiperSynthesizer
from checkpoints.engines import losses, voice, whisper
from checkpoints.engines.convert import Conversion, Converted
from checkpoints.engines.half import to_half
from checkpoints.progress import Reporter
from checkpoints.recipes import SPEECH_ENGINES
from checkpoints.writer import write_artifact
from commentary_llm.artifacts.manifest import Upstream, load_manifest
from commentary_llm.ground.home import ASR_MODEL, TTS_MODEL, models_dir
from commentary_llm.language.en.training.speech_lines import speech_lines
from commentary_llm.speech import speech_text_of


def test_the_lines_are_enough_and_apart() -> None:
    calibration, judged = speech_lines()
    assert len(calibration) >= 64
    assert len(judged) >= 40
    assert not set(calibration) & set(judged)
    assert all(line.strip() == line and line for line in (*calibration, *judged))


def test_log_mel_of_a_tone() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(22_050) / 22_050)
    power = losses.log_mel_db(tone, 22_050)
    assert power.shape == (87, 80)
    centres_hz = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 22_050 / 1400), 82)[1:-1] / 2595) - 1)
    assert abs(centres_hz[power[40].argmax()] - 1000) < 40
    louder = losses.log_mel_db(2 * tone, 22_050)
    np.testing.assert_allclose((louder - power)[40, power[40] > -60], 20 * np.log10(2), atol=1e-6)


@pytest.mark.models
def test_report_measures_the_converted_networks(
    fixed_networks: dict[str, onnx.ModelProto], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["The keeper comes out bravely and smothers the ball.", "A header from six yards."]
    monkeypatch.setattr(losses, "speech_lines", lambda: ([], lines))

    def converted(conversion: Conversion, say: object) -> list[Converted]:
        networks = []
        for name, model in fixed_networks.items():
            if conversion.precision == "fp16":
                kept = voice.float_nodes(model) if name == "tts/text_encoder" else set()
                model = to_half(model, kept, whisper.resident_tensors(model) if name.startswith("asr") else ())
            networks.append(Converted(name, tmp_path, model))
        return networks

    monkeypatch.setattr(losses, "convert", converted)
    folder = tmp_path / "engines"
    upstreams = [load_manifest(models_dir() / name) for name in (ASR_MODEL, TTS_MODEL)]
    with write_artifact(
        folder,
        kind="speech-engines",
        name="engines",
        command="rebuild",
        recipe=SPEECH_ENGINES,
        sources=(),
        built_from=tuple(Upstream(kind=m.kind, name=m.name, digest=m.digest) for m in upstreams),
        tools={},
        dtype="fp16",
    ) as artifact:
        artifact.extra.update(window_s=10.0, text_ids=128)
    found = losses.report_losses(folder, 2, Reporter())
    assert json.loads((folder / losses.REPORT_FILE).read_text()) == found
    assert found["utterances"] == 2
    assert found["word_errors_fp32"]["clean"]["words"] == 14
    assert found["word_errors_fp32"]["clean"]["rate"] < 0.3
    assert abs(found["word_error_loss_percent"]["clean"]) < 10
    assert found["voice"]["lines_of_unequal_length"] == 0
    assert 0 < found["voice"]["log_mel_distance_db"] < 0.1
    assert found["voice"]["signal_to_difference_db"] > 40


@pytest.mark.models
def test_a_voice_is_at_no_distance_from_itself() -> None:
    voice_alone = PiperSynthesizer.load(models_dir() / TTS_MODEL, speech_text_of)
    found = losses.compare_voices(voice_alone, voice_alone, ["Goal!"])
    assert (found["log_mel_distance_db"], found["spectral_convergence"]) == (0, 0)
    other = losses.compare_voices(
        voice_alone, PiperSynthesizer.load(models_dir() / TTS_MODEL, speech_text_of, seed=1), ["Goal!"]
    )
    assert other["lines_of_unequal_length"] or other["log_mel_distance_db"] > 1
