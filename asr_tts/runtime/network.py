"""What a loaded network says of itself, whatever runs it."""

from __future__ import annotations

from asr_tts.interfaces import TensorSpec
from asr_tts.runtime.profiles import Profile


class Network:
    """The part of `SpeechRuntime` that is the same for all; who inherits sets the attributes."""

    _name: str
    _inputs: tuple[TensorSpec, ...]
    _outputs: tuple[TensorSpec, ...]
    _profiles: tuple[Profile, ...]

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._outputs

    @property
    def profiles(self) -> tuple[Profile, ...]:
        return self._profiles
