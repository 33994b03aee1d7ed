"""What was built from recogniser and voice for a GPU: folders that are whole and fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from commentary_llm.artifacts.manifest import Manifest, load_manifest, read_manifest
from commentary_llm.ground.errors import ArtifactError
from commentary_llm.ground.mend import BUILD_ENGINES_COMMAND, CONVERT_GRAPHS_COMMAND

ENGINES_KIND = "speech-engines"
GRAPHS_KIND = "speech-graphs"


@dataclass(frozen=True)
class SpeechEngines:
    """A checked folder: `asr` and `tts` below it open with the runtime they were built for."""

    folder: Path
    window_s: float  # of the recogniser
    manifest: Manifest


def load_engines(folder: Path, runtime: str) -> SpeechEngines:
    """Engines that are whole and built for `runtime`.

    The engine files' own hashes, the library's version and the GPU are checked when `open_runtime` loads them; every
    byte of the other files is checked here. Raises ArtifactError naming both sides and the command that rebuilds.
    """
    others = [name for name in read_manifest(folder, BUILD_ENGINES_COMMAND).files if not name.endswith(".engine")]
    manifest = load_manifest(folder, kind=ENGINES_KIND, hash_files=others, command=BUILD_ENGINES_COMMAND)
    built_by = manifest.extra["runtime"]
    if built_by != runtime:
        raise ArtifactError(
            f"{folder}: built for the speech runtime {built_by}, {runtime} was asked for. Choose the speech runtime "
            f"{built_by}, or rebuild with --runtime {runtime} in `{manifest.command}`"
        )
    return SpeechEngines(folder, float(manifest.extra["window_s"]), manifest)


def load_graphs(folder: Path, stage: str) -> SpeechEngines:
    """Graphs of which every byte of a stage's ("asr", "tts") is whole. Raises ArtifactError with the command."""
    own = [name for name in read_manifest(folder, CONVERT_GRAPHS_COMMAND).files if name.startswith(f"{stage}/")]
    manifest = load_manifest(folder, kind=GRAPHS_KIND, hash_files=own, command=CONVERT_GRAPHS_COMMAND)
    return SpeechEngines(folder, float(manifest.extra["window_s"]), manifest)
