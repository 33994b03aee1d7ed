"""The importer's `config.json`, read and checked."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from commentary_llm.ground.errors import ArtifactError


@dataclass(frozen=True)
class WhisperConfig:
    """Sizes and token ids of an imported Whisper model (written by `checkpoints.importers.whisper`)."""

    mels: int
    heads: int
    head_size: int
    decoder_layers: int
    vocabulary: int
    max_frames: int
    max_tokens: int
    prompt_ids: tuple[int, ...]
    start_id: int
    end_id: int
    no_speech_id: int
    suppress_ids: tuple[int, ...]
    suppress_begin_ids: tuple[int, ...]

    @classmethod
    def read(cls, path: Path) -> WhisperConfig:
        """Raises ArtifactError when the file is missing or not what the importer writes."""
        names = {field.name for field in fields(cls)}
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if set(values) != names:
                raise ValueError(f"fields {sorted(values)}; expected {sorted(names)}")
            checked: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
            }
            return cls(**checked)
        except (OSError, ValueError, TypeError) as error:
            raise ArtifactError(f"{path}: {error}; `python -m checkpoints setup` rebuilds it") from error
