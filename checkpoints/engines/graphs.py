"""The folder with all speech networks as ONNX graphs of fixed shapes, for ONNX Runtime on a GPU.

Unlike engines they are tied neither to a kind of GPU nor to a version of a library. Always float32: at these sizes a
GPU waits for launches and not for arithmetic, and the numbers stay those of the CPU.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx

from checkpoints.engines.convert import ASR_FILES, TTS_FILES, Conversion, convert
from checkpoints.progress import Reporter
from checkpoints.recipes import SPEECH_ENGINES
from checkpoints.writer import tool_versions, write_artifact
from commentary_llm.artifacts.manifest import Upstream, load_manifest
from commentary_llm.artifacts.speech_engines import GRAPHS_KIND


def convert_graphs(folder: Path, conversion: Conversion, command: str, reporter: Reporter) -> Path:
    """Converts all speech networks; `folder`, which appears when everything is whole.

    `command`: the command line that does it. Raises ArtifactError when a model is missing or has another form.
    """
    upstreams = tuple(load_manifest(model) for model in (conversion.asr, conversion.tts))
    with write_artifact(
        folder,
        kind=GRAPHS_KIND,
        name=folder.name,
        command=command,
        recipe=SPEECH_ENGINES,
        sources=tuple(source for manifest in upstreams for source in manifest.sources),
        built_from=tuple(
            Upstream(kind=manifest.kind, name=manifest.name, digest=manifest.digest) for manifest in upstreams
        ),
        tools=tool_versions("onnx", "onnxruntime", "onnxruntime-gpu", "numpy"),
        dtype=conversion.precision,
    ) as artifact:
        with reporter.task("Converting recogniser and voice to fixed shapes"):
            for network in convert(conversion, reporter.say):
                path = artifact.directory / f"{network.name}.onnx"
                path.parent.mkdir(exist_ok=True)
                onnx.save(network.model, path)
        for source, model, names in ((conversion.asr, "asr", ASR_FILES), (conversion.tts, "tts", TTS_FILES)):
            for name in names:
                shutil.copyfile(source / name, artifact.directory / model / name)
        artifact.extra.update(window_s=conversion.window_s, text_ids=conversion.text_ids)
    return folder
