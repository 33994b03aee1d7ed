"""Converted graphs are checked by whoever reads them."""

from pathlib import Path

import pytest

from checkpoints.recipes import SPEECH_ENGINES
from checkpoints.writer import write_artifact
from commentary_llm.artifacts.speech_engines import GRAPHS_KIND, load_graphs
from commentary_llm.ground.errors import ArtifactError


def test_a_stage_reads_every_byte_of_its_own(tmp_path: Path) -> None:
    options = {
        "name": "graphs",
        "command": "make them",
        "recipe": SPEECH_ENGINES,
        "sources": (),
        "tools": {},
        "dtype": "fp32",
    }
    with write_artifact(tmp_path / "graphs", kind=GRAPHS_KIND, **options) as artifact:
        for stage in ("asr", "tts"):
            (artifact.directory / stage).mkdir()
            (artifact.directory / stage / "decoder.onnx").write_bytes(b"weights")
        artifact.extra.update(window_s=10.0)
    assert load_graphs(tmp_path / "graphs", "tts").window_s == 10.0
    (tmp_path / "graphs/asr/decoder.onnx").write_bytes(b"we1ghts")
    load_graphs(tmp_path / "graphs", "tts")
    with pytest.raises(ArtifactError, match=r"asr/decoder\.onnx is corrupted.*Rebuild with `make them`"):
        load_graphs(tmp_path / "graphs", "asr")
    (tmp_path / "graphs/asr/decoder.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"asr/decoder\.onnx is missing"):
        load_graphs(tmp_path / "graphs", "tts")
