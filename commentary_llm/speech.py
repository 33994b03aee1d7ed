"""Voice and recogniser as the settings name them: from a model's name to what speaks or hears.

A model is a folder whose manifest names its kind; the registries of `asr_tts` know how each kind is opened. For a GPU
what was built from the models is opened in their place.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from asr_tts.recognizer.registry import RECOGNIZERS
from asr_tts.runtime.registry import RUNTIMES
from asr_tts.synthesizer.registry import VOICES
from commentary_llm.artifacts.manifest import Manifest, load_manifest, read_manifest
from commentary_llm.artifacts.speech_engines import load_engines, load_graphs
from commentary_llm.ground.errors import ArtifactError, ConfigError
from commentary_llm.ground.home import ASR_MODEL, TTS_MODEL, models_dir, speech_graphs_dir
from commentary_llm.language.registry import language, languages
from commentary_llm.settings import StationConfig

if TYPE_CHECKING:
    from asr_tts.interfaces import Recognizer, SpeechText, Synthesizer
    from commentary_llm.ground.device_turn import DeviceTurn


@dataclass(frozen=True)
class _Networks:
    """A checked folder that a runtime can open."""

    folder: Path
    kind: str  # of the model
    window_s: float | None  # of a recogniser's networks with fixed shapes
    on_gpu: bool


def load_voice(config: StationConfig, turn: DeviceTurn | None = None) -> Synthesizer:
    """The configured voice; on a GPU it takes its `turn` there. Raises ArtifactError, ConfigError."""
    voice = config.voice
    found = _networks(config, "voice", VOICES.names())
    return VOICES.get(found.kind)(
        found.folder,
        texts=speech_text_of,
        runtime=voice.runtime,
        device=config.device_of("voice"),
        threads=voice.threads,
        turn=turn if found.on_gpu else None,
    )


def speech_text_of(espeak_voice: str) -> SpeechText:
    """What the language of a voice needs to be spoken: for "en-us" that of "en", unless there is one for just that.

    Raises ConfigError when there is no such language.
    """
    code = espeak_voice if espeak_voice in languages() else espeak_voice.partition("-")[0]
    return language(code).speech_text


def load_recognizer(config: StationConfig) -> Recognizer:
    """The configured speech recogniser. Raises ArtifactError, ConfigError."""
    recognizer = config.recognizer
    found = _networks(config, "recognizer", RECOGNIZERS.names())
    return RECOGNIZERS.get(found.kind)(
        found.folder,
        runtime=recognizer.runtime,
        device=config.device_of("recognizer"),
        threads=recognizer.threads,
        window_s=found.window_s,
    )


def voice_choices() -> tuple[str, ...]:
    """The voices in the cache, and the one that set-up brings."""
    return _models(VOICES.names(), TTS_MODEL)


def recognizer_choices() -> tuple[str, ...]:
    """The recognisers in the cache, and the one that set-up brings."""
    return _models(RECOGNIZERS.names(), ASR_MODEL)


def _models(kinds: Container[str], always: str) -> tuple[str, ...]:
    found = {always}
    for folder in models_dir().glob("*/"):
        try:
            if read_manifest(folder).kind in kinds:
                found.add(folder.name)
        except ArtifactError:
            continue  # half an import, or of another version: no choice
    return tuple(sorted(found))


def _networks(config: StationConfig, stage: Literal["voice", "recognizer"], kinds: tuple[str, ...]) -> _Networks:
    """What the stage's runtime opens on its device, checked. `kinds`: of models that can be such a stage."""
    settings = config.voice if stage == "voice" else config.recognizer
    device, part = config.device_of(stage), "tts" if stage == "voice" else "asr"
    runtime = RUNTIMES.get(settings.runtime)
    wanted = runtime.networks(device)
    if wanted == "imported":
        folder = artifact_path(settings.model, models_dir())
        manifest = load_manifest(folder, verify="sha256")
        if manifest.kind not in kinds:
            raise ArtifactError(f"{folder}: kind {manifest.kind}, expected {' or '.join(kinds)}; name another {stage}")
        return _Networks(folder, manifest.kind, None, on_gpu=False)
    runtime.check(device)
    given = None if settings.engines is None else Path(settings.engines).expanduser().absolute()
    if wanted == "graphs":
        built = load_graphs(given or speech_graphs_dir(config.recognizer.model, config.voice.model), part)
    elif given is None:
        raise ConfigError(
            f"speech runtime {settings.runtime} needs built engines; name their folder as speech_engines. "
            f"`python -m checkpoints engines build --runtime {settings.runtime} --compute-capability X.Y` builds them"
        )
    else:
        built = load_engines(given, settings.runtime)
    return _Networks(built.folder / part, _kind_inside(built.manifest, kinds), built.window_s, on_gpu=True)


def _kind_inside(built: Manifest, kinds: tuple[str, ...]) -> str:
    """Of which kind the stage's model was, from which engines or graphs were made."""
    found = [upstream.kind for upstream in built.built_from if upstream.kind in kinds]
    if not found:
        raise ArtifactError(f"{built.name}: made from no {' or '.join(kinds)}. Rebuild with `{built.command}`")
    return found[0]


def artifact_path(name: str, default_parent: Path) -> Path:
    """`name` as a folder below `default_parent`, unless it is itself an existing path."""
    given = Path(name).expanduser()
    return given.absolute() if given.is_dir() else default_parent / name
