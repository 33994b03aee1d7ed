"""What a TensorRT engine was built from and for: `NAME.engine.json` beside `NAME.engine`.

An engine runs only on the GPU generation and with the very library version it was built for, and TensorRT tells that,
if at all, in words of its own. The card says it beforehand, and how to build the engine again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asr_tts.interfaces import TensorSpec
from asr_tts.runtime.profiles import Profile
from commentary_llm.ground.errors import ArtifactError
from commentary_llm.ground.mend import BUILD_ENGINES_COMMAND


@dataclass(frozen=True)
class EngineCard:
    """One engine. `inputs` and `outputs`: name -> [dtype, sizes], -1 where the profiles differ."""

    library: str  # tensorrt or tensorrt_rtx
    library_version: str
    compute_capability: str
    precision: str
    sha256: str
    source: str  # the ONNX graph it was built from
    source_sha256: str
    inputs: dict[str, tuple[str, tuple[int, ...]]]
    outputs: dict[str, tuple[str, tuple[int, ...]]]
    profiles: tuple[Profile, ...]
    command: str  # builds it again

    def write(self, engine: Path) -> None:
        """Writes the card of the engine at `engine`."""
        card_path(engine).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, engine: Path) -> EngineCard:
        """The card of the engine at `engine`. Raises ArtifactError when it is missing or not of this version."""
        path = card_path(engine)
        try:
            fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            for side in ("inputs", "outputs"):
                fields[side] = {name: (str(dtype), tuple(shape)) for name, (dtype, shape) in fields[side].items()}
            fields["profiles"] = tuple(
                {name: tuple(shape) for name, shape in profile.items()} for profile in fields["profiles"]
            )
            return cls(**fields)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ArtifactError(
                f"{path}: cannot be read ({error!r}); build the engines with `{BUILD_ENGINES_COMMAND}`"
            ) from error


def card_path(engine: Path) -> Path:
    """Where the card of an engine lies."""
    return engine.with_name(engine.name + ".json")


def tensor_specs(tensors: dict[str, tuple[str, tuple[int, ...]]]) -> tuple[TensorSpec, ...]:
    """A card's inputs or outputs as the runtimes describe them."""
    return tuple(TensorSpec(name, np.dtype(dtype), shape) for name, (dtype, shape) in tensors.items())
