"""Which input shapes a network was made for.

An ONNX graph whose inputs look variable may still be meant for a few shapes only, as a TensorRT engine is: one
optimisation profile for each. The graph's metadata says so under `commentary_llm.profiles`, as a JSON list of
{input: shape}. Without it a network takes every shape that its inputs' specification allows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from asr_tts.interfaces import Tensor, TensorSpec

METADATA_KEY = "commentary_llm.profiles"
Profile = Mapping[str, tuple[int, ...]]


def write_profiles(model: Any, profiles: Iterable[Mapping[str, Sequence[int]]]) -> None:
    """Notes the shapes in an `onnx.ModelProto`; earlier ones are replaced."""
    kept = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=METADATA_KEY, value=json.dumps([dict(profile) for profile in profiles]))


def parse_profiles(text: str | None) -> tuple[Profile, ...]:
    """What `write_profiles` noted; none for a graph without a note."""
    if not text:
        return ()
    return tuple({name: tuple(shape) for name, shape in profile.items()} for profile in json.loads(text))


def profile_of(profiles: Sequence[Profile], feeds: Mapping[str, Tensor]) -> int | None:
    """The number of the profile that has the shapes of `feeds`; None when no profile has."""
    for number, profile in enumerate(profiles):
        if all(feeds[name].shape == shape for name, shape in profile.items()):
            return number
    return None


def zeros(inputs: Sequence[TensorSpec], profile: Profile) -> dict[str, Tensor]:
    """Zeros of a profile's shapes, to run a network on."""
    return {spec.name: np.zeros(profile[spec.name], spec.dtype) for spec in inputs}
